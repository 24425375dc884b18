/* SPDX-License-Identifier: GPL-2.0-or-later
 * neigh_wait.c - asking for a neighbour, and the frames that wait for the answer
 *
 * Each IOP keeps copies of its own few waiting frames, however the question travels: the
 * link role asks the network itself (neigh_work.c), the others send it NPP_REC_RESOLVE, again
 * every second, so a question that was lost does not matter. NPP_REC_RESOLVED says no more
 * than 'look at the cache'; without an address it says that the role has moved: ask again.
 *
 * Anybody can speak in the name of neighbours that do not exist, and each answer would wait for one for
 * seconds: so such answers have their part of the room, and what we say by ourselves has the rest. Many connections to
 * neighbours that have gone would take all of that rest: so when there is no room, who has not
 * answered soon gives way, whoever it is.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

static void tick(struct stack *s)
{
	if (!wheel_armed(&s->ip->timer[IPT_NEIGH]))
		ip_timer_arm(s, IPT_NEIGH, s->now_us + NEIGH_TICK_US);
}

static void tell_link(struct stack *s, enum npp_rec_kind kind, const union npp_addr *addr, uint8_t port, bool stranger)
{
	struct npp_ipc_neigh n = { .addr = *addr, .port = port, .from = (uint8_t)s->cfg.iop, .stranger = stranger };
	struct npp_frame_rec rec = { .len = sizeof n, .kind = (uint8_t)kind, .port = port };
	uint32_t link = atomic_load_explicit(&s->env->global->link_iop, memory_order_relaxed);

	if (link < s->cfg.n_iops && link != s->cfg.iop)
		s->env->ops->ipc(s->env->arg, link, kind, &rec, &n, sizeof n);
}

void neigh_ask(struct stack *s, const union npp_addr *addr, uint8_t port, bool stranger)
{
	if (s->env->neigh_rw)
		neigh_resolve(s, addr, port, s->cfg.iop, stranger);
	else
		tell_link(s, NPP_REC_RESOLVE, addr, port, stranger);
	tick(s);
}

void neigh_reconfirm(struct stack *s, const union npp_addr *addr, uint8_t port)
{
	uint32_t tag = neigh_tag(s->env->neigh, addr, port);
	uint32_t i = tag % NEIGH_ASKED;

	if (s->ip->asked[i].tag == tag && ip_now_s(s) - s->ip->asked[i].at_s < 2)
		return;
	s->ip->asked[i].tag = tag;
	s->ip->asked[i].at_s = ip_now_s(s);
	neigh_ask(s, addr, port, false);
}

static void wait_free(struct ip_state *ip, struct neigh_wait *w)
{
	uint16_t n = w->n;

	w->used = 0;
	w->n = 0;
	for (uint16_t i = 0; i < n; i++)
		ip->frame_free[ip->n_frames_free++] = w->frame[i];
}

/* Who waits longest, of the strangers or of the others, but for BUT; NULL: none. */
static struct neigh_wait *wait_oldest(struct ip_state *ip, bool stranger, const struct neigh_wait *but)
{
	struct neigh_wait *old = NULL;

	for (unsigned i = 0; i < NEIGH_WAITS; i++) {
		struct neigh_wait *w = &ip->wait[i];

		if (w->used && w != but && w->stranger == stranger && (!old || w->born_us < old->born_us))
			old = w;
	}
	return old;
}

/* Frees the place and the frames of one that gives way to a STRANGER, or to one whom we want. While that kind has not its
 * half (HALF) the other one has more than its own, and its oldest goes at once; else who was not heard of soon,
 * but nobody for a stranger but his like. */
static struct neigh_wait *wait_give_way(struct stack *s, bool stranger, bool half, const struct neigh_wait *but)
{
	struct neigh_wait *w = wait_oldest(s->ip, half ? stranger : !stranger, but), *other;

	if (half && !stranger) {
		other = wait_oldest(s->ip, true, but);
		if (!w || (other && other->born_us < w->born_us))
			w = other;
	}
	if (!w || (half && s->now_us - w->born_us < NEIGH_PATIENCE_US))
		return NULL;
	STAT_ADD(s, IS_DROP_NEIGH_FULL, w->n);
	wait_free(s->ip, w);
	return w;
}

