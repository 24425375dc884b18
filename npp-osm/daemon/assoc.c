/* SPDX-License-Identifier: GPL-2.0-or-later
 * assoc.c - bound sockets: the association table and the replicas in the ISMs
 *
 * One association per bound socket, a small state machine:
 *
 *   GRANTING --granted--> BOUND --listen--> SPREADING --all answered or 2 s--> ACTIVE
 *       \--refused--> gone  \            (datagram: without listen)             |
 *                            \--close--> gone            close: CLOSING --all let go--> gone
 *
 * The program is answered when it reaches BOUND (bind of a stream socket) or ACTIVE.
 * An ISM that comes later, or again, is told in SPREADING and ACTIVE. Memory and
 * record are freed only after every ISM that was told has let go.
 */
#include "config.h"

#include <netinet/in.h>
#include <string.h>

#include "npp-osm/daemon/priv.h"

#define MAX_TRIES 32
#define ENTRIES_MIN 16u
#define ENTRIES_MAX 4096u

/* Writes association I through to the books; its state last. */
void osm_assoc_save(struct npp_osm *o, unsigned i)
{
	struct osm_assoc_rec *shm = &o->books_shm->assoc[i], r = o->books->assoc[i];
	uint32_t state = r.state;

	__atomic_store_n(&shm->state, OSM_AS_FREE, __ATOMIC_RELEASE);
	r.state = OSM_AS_FREE;
	*shm = r;
	__atomic_store_n(&shm->state, state, __ATOMIC_RELEASE);
}

/* Something must have happened by WHEN; 0: nothing is waited for. */
void osm_assoc_deadline(struct npp_osm *o, unsigned i, uint64_t when)
{
	o->assoc_busy += (when != 0) - (o->assoc[i].deadline != 0);
	o->assoc[i].deadline = when;
}

static void set_state(struct npp_osm *o, unsigned i, uint32_t state)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	bool was = r->state == OSM_AS_SPREADING || r->state == OSM_AS_ACTIVE;
	bool is = state == OSM_AS_SPREADING || state == OSM_AS_ACTIVE;

	if (r->proto == IPPROTO_TCP)
		npp_stat_add(o->stat, NPP_OS_LISTENERS, (uint64_t)((int64_t)is - was));
	npp_stat_add(o->stat, NPP_OS_BINDS, (uint64_t)((int64_t)(state != OSM_AS_FREE) - (r->state != OSM_AS_FREE)));
	r->state = state;
	osm_assoc_save(o, i);
}

/* The association of record SOCK in generation GEN, or -1. */
int osm_assoc_find(const struct npp_osm *o, uint32_t sock, uint32_t gen)
{
	uint32_t i;

	if (sock == 0 || sock > o->sock_prog_count)
		return -1;
	i = o->assoc_of[sock];
	return i && o->books->assoc[i - 1].gen == gen ? (int)i - 1 : -1;
}

/* After all that are there; they may wrap. */
static uint32_t next_order(const struct npp_osm *o)
{
	uint32_t last = 0;
	bool any = false;

	for (unsigned i = 0; i < o->assoc_hi; i++) {
		const struct osm_assoc_rec *r = &o->books->assoc[i];

		if (r->state == OSM_AS_FREE || r->proto != IPPROTO_UDP || (any && (int32_t)(r->order - last) <= 0))
			continue;
		last = r->order;
		any = true;
	}
	return last + 1;
}

/* A new association for what B asks, in state GRANTING. 0; -EINVAL the socket has one;
 * -ENOBUFS. */
int osm_assoc_new(struct npp_osm *o, const struct npp_ctl_bind *b, uint32_t uid, unsigned *out)
{
	struct osm_assoc_rec *r;
	unsigned i;

	if (o->assoc_of[b->sock]) {
		i = o->assoc_of[b->sock] - 1;
		if (o->books->assoc[i].gen == b->gen)
			return -EINVAL;
		osm_assoc_close(o, i, false); /* of the record's former life */
		if (o->assoc_of[b->sock])
			return -EAGAIN;
	}
	for (i = 0; i < OSM_MAX_ASSOC && o->books->assoc[i].state != OSM_AS_FREE; i++)
		;
	if (i == OSM_MAX_ASSOC)
		return -ENOBUFS;
	o->assoc[i] = (struct osm_assoc){ .op = o->assoc[i].op, .pick = b->port == 0 };
	r = &o->books->assoc[i];
	*r = (struct osm_assoc_rec){ .sock = b->sock, .gen = b->gen, .uid = uid, .addr = b->addr, .port = b->port,
				     .proto = b->proto, .order = next_order(o),
				     .reuse = (b->reuse & ~NPP_PORT_ALONE) | (b->port ? 0 : NPP_PORT_ALONE) };
	set_state(o, i, OSM_AS_GRANTING);
	o->assoc_of[b->sock] = (uint16_t)(i + 1);
	if (i >= o->assoc_hi)
		o->assoc_hi = i + 1;
	*out = i;
	return 0;
}

