/* SPDX-License-Identifier: GPL-2.0-or-later
 * port.c - who may bind which port
 *
 * Between the sockets of this host the OSM judges, as Linux does. Between hosts the
 * nppd of each NPP that has the address judges: it is asked (PORT_GRANT), and what
 * it granted is given back with the last socket of the host on that address and port.
 */
#include "config.h"

#include <netinet/in.h>

#include "npp-osm/daemon/priv.h"

#define REUSEPORT 1u
#define REUSEADDR 2u
#define EPHEMERAL_FIRST 32768u
#define EPHEMERAL_COUNT 28232u
#define OP_BITS 20

#define V6ONLY 4u
#define TAKES_V4 1u
#define TAKES_V6 2u
/* The families whose packets reach a socket. */
static unsigned families(const struct osm_assoc_rec *r)
{
	if (npp_addr_is_v4(&r->addr))
		return TAKES_V4;
	return npp_addr_is_any(&r->addr) && !(r->reuse & V6ONLY) ? TAKES_V4 | TAKES_V6 : TAKES_V6;
}

static bool overlap(const struct osm_assoc_rec *a, const struct osm_assoc_rec *b)
{
	if (!(families(a) & families(b)))
		return false;
	return npp_addr_eq(&a->addr, &b->addr) || npp_addr_is_any(&a->addr) || npp_addr_is_any(&b->addr);
}

static bool listens(const struct osm_assoc_rec *r)
{
	return r->proto == IPPROTO_TCP && (r->state == OSM_AS_SPREADING || r->state == OSM_AS_ACTIVE);
}

static bool conflict(const struct osm_assoc_rec *a, const struct osm_assoc_rec *b, bool listening)
{
	unsigned both = a->reuse & b->reuse;

	if (b->state == OSM_AS_FREE || b->state == OSM_AS_CLOSING || a->proto != b->proto || a->port != b->port ||
	    !overlap(a, b))
		return false;
	if ((both & REUSEPORT) && a->uid == b->uid)
		return false;
	if (listening)
		return listens(b);
	return !((both & REUSEADDR) && !listens(b));
}

/* Does association I clash with another socket of this host: when it binds, or
 * (LISTENING) when it begins to listen? */
bool osm_port_conflict(const struct npp_osm *o, unsigned i, bool listening)
{
	for (unsigned k = 0; k < o->assoc_hi; k++)
		if (k != i && conflict(&o->books->assoc[i], &o->books->assoc[k], listening))
			return true;
	return false;
}

static bool port_free(const struct npp_osm *o, unsigned i, uint16_t port)
{
	unsigned proto = o->books->assoc[i].proto;

	for (unsigned k = 0; k < o->assoc_hi; k++) {
		const struct osm_assoc_rec *r = &o->books->assoc[k];

		if (k != i && r->state != OSM_AS_FREE && r->proto == proto && r->port == port)
			return false;
	}
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++) {
		const struct npp_global *g = o->npp[a].global.base;

		if (o->npp[a].attached &&
		    (atomic_load_explicit(&g->granted[proto == IPPROTO_UDP][port / 64], memory_order_relaxed) >>
			     (port % 64) & 1))
			return false;
	}
	return true;
}

/* Picks an ephemeral port for association I. 0 or -EADDRINUSE. */
int osm_port_pick(struct npp_osm *o, unsigned i)
{
	for (unsigned k = 0; k < 256; k++) {
		uint16_t port = (uint16_t)(EPHEMERAL_FIRST + osm_random(o) % EPHEMERAL_COUNT);

		if (port_free(o, i, port)) {
			o->books->assoc[i].port = port;
			return 0;
		}
	}
	return -EADDRINUSE;
}

/* Does another association hold the same grant of attachment A? */
static bool shared(const struct npp_osm *o, unsigned i, unsigned a)
{
	const struct osm_assoc_rec *r = &o->books->assoc[i];

	for (unsigned k = 0; k < o->assoc_hi; k++) {
		const struct osm_assoc_rec *x = &o->books->assoc[k];

		if (k != i && x->state != OSM_AS_FREE && x->proto == r->proto && x->port == r->port &&
		    npp_addr_eq(&x->addr, &r->addr) && families(x) == families(r) && ((x->got | o->assoc[k].wait_npps) >> a & 1))
			return true;
	}
	return false;
}