/* Where frames for ADDR wait, or can from now on; NULL: nowhere. */
static struct neigh_wait *wait_find(struct stack *s, const union npp_addr *addr, uint8_t port, bool stranger)
{
	struct neigh_wait *spare = NULL;
	unsigned alike = 0;

	for (unsigned i = 0; i < NEIGH_WAITS; i++) {
		struct neigh_wait *w = &s->ip->wait[i];

		if (w->used && w->port == port && npp_addr_eq(&w->addr, addr))
			return w;
		if (!w->used && !spare)
			spare = w;
		alike += w->used && w->stranger == stranger;
	}
	if (spare && (!stranger || alike < NEIGH_WAITS / 2))
		return spare;
	return wait_give_way(s, stranger, alike >= NEIGH_WAITS / 2, NULL);
}

/* Is TX, along P, an answer to somebody on the link who has spoken to us, whoever that was? */
static bool for_stranger(const struct stack *s, const struct ip_path *p, const struct stack_tx *tx)
{
	const uint8_t *l4 = tx->head + STACK_L4_OFF, *ip = tx->head + tx->start + ETH_HDR_LEN;
	uint8_t proto = npp_addr_is_v4(&p->dst) ? ip[9] : ip[6], flags;

	if (!npp_addr_eq(ip_next_hop(s, p), &p->dst))
		return false; /* a router of ours */
	if (p->stranger)
		return true;
	if (proto == IP_PROTO_FRAGMENT)
		proto = l4[-(int)sizeof(struct ip6_frag_hdr)];
	if (proto != IP_PROTO_TCP)
		return proto == IP_PROTO_ICMP || proto == IP_PROTO_ICMP6;
	flags = ((const struct tcp_hdr *)l4)->flags;
	return flags & TCPF_RST || (flags & (TCPF_SYN | TCPF_ACK)) == (TCPF_SYN | TCPF_ACK);
}

static void wait_begin(struct stack *s, struct neigh_wait *w, const union npp_addr *addr, uint8_t port, bool stranger)
{
	w->addr = *addr;
	w->port = port;
	w->n = 0;
	w->stranger = stranger;
	w->born_us = w->asked_us = s->now_us;
	w->used = 1;
	neigh_ask(s, addr, port, stranger);
}

/* Is there room for one more frame of W? Others may have to go for it. */
static bool wait_room(struct stack *s, const struct neigh_wait *w)
{
	if (w->n >= (w->stranger ? NEIGH_STRANGER_FRAMES : NEIGH_WAIT_FRAMES))
		return false;
	for (;;) {
		unsigned alike = 0;

		for (unsigned i = 0; i < NEIGH_WAITS; i++)
			if (s->ip->wait[i].used && s->ip->wait[i].stranger == w->stranger)
				alike += s->ip->wait[i].n;
		if (s->ip->n_frames_free && (!w->stranger || alike < NEIGH_FRAMES / 2))
			return true;
		if (!wait_give_way(s, w->stranger, alike >= NEIGH_FRAMES / 2, w))
			return false;
	}
}

int neigh_wait_add(struct stack *s, const struct ip_path *p, const struct stack_tx *tx)
{
	struct ip_state *ip = s->ip;
	const union npp_addr *hop = ip_next_hop(s, p);
	uint32_t len = STACK_L4_OFF + tx->l4_len - tx->start + tx->payload_len;
	bool stranger = for_stranger(s, p, tx);
	struct neigh_wait *w;
	struct neigh_view v;
	uint16_t f;

	if (neigh_lookup(s, hop, p->port, &v) && v.state == NPP_NEIGH_FAILED && s->now_us - v.updated_us < NEIGH_HOLD_US) {
		STAT_INC(s, IS_DROP_NEIGH_FAILED);
		return -EHOSTUNREACH;
	}
	w = wait_find(s, hop, p->port, stranger);
	if (w && !w->used) {
		wait_begin(s, w, hop, p->port, stranger);
	} else if (w && w->stranger && !stranger) { /* now we want him, too */
		w->stranger = 0;
		neigh_ask(s, hop, p->port, false);
	}
	if (!w || len > NEIGH_FRAME_MAX || !wait_room(s, w)) {
		STAT_INC(s, IS_DROP_NEIGH_FULL);
		return -ENOBUFS;
	}
	f = ip->frame_free[--ip->n_frames_free];
	ip->frame[f].len = ip_gather(tx, ip->frame[f].data);
	ip->frame[f].vnet = tx->vnet;
	w->frame[w->n++] = f;
	return 0;
}