static void free_lane(struct npp_osm *o, unsigned i, unsigned s)
{
	if (o->assoc[i].lane[s])
		osm_free(o, (uint64_t)o->assoc[i].lane[s] * 64, osm_accept_bytes(o->books->assoc[i].entries));
	o->assoc[i].lane[s] = 0;
}

/* Frees association I and all that it has. */
void osm_assoc_free(struct npp_osm *o, unsigned i)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	bool free_record = o->assoc[i].free_record;
	uint32_t sock = r->sock, gen = r->gen;

	if (r->state == OSM_AS_CLOSING) /* who closed it, and still waits */
		osm_answer_bind(o, &o->assoc[i].answer, 0, sock, gen, r->port);
	osm_assoc_deadline(o, i, 0);
	osm_grants_release(o, i);
	set_state(o, i, OSM_AS_FREE);
	if (r->ext_off64) {
		for (unsigned s = 0; s < NPP_MAX_SLOTS; s++)
			free_lane(o, i, s);
		osm_free(o, (uint64_t)r->ext_off64 * 64,
			 r->proto == IPPROTO_UDP ? sizeof(struct npp_udp) : sizeof(struct npp_listener));
	}
	r->ext_off64 = r->entries = 0;
	o->assoc_of[sock] = 0;
	while (o->assoc_hi && o->books->assoc[o->assoc_hi - 1].state == OSM_AS_FREE)
		o->assoc_hi--;
	if (free_record)
		osm_sock_free(o, sock, gen);
}

static void answer(struct npp_osm *o, unsigned i, int error)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];

	osm_answer_bind(o, &o->assoc[i].answer, error, r->sock, r->gen, r->port);
}

/* ---- telling ISMs -------------------------------------------------------------------- */

static _Atomic uint32_t *replicas(struct npp_osm *o, unsigned i)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];

	if (!r->ext_off64)
		return NULL;
	if (r->proto == IPPROTO_UDP)
		return ((struct npp_udp *)osm_at64(o, r->ext_off64))->replica;
	return ((struct npp_listener *)osm_at64(o, r->ext_off64))->replica;
}

static void set_replica(struct npp_osm *o, unsigned i, unsigned s, uint32_t v)
{
	_Atomic uint32_t *r = replicas(o, i);

	if (r)
		atomic_store_explicit(&r[s], v, memory_order_release);
}

/* What slot S needs to take part: for a listener, an accept lane. 0 or -ENOMEM. */
static int prepare_slot(struct npp_osm *o, unsigned i, unsigned s)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];
	struct npp_listener *l;
	struct npp_udp *u;
	uint64_t off;

	if (r->proto == IPPROTO_UDP) {
		u = osm_at64(o, r->ext_off64);
		if (s >= u->n_slots)
			u->n_slots = s + 1;
		return 0;
	}
	l = osm_at64(o, r->ext_off64);
	if (!o->assoc[i].lane[s]) {
		off = osm_alloc(o, osm_accept_bytes(r->entries));
		if (!off)
			return -ENOMEM;
		((struct npp_accept_lane *)osm_at(o, off))->mask = r->entries - 1;
		o->assoc[i].lane[s] = (uint32_t)(off / 64);
		atomic_store_explicit(&l->lane_off64[s], (uint32_t)(off / 64), memory_order_release);
	}
	if (s >= l->n_slots)
		l->n_slots = s + 1;
	return 0;
}

