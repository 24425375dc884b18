/* SPDX-License-Identifier: GPL-2.0-or-later
 * stack.c - the frame around IP, UDP and TCP: arena, time, timers, input
 *
 * The arena is struct stack followed by one part per subsystem. Where each part begins
 * follows from the configuration alone; it is stored as an offset as well, for tools
 * that map the arena at an address of their own.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "npp-ism/stack/priv.h"

#define STACK_MAGIC 0x6b636174732d6e70ull

static size_t round64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

size_t stack_size(const struct stack_cfg *cfg)
{
	return round64(sizeof(struct stack)) + ip_size(cfg) + udp_size(cfg) + tcp_size(cfg);
}

uint64_t stack_layout_hash(void)
{
	uint64_t h = npp_abi_layout_hash();

	h = NPP_ABI_MIX(h, sizeof(struct stack));
	h = NPP_ABI_MIX(h, offsetof(struct stack, ip_off));
	h = NPP_ABI_MIX(h, sizeof(struct wheel));
	h = NPP_ABI_MIX(h, sizeof(struct ip_path));
	h = NPP_ABI_MIX(h, sizeof(struct tcp_conn));
	h = NPP_ABI_MIX(h, sizeof(struct tcp_listener));
	h = NPP_ABI_MIX(h, sizeof(struct udp_endpoint));
	h = NPP_ABI_MIX(h, ip_layout_hash());
	h = NPP_ABI_MIX(h, udp_layout_hash());
	h = NPP_ABI_MIX(h, tcp_layout_hash());
	return h;
}

static void stack_parts(struct stack *s)
{
	s->ip_off = round64(sizeof *s);
	s->udp_off = s->ip_off + ip_size(&s->cfg);
	s->tcp_off = s->udp_off + udp_size(&s->cfg);
	s->ip = (struct ip_state *)((char *)s + s->ip_off);
	s->udp = (struct udp_state *)((char *)s + s->udp_off);
	s->tcp = (struct tcp_state *)((char *)s + s->tcp_off);
}

struct stack *stack_init(void *arena, const struct stack_cfg *cfg, const struct stack_env *env)
{
	struct stack *s = arena;

	s->cfg = *cfg;
	s->env = env;
	s->layout_hash = stack_layout_hash();
	s->size = stack_size(cfg);
	wheel_init(&s->wheel, 0);
	stack_parts(s);
	ip_init(s, s->ip);
	udp_init(s, s->udp);
	tcp_init(s, s->tcp);
	s->magic = STACK_MAGIC;
	return s;
}

int stack_attach(struct stack *s, const struct stack_env *env, uint64_t now_us)
{
	int err;

	if (s->magic != STACK_MAGIC || s->layout_hash != stack_layout_hash() || s->size != stack_size(&s->cfg))
		return -EPROTO;
	s->env = env;
	s->now_us = now_us;
	wheel_init(&s->wheel, now_us);
	stack_parts(s);
	err = ip_attach(s);
	if (!err)
		err = udp_attach(s);
	if (!err)
		err = tcp_attach(s);
	return err;
}

void stack_set_env(struct stack *s, const struct stack_env *env)
{
	s->env = env;
	ip_flush(s);
}

void stack_set_now(struct stack *s, uint64_t now_us)
{
	s->now_us = now_us;
}

unsigned stack_run_timers(struct stack *s, unsigned budget)
{
	unsigned ran = 0;

	while (ran < budget) {
		struct wheel_timer *t = wheel_expire(&s->wheel, s->now_us);

		if (!t)
			break;
		if (ran++ % STACK_AHEAD == 0)
			tcp_ahead_timers(s);
		switch (t->kind) {
		case TIMER_IP:
			ip_timer(s, t);
			break;
		case TIMER_TCP:
			tcp_timer(s, t);
			break;
		default:
			break;
		}
	}
	return ran;
}

uint64_t stack_next_timer(const struct stack *s)
{
	return tcp_pending(s) ? s->now_us : wheel_next(&s->wheel);
}

bool stack_timer_due(struct stack *s, uint64_t now_us)
{
	return tcp_pending(s) || wheel_due(&s->wheel, now_us);
}

void stack_input(struct stack *s, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	if (rec->kind == NPP_REC_FRAME)
		ip_input(s, rec, data, len);
	else if (rec->kind == NPP_REC_TFO)
		tcp_tfo_told(s, data, len);
	else
		ip_ipc_input(s, rec, data, len);
}

#define FLUSH_ROUNDS 4

void stack_flush(struct stack *s)
{
	/* What TCP sends to an address of our own comes back through ip_flush(). */
	ip_flush(s);
	for (int i = 0; i < FLUSH_ROUNDS && tcp_pending(s); i++) {
		tcp_flush(s);
		ip_flush(s);
	}
}