static void frame_send(struct stack *s, uint8_t port, struct neigh_frame *f, const uint8_t *mac)
{
	struct stack_tx tx;
	uint32_t head = f->len < 54 ? f->len : 54;

	memcpy(f->data, mac, 6);
	memset(&tx, 0, offsetof(struct stack_tx, head));
	tx.vnet = f->vnet;
	tx.start = STACK_L4_OFF - ETH_HDR_LEN - IP4_HDR_MIN;
	memcpy(tx.head + tx.start, f->data, head);
	/* What stands behind the IP header counts as transport header, the rest as payload. */
	tx.l4_len = (uint16_t)(tx.start + head - STACK_L4_OFF);
	tx.gso_size = f->vnet.gso_size;
	tx.csum_off = 0xffff;
	tx.payload_len = f->len - head;
	tx.n_slices = tx.payload_len ? 1 : 0;
	tx.slice[0] = (struct stack_slice){ f->data + head, f->len - head };
	f->len = 0; /* a successor shall not send it again */
	s->env->ops->tx(s->env->arg, port, &tx);
}

static void wait_flush(struct stack *s, struct neigh_wait *w, const uint8_t *mac)
{
	for (uint16_t i = 0; i < w->n; i++)
		frame_send(s, w->port, &s->ip->frame[w->frame[i]], mac);
	wait_free(s->ip, w);
}

static void not_sent(struct stack *s, const struct neigh_frame *f)
{
	const uint8_t *ip = f->data + ETH_HDR_LEN;

	if (f->len <= ETH_HDR_LEN)
		return;
	if (ip[0] >> 4 == 4)
		icmp4_not_sent(s, (const struct ip4_hdr *)ip, f->len - ETH_HDR_LEN);
	else
		icmp6_not_sent(s, (const struct ip6_hdr_w *)ip, f->len - ETH_HDR_LEN);
}

/* Decides about one neighbour's frames. */
static void wait_look(struct stack *s, struct neigh_wait *w)
{
	struct neigh_view v;
	bool known = neigh_lookup(s, &w->addr, w->port, &v);

	if (known && (v.state == NPP_NEIGH_REACHABLE || v.state == NPP_NEIGH_STALE)) {
		wait_flush(s, w, v.mac);
		return;
	}
	if (s->now_us - w->born_us >= NEIGH_WAIT_US ||
	    (known && v.state == NPP_NEIGH_FAILED && v.updated_us > w->born_us)) {
		STAT_ADD(s, IS_DROP_NEIGH_FAILED, w->n);
		for (uint16_t i = 0; i < w->n; i++)
			not_sent(s, &s->ip->frame[w->frame[i]]);
		wait_free(s->ip, w);
		return;
	}
	if (s->now_us - w->asked_us >= NEIGH_RETRY_US) {
		w->asked_us = s->now_us;
		neigh_ask(s, &w->addr, w->port, w->stranger);
	}
}

void neigh_wait_run(struct stack *s)
{
	for (unsigned i = 0; i < NEIGH_WAITS; i++)
		if (s->ip->wait[i].used)
			wait_look(s, &s->ip->wait[i]);
}

/* The role has moved, and with its last holder went what he was asked. */
static void wait_again(struct stack *s)
{
	neigh_wait_run(s);
	for (unsigned i = 0; i < NEIGH_WAITS; i++) {
		struct neigh_wait *w = &s->ip->wait[i];

		if (!w->used)
			continue;
		w->asked_us = s->now_us;
		neigh_ask(s, &w->addr, w->port, w->stranger);
	}
}