static void tell(struct npp_osm *o, unsigned i, unsigned s)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];
	bool udp = r->proto == IPPROTO_UDP;
	struct npp_msg m = { .type = udp ? NPP_MSG_UDP_BIND : NPP_MSG_LISTEN, .sock = r->sock, .sock_gen = r->gen,
			     .addr = r->addr, .port = r->port, .off = (uint64_t)r->ext_off64 * 64 };

	if (!udp)
		m.arg = r->backlog;
	if (r->reuse & 1)
		m.flags |= NPP_LISTEN_REUSEPORT;
	if (r->reuse & 4)
		m.flags |= NPP_LISTEN_V6ONLY;
	if (udp) {
		struct npp_udp_out *out = &((struct npp_udp *)osm_at64(o, r->ext_off64))->out[s / NPP_MAX_IOPS];
		uint32_t home = atomic_load_explicit(&out->home, memory_order_relaxed);

		/* The first of each NPP sends what goes out by it, if the socket's home is at another. */
		if (!home || home > NPP_MAX_SLOTS || !o->slot[home - 1].up)
			atomic_store_explicit(&out->home, s + 1, memory_order_release);
		m.arg2 = r->order;
		if (r->reuse & 2)
			m.flags |= NPP_LISTEN_REUSEADDR;
		if (atomic_load_explicit(&o->sock[r->sock].fl, memory_order_acquire) & NPP_FL_CONNECTED)
			m.flags |= NPP_LISTEN_PEER;
	}
	if (r->state == OSM_AS_ACTIVE)
		m.flags |= NPP_LISTEN_REPLAY;
	osm_post(o, s, &m);
	osm_bit_set(&o->assoc[i].told, s);
	osm_bit_set(&o->assoc[i].wait, s);
}

static void tell_letgo(struct npp_osm *o, unsigned i, unsigned s)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];
	struct npp_msg m = { .type = r->proto == IPPROTO_UDP ? NPP_MSG_UDP_UNBIND : NPP_MSG_UNLISTEN,
			     .sock = r->sock, .sock_gen = r->gen };
	_Atomic uint32_t *rep = replicas(o, i);
	uint32_t h = rep ? atomic_load_explicit(&rep[s], memory_order_relaxed) : 0;

	m.ism_handle = h ? h - 1 : OSM_NO_HANDLE;
	osm_post(o, s, &m);
	osm_bit_set(&o->assoc[i].wait, s);
}

/* All that was waited for has come, or time is up. */
static void spread_done(struct npp_osm *o, unsigned i)
{
	struct osm_assoc *x = &o->assoc[i];

	osm_assoc_deadline(o, i, 0);
	set_state(o, i, OSM_AS_ACTIVE);
	if (x->err && osm_bits_none(&x->good)) {
		answer(o, i, x->err);
		osm_assoc_close(o, i, false);
		return;
	}
	answer(o, i, 0);
}

/* Tells every live ISM that may serve association I and was not told yet. */
void osm_assoc_spread(struct npp_osm *o, unsigned i)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];
	struct osm_assoc *x = &o->assoc[i];

	if (r->state != OSM_AS_SPREADING && r->state != OSM_AS_ACTIVE)
		return;
	for (unsigned s = 0; s < o->n_slots; s++) {
		int err;

		if (!o->slot[s].up || !(r->got >> (s / NPP_MAX_IOPS) & 1) || osm_bit(&x->told, s))
			continue;
		err = prepare_slot(o, i, s);
		if (err) {
			x->err = err;
			npp_warnx("port %u is not served by NPP %s, IOP %u: no memory", r->port,
				  o->npp[s / NPP_MAX_IOPS].name, s % NPP_MAX_IOPS);
			continue;
		}
		tell(o, i, s);
	}
	if (r->state == OSM_AS_SPREADING && osm_bits_none(&x->wait))
		spread_done(o, i);
}

/* ---- steps ----------------------------------------------------------------------------- */

static void pick_home(struct npp_osm *o, unsigned i)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];

	for (unsigned k = 0; k < o->n_slots; k++) {
		unsigned s = (o->udp_rotor + k) % o->n_slots;

		if (o->slot[s].up && (r->got >> (s / NPP_MAX_IOPS) & 1)) {
			o->sock[r->sock].slot = (uint8_t)s;
			o->udp_rotor = s + 1;
			return;
		}
	}
}

static int make_ext(struct npp_osm *o, unsigned i, uint64_t size)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	uint64_t off = osm_alloc(o, size);

	if (!off)
		return -ENOMEM;
	r->ext_off64 = (uint32_t)(off / 64);
	*(uint32_t *)osm_at(o, off) = r->sock; /* first field of both structs */
	return 0;
}

static void spread_start(struct npp_osm *o, unsigned i)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	struct npp_sock *s = &o->sock[r->sock];

	o->assoc[i].err = 0;
	if (r->proto == IPPROTO_TCP)
		s->type = NPP_SOCK_LISTENER;
	__atomic_store_n(&s->ext_off64, r->ext_off64, __ATOMIC_RELEASE);
	set_state(o, i, OSM_AS_SPREADING);
	osm_assoc_deadline(o, i, o->now + OSM_ANSWER_US);
	osm_assoc_spread(o, i);
}

