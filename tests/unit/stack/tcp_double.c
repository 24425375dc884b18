/* SPDX-License-Identifier: GPL-2.0-or-later
 * tcp_double.c - stands in for IP and UDP, so that TCP can be tested by itself
 *
 * What TCP sends is put together and handed to th_sent(); what it should receive goes
 * straight to tcp_input().
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/priv.h"
#include "tests/unit/stack/tcp_helper.h"

int ip_path_init(struct stack *s, struct ip_path *p, const union npp_addr *src, const union npp_addr *dst)
{
	struct th *h = s->env->arg;

	*p = (struct ip_path){ .src = npp_addr_is_any(src) ? h->addr : *src, .dst = *dst, .valid = 1, .mtu = h->mtu };
	return 0;
}

bool ip_rst_allowed(struct stack *s)
{
	(void)s;
	return true;
}

int ip_path_answer(struct stack *s, struct ip_path *p, const union npp_addr *src, const union npp_addr *dst,
		   uint8_t port)
{
	(void)port;
	return ip_path_init(s, p, src, dst);
}

int ip_output(struct stack *s, struct ip_path *p, uint8_t proto, uint8_t tos, uint8_t ttl, bool df,
	      struct stack_tx *tx)
{
	struct th *h = s->env->arg;

	h->out_tos = tos;
	h->out_df = df;
	(void)proto;
	h->out_ttl = ttl;
	return th_sent(h, p, tx);
}

bool ip_is_local(struct stack *s, const union npp_addr *a)
{
	struct th *h = s->env->arg;

	return npp_addr_eq(a, &h->addr);
}

bool ip_is_group(struct stack *s, const union npp_addr *a)
{
	(void)s;
	return npp_addr_is_multicast(a);
}

void ip_confirm(struct stack *s, struct ip_path *p)
{
	(void)s;
	(void)p;
}

void ip_pmtu(struct stack *s, struct ip_path *p, uint32_t mtu)
{
	struct th *h = s->env->arg;

	if (mtu < IP4_MIN_PMTU && npp_addr_is_v4(&p->dst)) /* as ip_pmtu() */
		mtu = IP4_MIN_PMTU;
	h->mtu = (uint16_t)mtu;
	p->mtu = (uint16_t)mtu;
}

uint16_t ip_link_mtu(struct stack *s, const struct ip_path *p)
{
	struct th *h = s->env->arg;

	(void)p;
	return h->link_mtu ? h->link_mtu : h->mtu;
}

void ip_send_unreachable(struct stack *s, const struct pkt *pkt, uint8_t code)
{
	(void)s;
	(void)pkt;
	(void)code;
}

bool ip_l4_csum_ok(const struct pkt *pkt)
{
	(void)pkt;
	return false; /* tests vouch for it, or mean it to be wrong */
}

uint64_t ip_layout_hash(void)
{
	return 0;
}

size_t ip_size(const struct stack_cfg *cfg)
{
	(void)cfg;
	return 64;
}

void ip_init(struct stack *s, void *mem)
{
	(void)s;
	(void)mem;
}

int ip_attach(struct stack *s)
{
	(void)s;
	return 0;
}

void ip_input(struct stack *s, const struct npp_frame_rec *rec, const uint8_t *frame, uint32_t len)
{
	(void)s;
	(void)rec;
	(void)frame;
	(void)len;
}

void ip_ipc_input(struct stack *s, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	(void)s;
	(void)rec;
	(void)data;
	(void)len;
}

void ip_timer(struct stack *s, struct wheel_timer *t)
{
	(void)s;
	(void)t;
}

void ip_flush(struct stack *s)
{
	(void)s;
}

uint64_t udp_layout_hash(void)
{
	return 0;
}

size_t udp_size(const struct stack_cfg *cfg)
{
	(void)cfg;
	return 64;
}

void udp_init(struct stack *s, void *mem)
{
	(void)s;
	(void)mem;
}

int udp_attach(struct stack *s)
{
	(void)s;
	return 0;
}

bool udp_inspect(const void *mem, size_t size, const struct stack_cfg *cfg, uint32_t *cursor,
		 struct udp_endpoint *out)
{
	(void)mem;
	(void)size;
	(void)cfg;
	(void)cursor;
	(void)out;
	return false;
}
