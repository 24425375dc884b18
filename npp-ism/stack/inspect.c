/* SPDX-License-Identifier: GPL-2.0-or-later
 * inspect.c - reading a stack's arena from outside, while it runs
 *
 * A tool maps the arena read-only at any address, so the pointers in it mean nothing
 * here: parts are found by their offsets, and every offset and count is checked against
 * the size of the mapping. What is read may be torn; it is only shown.
 */
#include "config.h"

#include <string.h>

#include "npp-ism/stack/tcp.h"

struct view {
	const struct stack *s;
	const struct tcp_state *tcp;
	uint64_t tcp_off;
	size_t tcp_size;		/* from tcp to the end */
};

/* What is checked is what is used: the ISM may write it in between. */
static uint32_t once(const uint32_t *at)
{
	return *(const volatile uint32_t *)at;
}

static bool view_open(struct view *v, const void *arena, size_t size)
{
	uint64_t off;

	v->s = arena;
	if (size < sizeof *v->s || v->s->layout_hash != stack_layout_hash() || v->s->size > size)
		return false;
	off = *(const volatile uint64_t *)&v->s->tcp_off;
	if (off > size || size - off < sizeof *v->tcp || off % _Alignof(struct tcp_state))
		return false;
	v->tcp = (const struct tcp_state *)((const char *)arena + off);
	v->tcp_off = off;
	v->tcp_size = size - off;
	return true;
}

/* The array of COUNT records of EACH bytes at OFF; NULL: does not lie in the arena, or not as one of such records. */
static const void *view_array(const struct view *v, uint64_t off, uint32_t count, size_t each, size_t align)
{
	if (off > v->tcp_size || count > (v->tcp_size - off) / each || (v->tcp_off + off) % align)
		return NULL;
	return (const char *)v->tcp + off;
}

static void from_conn(const struct view *v, const struct tcb *t, struct stack_conn_info *out)
{
	out->conn = t->c;
	tcp_brief(t, now_ms(v->s), &out->brief);
}

static void from_syn(const struct tcp_syn *e, struct stack_conn_info *out)
{
	out->conn.laddr = e->laddr;
	out->conn.raddr = e->raddr;
	out->conn.lport = e->lport;
	out->conn.rport = e->rport;
	out->conn.listener = (uint16_t)e->listener;
	out->conn.passive = 1;
	out->conn.state = TCP_ST_SYN_RECEIVED;
}

static void from_tw(const struct tcp_tw *w, struct stack_conn_info *out)
{
	out->conn.laddr = w->laddr;
	out->conn.raddr = w->raddr;
	out->conn.lport = w->lport;
	out->conn.rport = w->rport;
	out->conn.listener = STACK_NO_LISTENER;
	out->conn.state = w->state;
}

/* The cursor runs over TCBs, then half-open, then waiting records. */
bool stack_inspect_conn(const void *arena, size_t size, uint32_t *cursor, struct stack_conn_info *out)
{
	struct view v;
	const struct tcb *conns;
	const struct tcp_syn *syns;
	const struct tcp_tw *tws;
	uint32_t nc, ns, nt;

	if (!view_open(&v, arena, size))
		return false;
	nc = once(&v.tcp->conn_pool.count);
	ns = once(&v.tcp->syn_pool.count);
	nt = once(&v.tcp->tw_pool.count);
	conns = view_array(&v, v.tcp->conns_off, nc, sizeof *conns, _Alignof(struct tcb));
	syns = view_array(&v, v.tcp->syns_off, ns, sizeof *syns, _Alignof(struct tcp_syn));
	tws = view_array(&v, v.tcp->tws_off, nt, sizeof *tws, _Alignof(struct tcp_tw));
	if (!conns || !syns || !tws)
		return false;
	for (; *cursor < (uint64_t)nc + ns + nt; ++*cursor) {
		uint32_t i = *cursor;

		memset(out, 0, sizeof *out);
		if (i < nc) {
			if (!conns[i].in_use)
				continue;
			from_conn(&v, &conns[i], out);
		} else if (i - nc < ns) {
			if (!syns[i - nc].in_use)
				continue;
			from_syn(&syns[i - nc], out);
		} else {
			if (!tws[i - nc - ns].in_use)
				continue;
			from_tw(&tws[i - nc - ns], out);
		}
		++*cursor;
		return true;
	}
	return false;
}

bool stack_inspect_listener(const void *arena, size_t size, uint32_t *cursor, struct tcp_listener *out)
{
	struct view v;
	const struct tcp_lsn *l;
	uint32_t n;

	if (!view_open(&v, arena, size))
		return false;
	n = once(&v.tcp->lsn_pool.count);
	l = view_array(&v, v.tcp->lsns_off, n, sizeof *l, _Alignof(struct tcp_lsn));
	if (!l)
		return false;
	for (; *cursor < n; ++*cursor) {
		if (l[*cursor].in_use) {
			*out = l[*cursor].l;
			++*cursor;
			return true;
		}
	}
	return false;
}

bool stack_inspect_udp(const void *arena, size_t size, uint32_t *cursor, struct udp_endpoint *out)
{
	const struct stack *s = arena;
	struct stack_cfg cfg;
	uint64_t off;

	if (size < sizeof *s || s->layout_hash != stack_layout_hash() || s->size > size)
		return false;
	memcpy(&cfg, &s->cfg, sizeof cfg);
	off = *(const volatile uint64_t *)&s->udp_off;
	if (off > size || off % 64)
		return false;
	return udp_inspect((const char *)arena + off, size - off, &cfg, cursor, out);
}