/* ACTIVE -> SPREADING for a datagram socket: all ISMs hear of its peer, or that it has none. */
int osm_assoc_peer(struct npp_osm *o, unsigned i)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];

	if (r->proto != IPPROTO_UDP)
		return -EOPNOTSUPP;
	if (r->state != OSM_AS_ACTIVE)
		return -EBUSY;
	for (unsigned s = 0; s < o->n_slots; s++)
		if (o->slot[s].up) /* the others will be told when they come */
			osm_bit_clear(&o->assoc[i].told, s);
	spread_start(o, i);
	return 0;
}

/* BOUND -> SPREADING for a listener; the program is answered later. 0 or -errno. */
int osm_assoc_listen(struct npp_osm *o, unsigned i, uint32_t backlog)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	uint32_t n = ENTRIES_MIN;
	int err;

	if (osm_port_conflict(o, i, true))
		return -EADDRINUSE;
	while (n < backlog && n < ENTRIES_MAX)
		n *= 2;
	err = make_ext(o, i, sizeof(struct npp_listener));
	if (err)
		return err;
	r->backlog = backlog < ENTRIES_MAX ? backlog : ENTRIES_MAX;
	r->entries = n;
	((struct npp_listener *)osm_at64(o, r->ext_off64))->backlog = r->backlog;
	spread_start(o, i);
	return 0;
}

static void fail(struct npp_osm *o, unsigned i, int error)
{
	answer(o, i, error);
	osm_assoc_free(o, i);
}

/* All NPPs have answered for the port of association I (or ERROR). */
void osm_assoc_granted(struct npp_osm *o, unsigned i, int error)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	struct osm_assoc *x = &o->assoc[i];

	osm_assoc_deadline(o, i, 0);
	if (x->abandoned) {
		fail(o, i, -ECONNABORTED);
		return;
	}
	if (error) {
		osm_grants_release(o, i);
		if (error != -EADDRINUSE || !x->pick || x->tries++ >= MAX_TRIES || osm_port_pick(o, i))
			fail(o, i, error);
		else
			osm_grants_ask(o, i);
		return;
	}
	o->sock[r->sock].lport = r->port;
	set_state(o, i, OSM_AS_BOUND);
	if (r->proto == IPPROTO_UDP) {
		error = make_ext(o, i, sizeof(struct npp_udp));
		if (error) {
			fail(o, i, error);
			return;
		}
		pick_home(o, i);
		spread_start(o, i);
	} else if (x->then_listen) {
		error = osm_assoc_listen(o, i, r->backlog);
		if (error)
			fail(o, i, error);
	} else {
		answer(o, i, 0);
	}
}

/* The socket of association I goes. With FREE_RECORD the record is freed at the end. */
void osm_assoc_close(struct npp_osm *o, unsigned i, bool free_record)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	struct osm_assoc *x = &o->assoc[i];

	x->free_record |= free_record;
	switch (r->state) {
	case OSM_AS_GRANTING:
		x->abandoned = true;
		answer(o, i, -ECONNABORTED);
		return;
	case OSM_AS_BOUND:
		osm_assoc_free(o, i);
		return;
	case OSM_AS_SPREADING:
	case OSM_AS_ACTIVE:
		answer(o, i, -ECONNABORTED);
		x->wait = (struct osm_bits){ { 0 } };
		set_state(o, i, OSM_AS_CLOSING);
		osm_assoc_deadline(o, i, o->now + OSM_CLOSE_US);
		/* One that is not attached just now (we are new ourselves) is told when it is. */
		for (unsigned s = 0; s < NPP_MAX_SLOTS; s++)
			if (osm_bit(&x->told, s))
				tell_letgo(o, i, s);
		if (osm_bits_none(&x->wait))
			osm_assoc_free(o, i);
		return;
	default:
		return;
	}
}

/* ---- what ISMs answer, and their coming and going ------------------------------------------ */

void osm_assoc_answered(struct npp_osm *o, unsigned i, unsigned s, int error, uint32_t handle)
{
	struct osm_assoc *x = &o->assoc[i];

	if (o->books->assoc[i].state == OSM_AS_CLOSING)
		return; /* it crossed our message */
	osm_bit_clear(&x->wait, s);
	if (error) {
		x->err = error < 0 ? error : -EIO;
		npp_warnx("NPP %s, IOP %u cannot serve port %u: error %d", o->npp[s / NPP_MAX_IOPS].name,
			  s % NPP_MAX_IOPS, o->books->assoc[i].port, -x->err);
	} else {
		osm_bit_set(&x->good, s);
		set_replica(o, i, s, handle + 1);
	}
	if (o->books->assoc[i].state == OSM_AS_SPREADING && osm_bits_none(&x->wait))
		spread_done(o, i);
}

