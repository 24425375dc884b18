/* SPDX-License-Identifier: GPL-2.0-or-later
 * neigh_work.c - resolving and reconfirming neighbours, for the IOP with the link role
 *
 * The states of RFC 4861, 7.3.2, for ARP and neighbour discovery alike, as far as they show
 * in the shared table: INCOMPLETE (asked), REACHABLE (confirmed within 30 s), STALE (usable,
 * to be asked: first the known address alone, which is DELAY and PROBE, then everybody),
 * FAILED. An answer, or progress of a transport (neigh_ipc_input()), confirms.
 *
 * What is believed: an answer to a question of ours, and the sender of a question for an
 * address of ours. Everything else changes nothing; if it contradicts the cache it is
 * counted and the present entry is probed: first the known address alone is asked,
 * and only when it stays silent everybody. So an outsider can neither fill the
 * cache nor take over a live neighbour.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

static const uint8_t mac_none[6];

struct neigh_work *neigh_work_find(struct ip_state *ip, const union npp_addr *addr, uint8_t port)
{
	for (unsigned i = 0; i < NEIGH_WORKS; i++)
		if (ip->work[i].used && ip->work[i].port == port && npp_addr_eq(&ip->work[i].addr, addr))
			return &ip->work[i];
	return NULL;
}

static void work_tell(struct stack *s, const struct neigh_work *w, const uint8_t *mac)
{
	struct npp_ipc_neigh n = { .addr = w->addr, .port = w->port, .from = (uint8_t)s->cfg.iop };
	struct npp_frame_rec rec = { .len = sizeof n, .kind = NPP_REC_RESOLVED, .port = w->port };

	memcpy(n.mac, mac, 6);
	for (uint32_t i = 0; i < s->cfg.n_iops; i++)
		if (i != s->cfg.iop && w->askers >> i & 1)
			s->env->ops->ipc(s->env->arg, i, NPP_REC_RESOLVED, &rec, &n, sizeof n);
}

void neigh_work_end(struct stack *s, struct neigh_work *w, const uint8_t *mac)
{
	w->used = 0;
	work_tell(s, w, mac);
	neigh_wait_run(s);
}

static void solicit(struct stack *s, const struct neigh_work *w, const union npp_addr *src, const uint8_t *mac)
{
	if (npp_addr_is_v4(&w->addr))
		arp_solicit(s, &w->addr, w->port, src, mac);
	else
		nd_solicit(s, &w->addr, w->port, src, mac);
}

/* Sends the next question of W, or gives up. */
static void work_step(struct stack *s, struct neigh_work *w)
{
	struct npp_neigh *e = neigh_entry(s, &w->addr, w->port, true);
	const union npp_addr *src = route_source(s, &w->addr, w->port);

	if (w->tries >= NEIGH_TRIES || !src) {
		neigh_set(s, e, NPP_NEIGH_FAILED, NULL, false);
		neigh_work_end(s, w, mac_none);
		return;
	}
	w->due_us = s->now_us + (npp_addr_is_v4(&w->addr) ? NEIGH_RETRY_US : nd_retrans_us(s, w->port));
	if (w->unicast && e->state == NPP_NEIGH_STALE) { /* not if it was pushed out meanwhile */
		w->unicast--;
		solicit(s, w, src, e->mac);
		return;
	}
	w->tries++;
	solicit(s, w, src, NULL);
}

/* W ends before its time. Our own frames find out at the next tick. */
static void work_give_up(struct stack *s, struct neigh_work *w)
{
	struct npp_neigh *e = neigh_entry(s, &w->addr, w->port, false);

	if (e && e->state == NPP_NEIGH_INCOMPLETE)
		neigh_set(s, e, NPP_NEIGH_FAILED, NULL, false);
	w->used = 0;
	work_tell(s, w, mac_none);
}

static struct neigh_work *work_oldest(struct ip_state *ip, bool stranger)
{
	struct neigh_work *old = NULL;

	for (unsigned i = 0; i < NEIGH_WORKS; i++) {
		struct neigh_work *w = &ip->work[i];

		if (w->used && w->stranger == stranger && (!old || w->born_us < old->born_us))
			old = w;
	}
	return old;
}

