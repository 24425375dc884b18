/* SPDX-License-Identifier: GPL-2.0-or-later
 * listen.c - replicas of listening sockets and their accept lanes
 *
 * Every ISM has a lane of its own in a listener's queue. We store an entry only over 0 and
 * only at our head, so the lane is full when the word at the head is still taken. Programs
 * claim entries in any order; the backlog is what may be unclaimed.
 */
#include "config.h"

#include <errno.h>

#include "npp-ism/socket/ism.h"

#define LANE_MAX 16384u	/* entries: what a look at a whole lane may cost */

static struct npp_accept_lane *lane_of(struct ism *I, const struct ism_sess *s)
{
	return (struct npp_accept_lane *)(I->host[s->host]->base + s->off);
}

static bool empty_at(struct ism *I, const struct ism_sess *s, uint32_t pos)
{
	/* acquire: pairs with the claimer's release of 0 after it has taken the connection */
	return atomic_load_explicit(&lane_of(I, s)->entry[pos & s->lane_mask], memory_order_acquire) == 0;
}

struct ism_sess *ism_listener_sess(struct ism *I, const struct tcp_listener *l)
{
	struct ism_sess *s;

	if (l->user_off == 0 || l->user_off > I->r->lay.n_sess)
		return NULL;
	s = &I->sess[l->user_off - 1];
	return s->kind == ISM_LISTENER && s->tcb == l->index && s->tcb_gen == l->gen ? s : NULL;
}

bool ism_lane_room(struct ism *I, struct ism_sess *s)
{
	if (!empty_at(I, s, s->rx_head))
		return false;
	return s->backlog > s->lane_mask || empty_at(I, s, s->rx_head - s->backlog);
}

bool ism_lane_waiting(struct ism *I, const struct ism_sess *s)
{
	return s->rx_head && !empty_at(I, s, s->rx_head - 1);
}

bool ism_accept_room(void *arg, struct tcp_listener *l)
{
	struct ism *I = arg;
	struct ism_sess *s = ism_listener_sess(I, l);

	return s && I->host[s->host] && ism_lent_any(I, s->host) && I->r->pool.free > 0 &&
	       ism_lane_room(I, s);
}

uint32_t ism_fastopen(void *arg, struct tcp_listener *l)
{
	struct ism *I = arg;
	struct ism_sess *s = ism_listener_sess(I, l);

	if (!s || !I->host[s->host])
		return 0;
	return atomic_load_explicit(&ism_sess_rec(I, s)->fastopen, memory_order_relaxed);
}