void osm_assoc_letgo(struct npp_osm *o, unsigned i, unsigned s)
{
	struct osm_assoc *x = &o->assoc[i];

	if (o->books->assoc[i].state != OSM_AS_CLOSING) {
		osm_proto_error(o, "let go of a socket unasked", s);
		return;
	}
	osm_bit_clear(&x->wait, s);
	osm_bit_clear(&x->told, s);
	set_replica(o, i, s, 0);
	if (osm_bits_none(&x->wait))
		osm_assoc_free(o, i);
}

/* The ISM of slot S said HELLO: all listeners and datagram sockets, again. First those that
 * end: others may have their ports by now. */
void osm_assoc_slot_up(struct npp_osm *o, unsigned s)
{
	for (unsigned i = 0; i < o->assoc_hi; i++)
		if (o->books->assoc[i].state == OSM_AS_CLOSING && osm_bit(&o->assoc[i].told, s))
			tell_letgo(o, i, s);
	for (unsigned i = 0; i < o->assoc_hi; i++) {
		uint32_t state = o->books->assoc[i].state;

		if (state != OSM_AS_SPREADING && state != OSM_AS_ACTIVE)
			continue;
		osm_bit_clear(&o->assoc[i].told, s);
		osm_assoc_spread(o, i);
	}
}

/* The ISM of slot S is down: nobody waits for its answers. LOST: it remembers nothing, so
 * nothing has to be taken back from it either. */
void osm_assoc_slot_gone(struct npp_osm *o, unsigned s, bool lost)
{
	unsigned hi = o->assoc_hi;

	for (unsigned i = 0; i < hi; i++) {
		struct osm_assoc *x = &o->assoc[i];
		uint32_t state = o->books->assoc[i].state;

		if (state != OSM_AS_SPREADING && state != OSM_AS_ACTIVE && state != OSM_AS_CLOSING)
			continue;
		if (lost) {
			osm_bit_clear(&x->told, s);
			osm_bit_clear(&x->good, s);
			set_replica(o, i, s, 0);
		}
		if (state == OSM_AS_CLOSING && !lost)
			continue;
		osm_bit_clear(&x->wait, s);
		if (!osm_bits_none(&x->wait))
			continue;
		if (state == OSM_AS_SPREADING)
			spread_done(o, i);
		else if (state == OSM_AS_CLOSING)
			osm_assoc_free(o, i);
	}
}

static void too_late(struct npp_osm *o, unsigned i)
{
	struct osm_assoc *x = &o->assoc[i];

	switch (o->books->assoc[i].state) {
	case OSM_AS_GRANTING:
		osm_assoc_granted(o, i, -ETIMEDOUT);
		break;
	case OSM_AS_SPREADING:
		for (unsigned s = 0; s < o->n_slots; s++)
			if (osm_bit(&x->wait, s))
				npp_warnx("NPP %s, IOP %u does not answer for port %u", o->npp[s / NPP_MAX_IOPS].name,
					  s % NPP_MAX_IOPS, o->books->assoc[i].port);
		spread_done(o, i);
		break;
	case OSM_AS_CLOSING:
		if (!x->patient) {
			x->patient = true;
			answer(o, i, 0);
			osm_assoc_deadline(o, i, o->now + OSM_LETGO_US);
			break;
		}
		for (unsigned s = 0; s < o->n_slots; s++)
			if (osm_bit(&x->wait, s) && o->slot[s].up)
				osm_proto_error(o, "does not let go of a socket", s);
		osm_assoc_free(o, i);
		break;
	default:
		osm_assoc_deadline(o, i, 0);
	}
}

void osm_assoc_tick(struct npp_osm *o)
{
	unsigned hi = o->assoc_hi;

	for (unsigned i = 0; i < hi && o->assoc_busy; i++)
		if (o->assoc[i].deadline && o->now >= o->assoc[i].deadline)
			too_late(o, i);
}

/* Associations whose record has become another's: the ISM freed a connected socket and
 * its word was lost, or a program freed what it should not have. */
void osm_assoc_gc(struct npp_osm *o)
{
	unsigned hi = o->assoc_hi;

	for (unsigned i = 0; i < hi; i++) {
		const struct osm_assoc_rec *r = &o->books->assoc[i];

		if (r->state != OSM_AS_FREE && r->state != OSM_AS_CLOSING &&
		    atomic_load_explicit(&o->sock[r->sock].gen, memory_order_acquire) != r->gen)
			osm_assoc_close(o, i, false);
	}
}