/* A place for one more; NULL: none, and who waits asks again. Who gives way is decided as for frames (wait_give_way()). */
static struct neigh_work *work_place(struct stack *s, bool stranger)
{
	struct neigh_work *spare = NULL, *old, *other;
	unsigned alike = 0;
	bool half;

	for (unsigned i = 0; i < NEIGH_WORKS; i++) {
		if (!s->ip->work[i].used)
			spare = &s->ip->work[i];
		alike += s->ip->work[i].used && s->ip->work[i].stranger == stranger;
	}
	half = alike >= NEIGH_WORKS / 2;
	if (spare && (!stranger || !half))
		return spare;
	old = work_oldest(s->ip, half ? stranger : !stranger);
	if (half && !stranger) {
		other = work_oldest(s->ip, true);
		if (!old || (other && other->born_us < old->born_us))
			old = other;
	}
	if (!old || (half && s->now_us - old->born_us < NEIGH_PATIENCE_US))
		return NULL;
	work_give_up(s, old);
	return old;
}

void neigh_work_start(struct stack *s, struct npp_neigh *e, const union npp_addr *addr, uint8_t port,
		      uint32_t askers, bool stranger)
{
	struct neigh_work *w = work_place(s, stranger);

	if (!w)
		return;
	*w = (struct neigh_work){ .addr = *addr, .port = port, .askers = askers, .stranger = stranger, .born_us = s->now_us };
	if (e->state == NPP_NEIGH_REACHABLE || e->state == NPP_NEIGH_STALE) {
		w->unicast = 2;
		neigh_set(s, e, NPP_NEIGH_STALE, NULL, askers != 0);
	} else {
		neigh_set(s, e, NPP_NEIGH_INCOMPLETE, NULL, true);
	}
	w->used = 1;
	work_step(s, w);
	if (!wheel_armed(&s->ip->timer[IPT_NEIGH]))
		ip_timer_arm(s, IPT_NEIGH, s->now_us + NEIGH_TICK_US);
}

void neigh_resolve(struct stack *s, const union npp_addr *addr, uint8_t port, unsigned asker, bool stranger)
{
	struct neigh_work *w = neigh_work_find(s->ip, addr, port);
	struct npp_neigh *e;
	uint64_t age;

	if (w) {
		w->askers |= 1u << asker;
		w->stranger = w->stranger && stranger;
		return;
	}
	e = neigh_entry(s, addr, port, true);
	age = s->now_us - e->updated_us;
	if ((e->state == NPP_NEIGH_REACHABLE && age < neigh_fresh_us(s, addr, port)) ||
	    (e->state == NPP_NEIGH_FAILED && age < NEIGH_HOLD_US)) { /* he has not looked since */
		struct neigh_work known = { .addr = *addr, .port = port, .askers = 1u << asker };

		work_tell(s, &known, e->mac);
		return;
	}
	neigh_work_start(s, e, addr, port, 1u << asker, stranger);
}

void neigh_work_run(struct stack *s)
{
	for (unsigned i = 0; i < NEIGH_WORKS; i++)
		if (s->ip->work[i].used && s->ip->work[i].due_us <= s->now_us)
			work_step(s, &s->ip->work[i]);
}

void neigh_work_drop(struct stack *s)
{
	for (unsigned i = 0; i < NEIGH_WORKS; i++)
		s->ip->work[i].used = 0;
}

void neigh_learn(struct stack *s, const union npp_addr *addr, const uint8_t *mac, uint8_t port,
		 bool answer, bool asks)
{
	struct neigh_work *w = neigh_work_find(s->ip, addr, port);
	struct npp_neigh *e = neigh_entry(s, addr, port, false);
	bool live = e && (e->state == NPP_NEIGH_REACHABLE || e->state == NPP_NEIGH_STALE);

	if (live && memcmp(e->mac, mac, 6) != 0 && !(w && answer && w->tries > 0)) {
		STAT_INC(s, IS_ARP_CONFLICTS);
		if (!w)
			neigh_work_start(s, e, addr, port, 0, true);
		return;
	}
	if (!(w && answer) && !asks)
		return;
	if (!e)
		e = neigh_entry(s, addr, port, true);
	neigh_set(s, e, NPP_NEIGH_REACHABLE, mac, w != NULL);
	if (w)
		neigh_work_end(s, w, mac);
}