static struct npp_ctl_port body_of(const struct osm_assoc_rec *r)
{
	return (struct npp_ctl_port){ .addr = r->addr, .port = r->port, .proto = r->proto,
				      .reuse = r->reuse, .uid = r->uid };
}

static bool ask_one(struct npp_osm *o, unsigned i, unsigned a)
{
	struct npp_ctl_port body = body_of(&o->books->assoc[i]);
	struct osm_assoc *x = &o->assoc[i];

	if (osm_npp_send(o, a, NPP_CTL_PORT_GRANT, x->op << 12 | i, &body, sizeof body))
		return false;
	x->wait_npps |= 1u << a;
	return true;
}

/* Asks every NPP that has the address of association I for its port; the outcome goes to
 * osm_assoc_granted(), at once if nobody need be asked. */
void osm_grants_ask(struct npp_osm *o, unsigned i)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	struct osm_assoc *x = &o->assoc[i];

	x->op = (x->op + 1) & ((1u << OP_BITS) - 1);
	x->wait_npps = 0;
	x->err = 0;
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++) {
		if (!o->npp[a].attached || !osm_npp_has_addr(o, a, &r->addr))
			continue;
		if (shared(o, i, a))
			r->got |= 1u << a;
		else
			ask_one(o, i, a);
	}
	if (x->wait_npps)
		osm_assoc_deadline(o, i, o->now + OSM_ANSWER_US);
	else
		osm_assoc_granted(o, i, 0);
}

/* Attachment A answers the request SEQ. */
void osm_grants_answer(struct npp_osm *o, unsigned a, uint32_t seq, int error)
{
	unsigned i = seq & (OSM_MAX_ASSOC - 1);
	struct osm_assoc_rec *r = &o->books->assoc[i];
	struct osm_assoc *x = &o->assoc[i];

	if (r->state == OSM_AS_FREE || x->op != seq >> 12 || !(x->wait_npps >> a & 1))
		return; /* released meanwhile */
	x->wait_npps &= ~(1u << a);
	if (error)
		x->err = error;
	else
		r->got |= 1u << a;
	if (r->state == OSM_AS_GRANTING) {
		if (!x->wait_npps)
			osm_assoc_granted(o, i, x->err);
		return;
	}
	if (error)
		npp_warnx("NPP %s refuses port %u, which this host has bound", o->npp[a].name, r->port);
	osm_assoc_save(o, i);
	osm_assoc_spread(o, i);
}

/* Gives back what association I has been granted or has asked for. */
void osm_grants_release(struct npp_osm *o, unsigned i)
{
	struct osm_assoc_rec *r = &o->books->assoc[i];
	struct npp_ctl_port body = body_of(r);
	uint32_t had = r->got | o->assoc[i].wait_npps;

	r->got = 0;
	o->assoc[i].wait_npps = 0;
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		if ((had >> a & 1) && o->npp[a].attached && !shared(o, i, a))
			osm_npp_send(o, a, NPP_CTL_PORT_RELEASE, 0, &body, sizeof body);
}

/* Attachment A is new: it hears of all ports of this host. */
void osm_grants_replay(struct npp_osm *o, unsigned a)
{
	for (unsigned i = 0; i < o->assoc_hi; i++) {
		struct osm_assoc_rec *r = &o->books->assoc[i];

		if (r->state == OSM_AS_FREE || r->state == OSM_AS_CLOSING || !osm_npp_has_addr(o, a, &r->addr) ||
		    (o->assoc[i].wait_npps >> a & 1))
			continue;
		ask_one(o, i, a);
	}
}

void osm_grants_npp_gone(struct npp_osm *o, unsigned a)
{
	for (unsigned i = 0; i < o->assoc_hi; i++) {
		struct osm_assoc_rec *r = &o->books->assoc[i];
		uint32_t waited = o->assoc[i].wait_npps;

		if (r->state == OSM_AS_FREE)
			continue;
		r->got &= ~(1u << a);
		o->assoc[i].wait_npps &= ~(1u << a);
		if (r->state == OSM_AS_GRANTING && waited && !o->assoc[i].wait_npps)
			osm_assoc_granted(o, i, o->assoc[i].err);
	}
}