unsigned ism_fastopen_keys(void *arg, struct tcp_listener *l, uint64_t key[NPP_TFO_KEYS][2])
{
	struct ism *I = arg;
	struct ism_sess *s = ism_listener_sess(I, l);
	struct npp_tfo_keys *k;
	uint32_t state, n;

	if (!s || !I->host[s->host])
		return 0;
	k = &ism_sess_rec(I, s)->tfo;
	/* acquire: pairs with the program's release; the keys stand there. Once more if they were set meanwhile. */
	state = atomic_load_explicit(&k->state, memory_order_acquire);
	for (unsigned try = 0; try < 2; try++) {
		uint32_t was = state;

		for (unsigned i = 0; i < 2 * NPP_TFO_KEYS; i++)
			key[i / 2][i % 2] = atomic_load_explicit(&k->key[NPP_TFO_TURN(was) & 1][i / 2][i % 2],
								 memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		state = atomic_load_explicit(&k->state, memory_order_relaxed);
		if (state == was)
			break;
	}
	n = NPP_TFO_COUNT(state);
	return n <= NPP_TFO_KEYS ? n : NPP_TFO_KEYS;
}

void ism_listener_options(void *arg, struct tcp_listener *l, struct tcp_options *o)
{
	struct ism *I = arg;
	struct ism_sess *s = ism_listener_sess(I, l);

	if (s && I->host[s->host])
		*o = ism_options_of(ism_sess_rec(I, s));
}

void ism_lane_push(struct ism *I, struct ism_sess *s, uint32_t sock, uint32_t gen)
{
	struct npp_accept_lane *lane = lane_of(I, s);

	/* release: pairs with the claimer's compare-and-swap; the record is whole */
	atomic_store_explicit(&lane->entry[s->rx_head & s->lane_mask],
			      NPP_ACCEPT_ENTRY(sock, gen, NPP_ACCEPT_READY), memory_order_release);
	s->rx_head++;
	atomic_store_explicit(&lane->head, s->rx_head, memory_order_release);
}

/* ---- LISTEN ----------------------------------------------------------------------------- */

/* Finds our lane in the listener at OFF and checks it; 0 or -errno. */
static int lane_check(struct ism *I, unsigned h, uint64_t off, uint64_t *lane_off, uint32_t *lane_mask)
{
	struct npp_listener *nl = ism_heap_at(I, h, off, sizeof *nl);
	struct npp_accept_lane *lane;
	uint32_t off64, mask;

	if (!nl)
		return -EPROTO;
	/* acquire: pairs with the OSM's release; the lane is initialised */
	off64 = atomic_load_explicit(&nl->lane_off64[I->r->host[h].slot], memory_order_acquire);
	lane = ism_heap_at(I, h, (uint64_t)off64 * NPP_LINE, sizeof *lane);
	if (!lane)
		return -EPROTO;
	mask = *(volatile uint32_t *)&lane->mask;
	if ((mask & (mask + 1)) || mask >= LANE_MAX ||
	    !ism_heap_at(I, h, (uint64_t)off64 * NPP_LINE, sizeof *lane + ((uint64_t)mask + 1) * 8))
		return -EPROTO;
	*lane_off = (uint64_t)off64 * NPP_LINE;
	*lane_mask = mask;
	return 0;
}

static void lane_use(struct ism *I, struct ism_sess *s, uint64_t off, uint32_t mask, uint32_t backlog)
{
	s->off = off;
	s->lane_mask = mask;
	s->backlog = backlog ? backlog : 1;
	/* Where a predecessor stopped; any value will do. */
	s->rx_head = atomic_load_explicit(&lane_of(I, s)->head, memory_order_relaxed);
}

static int listen_new(struct ism *I, unsigned h, const struct npp_msg *m, uint64_t off, uint32_t mask,
		      struct ism_sess **out)
{
	struct tcp_listener t = {
		.addr = m->addr,
		.port = m->port,
		.user_host = (uint8_t)h,
		.reuseport = (m->flags & NPP_LISTEN_REUSEPORT) != 0,
		.v6only = (m->flags & NPP_LISTEN_V6ONLY) != 0,
		.backlog = m->arg,
		.user_sock = m->sock,
		.user_gen = m->sock_gen,
	}, *l;
	struct ism_sess *s;
	int err = -ENOBUFS;

	s = ism_sess_new(I, h, ISM_LISTENER, m->sock, m->sock_gen);
	if (!s)
		return -ENOBUFS;
	lane_use(I, s, off, mask, m->arg);
	t.user_off = (uint64_t)ism_sess_index(I, s) + 1;
	l = stack_listen(I->stack, &t, &err);
	if (!l) {
		ism_sess_free(I, s);
		return err;
	}
	s->tcb = l->index;
	s->tcb_gen = l->gen;
	I->r->host[h].n_listeners++;
	ism_load_tell(I, h);
	*out = s;
	return 0;
}

void ism_listen(struct ism *I, unsigned h, const struct npp_msg *m)
{
	struct ism_sess *s = ism_sess_find(I, h, m->sock);
	uint64_t off = 0;
	uint32_t mask = 0;
	int err = ism_prog_rec(I, h, m->sock) ? lane_check(I, h, m->off, &off, &mask) : -EPROTO;

	if (s && (s->kind != ISM_LISTENER || s->sock_gen != m->sock_gen) && err == 0) {
		/* An earlier life of the record whose end we were not told. */
		if (s->kind == ISM_LISTENER)
			ism_listener_drop(I, s, true), s = NULL;
		else
			err = -EPROTO;
	}
	if (err == 0 && s) { /* again: only the backlog and the place of the queue may differ */
		struct tcp_listener *l = stack_listener(I->stack, s->tcb);

		if (off != s->off || mask != s->lane_mask)
			lane_use(I, s, off, mask, m->arg);
		s->backlog = m->arg ? m->arg : 1;
		if (l)
			l->backlog = s->backlog;
	} else if (err == 0) {
		err = listen_new(I, h, m, off, mask, &s);
	}
	if (err == -EPROTO)
		ism_proto_error(I, h);
	ism_answer(I, h, m, NPP_MSG_LISTENING, err ? ISM_NONE : ism_sess_handle(I, s), err);
}

/* ---- UNLISTEN ------------------------------------------------------------------------------- */

/* Resets the connections that nobody has claimed. */
static void lane_reset(struct ism *I, struct ism_sess *s)
{
	struct npp_accept_lane *lane = lane_of(I, s);

	for (uint32_t i = 0; i <= s->lane_mask; i++) {
		uint64_t e = atomic_load_explicit(&lane->entry[i], memory_order_acquire);
		struct ism_sess *c;

		if (e == 0 || NPP_ACCEPT_OWNER(e) != NPP_ACCEPT_READY ||
		    !atomic_compare_exchange_strong_explicit(&lane->entry[i], &e, 0, memory_order_acq_rel,
							     memory_order_relaxed))
			continue;
		c = ism_sess_find(I, s->host, NPP_ACCEPT_SOCK(e));
		if (c && c->kind == ISM_STREAM && (c->flags & SESS_LENT) &&
		    (c->sock_gen & 0xffff) == NPP_ACCEPT_GEN(e))
			ism_conn_drop(I, c);
		else
			ism_proto_error(I, s->host);
	}
}

void ism_listener_drop(struct ism *I, struct ism_sess *s, bool reset)
{
	struct tcp_listener *l = s->tcb == ISM_NONE ? NULL : stack_listener(I->stack, s->tcb);

	if (l && l->gen == s->tcb_gen)
		stack_unlisten(I->stack, l);
	if (reset && I->host[s->host])
		lane_reset(I, s);
	I->r->host[s->host].n_listeners--;
	ism_sess_free(I, s);
}

void ism_unlisten(struct ism *I, unsigned h, const struct npp_msg *m)
{
	struct ism_sess *s = ism_sess_of_msg(I, h, m);
	uint32_t handle = s ? ism_sess_handle(I, s) : m->ism_handle;

	if (s && s->kind == ISM_LISTENER)
		ism_listener_drop(I, s, true);
	ism_answer(I, h, m, NPP_MSG_UNLISTENED, handle, 0);
}

void ism_listener_look(struct ism *I, struct ism_sess *s)
{
	struct npp_sock *rec = ism_sess_rec(I, s);
	bool waiting = false;

	atomic_exchange_explicit(&rec->pend_in, 0, memory_order_acq_rel);
	for (uint32_t i = 0; i <= s->lane_mask && !waiting; i++)
		waiting = !empty_at(I, s, s->rx_head - 1 - i);
	I->msg_cost += waiting ? 0 : s->lane_mask / 64;
	if (waiting)
		ism_notify(I, s, NPP_OUT_RX, true);
}

void ism_listener_resume(struct ism *I, struct ism_sess *s)
{
	for (uint32_t i = 0; i <= s->lane_mask; i++) {
		/* acquire: pairs with the claimer's release of 0 after it raised refs */
		uint64_t e = atomic_load_explicit(&lane_of(I, s)->entry[i], memory_order_acquire);
		struct ism_sess *c = e ? ism_sess_find(I, s->host, NPP_ACCEPT_SOCK(e)) : NULL;

		if (c)
			c->flags |= SESS_QUEUED;
	}
	ism_listener_look(I, s);
}