void neigh_tell_role(struct stack *s)
{
	struct npp_ipc_neigh n = { .from = (uint8_t)s->cfg.iop };
	struct npp_frame_rec rec = { .len = sizeof n, .kind = NPP_REC_RESOLVED };

	for (uint32_t i = 0; i < s->cfg.n_iops; i++)
		if (i != s->cfg.iop)
			s->env->ops->ipc(s->env->arg, i, NPP_REC_RESOLVED, &rec, &n, sizeof n);
	wait_again(s);
}

bool neigh_busy(const struct ip_state *ip)
{
	bool busy = false;

	for (unsigned i = 0; i < NEIGH_WAITS; i++)
		busy |= ip->wait[i].used;
	for (unsigned i = 0; i < NEIGH_WORKS; i++)
		busy |= ip->work[i].used;
	return busy;
}

void neigh_timer(struct stack *s)
{
	if (s->env->neigh_rw)
		neigh_work_run(s);
	else
		neigh_work_drop(s); /* a predecessor's, who had the role */
	neigh_wait_run(s);
	if (neigh_busy(s->ip))
		tick(s);
}

/* The peer behind N->addr was heard of by an IOP that had asked it something. */
static void confirm(struct stack *s, const struct npp_ipc_neigh *n)
{
	struct npp_neigh *e = neigh_entry(s, &n->addr, (uint8_t)n->port, false);

	if (e && (e->state == NPP_NEIGH_REACHABLE || e->state == NPP_NEIGH_STALE) &&
	    memcmp(e->mac, n->mac, 6) == 0)
		neigh_touch(s, e);
}

void neigh_ipc_input(struct stack *s, enum npp_rec_kind kind, const struct npp_ipc_neigh *n)
{
	if (kind == NPP_REC_RESOLVED) {
		if (npp_addr_is_any(&n->addr))
			wait_again(s);
		else
			neigh_wait_run(s);
		return;
	}
	/* To the link role. If it just moved away, the asker asks again. */
	if (!s->env->neigh_rw || n->port >= s->ip->net.n_ports || n->from >= s->cfg.n_iops ||
	    npp_addr_is_any(&n->addr))
		return;
	if (kind == NPP_REC_RESOLVE && !route_on_link(s, &n->addr, (uint8_t)n->port))
		return;
	if (kind == NPP_REC_RESOLVE)
		neigh_resolve(s, &n->addr, (uint8_t)n->port, n->from, n->stranger);
	else if (kind == NPP_REC_CONFIRM)
		confirm(s, n);
	else if (kind == NPP_REC_PMTU && n->pmtu >= ip_min_pmtu(&n->addr) && n->pmtu <= 65535)
		neigh_set_pmtu(s, &n->addr, (uint8_t)n->port, (uint16_t)n->pmtu);
	tick(s);
}

/* Derived: which frames are free. A record that makes no sense is dropped. */
void neigh_attach(struct stack *s)
{
	struct ip_state *ip = s->ip;
	bool taken[NEIGH_FRAMES] = { false };

	for (unsigned i = 0; i < NEIGH_WAITS; i++) {
		struct neigh_wait *w = &ip->wait[i];
		uint16_t n = 0;

		if (!w->used || w->n > NEIGH_WAIT_FRAMES)
			w->n = 0, w->used = 0;
		for (uint16_t j = 0; j < w->n; j++) {
			uint16_t f = w->frame[j];

			if (f >= NEIGH_FRAMES || taken[f] || ip->frame[f].len < 34 || ip->frame[f].len > NEIGH_FRAME_MAX)
				continue;
			taken[f] = true;
			w->frame[n++] = f;
		}
		w->n = n;
	}
	ip->n_frames_free = 0;
	for (uint16_t f = NEIGH_FRAMES; f-- > 0;)
		if (!taken[f])
			ip->frame_free[ip->n_frames_free++] = f;
}
