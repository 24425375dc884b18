/* SPDX-License-Identifier: GPL-2.0-or-later
 * ism.c - what ISMs say to the OSM
 *
 * One handler per message type; a type without one is a protocol error. Every field is
 * the word of another trust domain and is checked against our own records.
 */
#include "config.h"

#include <netinet/in.h>

#include "npp-osm/daemon/priv.h"

/* Counts WHAT the ISM of slot S did; says it now and then. */
void osm_proto_error(struct npp_osm *o, const char *what, unsigned s)
{
	uint64_t n = atomic_load_explicit(&o->stat[NPP_OS_PROTO_ERRORS], memory_order_relaxed);

	npp_stat_inc(o->stat, NPP_OS_PROTO_ERRORS);
	if ((n & (n - 1)) == 0)
		npp_warnx("NPP %s, IOP %u %s (protocol error %llu)", o->npp[s / NPP_MAX_IOPS].name,
			  s % NPP_MAX_IOPS, what, (unsigned long long)n + 1);
}

/* The ISM of slot S does not answer for now; its sessions stand in its region. */
void osm_slot_down(struct npp_osm *o, unsigned s)
{
	struct osm_slot *sl = &o->slot[s];

	if (!sl->up)
		return;
	sl->up = false;
	atomic_fetch_and_explicit(&o->host->attach[s / NPP_MAX_IOPS].iop_up, ~(1u << s % NPP_MAX_IOPS),
				  memory_order_release);
	osm_assoc_slot_gone(o, s, false);
}

static void on_hello(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	unsigned a = s / NPP_MAX_IOPS, iop = s % NPP_MAX_IOPS;

	if (m->arg != iop || m->arg2 > NPP_ISM_HANDLE_BITS) {
		osm_proto_error(o, "said a wrong HELLO", s);
		return;
	}
	/* What nppd said before this ISM started comes first. */
	osm_npp_input(o, a);
	if (!o->slot[s].mapped)
		return;
	osm_slot_down(o, s);
	o->slot[s].forgot = false;
	if (m->flags & NPP_HELLO_FRESH)
		osm_slot_lost(o, s);
	o->slot[s].up = true;
	osm_lend_records(o, s);
	osm_extents_replay(o, s);
	osm_assoc_slot_up(o, s);
	atomic_fetch_or_explicit(&o->host->attach[a].iop_up, 1u << iop, memory_order_release);
	npp_debug("NPP %s, IOP %u serves us", o->npp[a].name, iop);
}

/* The association that M is about, or -1 and counted. */
static int assoc_of(struct npp_osm *o, unsigned s, const struct npp_msg *m, uint8_t proto, const char *what)
{
	int i = osm_assoc_find(o, m->sock, m->sock_gen);

	if (i >= 0 && o->books->assoc[i].proto == proto && osm_bit(&o->assoc[i].told, s))
		return i;
	osm_proto_error(o, what, s);
	return -1;
}

static void on_listening(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	int i = assoc_of(o, s, m, IPPROTO_TCP, "answered for a listener that is none");

	if (i >= 0)
		osm_assoc_answered(o, (unsigned)i, s, m->error, m->ism_handle);
}

static void on_udp_bound(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	int i = assoc_of(o, s, m, IPPROTO_UDP, "answered for a datagram socket that is none");

	if (i >= 0)
		osm_assoc_answered(o, (unsigned)i, s, m->error, m->ism_handle);
}

/* Has slot S let go already of the socket that M is about? It was told twice, or our predecessor saw
 * that; others may still have it. */
static bool gone(const struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	int i = osm_assoc_find(o, m->sock, m->sock_gen);

	if (i < 0)
		return m->sock <= o->sock_prog_count;
	return o->books->assoc[i].state == OSM_AS_CLOSING && !osm_bit(&o->assoc[i].told, s);
}

static void on_unlistened(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	int i = gone(o, s, m) ? -1 : assoc_of(o, s, m, IPPROTO_TCP, "let go of a listener that is none");

	if (i >= 0)
		osm_assoc_letgo(o, (unsigned)i, s);
}

static void on_udp_unbound(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	int i = gone(o, s, m) ? -1 : assoc_of(o, s, m, IPPROTO_UDP, "let go of a datagram socket that is none");

	if (i >= 0)
		osm_assoc_letgo(o, (unsigned)i, s);
}

static void on_need_extent(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	if (!o->slot[s].up)
		osm_proto_error(o, "wants memory before HELLO", s);
	else
		osm_extent_grant(o, s, m->arg);
}

/* A record of ours is free: the port that it was bound to is, too. */
static void on_freed(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	uint32_t a;

	if (m->sock == 0) {
		if (osm_extent_return(o, s, m->off, m->arg2))
			osm_proto_error(o, "gave back memory that it did not have", s);
		return;
	}
	if (m->sock > o->sock_prog_count) {
		osm_proto_error(o, "freed a record that is not ours", s);
		return;
	}
	a = o->assoc_of[m->sock];
	if (a == 0)
		return;
	if (atomic_load_explicit(&o->sock[m->sock].gen, memory_order_acquire) != o->books->assoc[a - 1].gen)
		osm_assoc_close(o, a - 1, false);
}

typedef void (*handler)(struct npp_osm *o, unsigned s, const struct npp_msg *m);
static const handler handlers[NPP_MSG_OUTBOUND_END - NPP_MSG_HELLO] = {
	[NPP_MSG_HELLO - NPP_MSG_HELLO] = on_hello,
	[NPP_MSG_LISTENING - NPP_MSG_HELLO] = on_listening,
	[NPP_MSG_UNLISTENED - NPP_MSG_HELLO] = on_unlistened,
	[NPP_MSG_UDP_BOUND - NPP_MSG_HELLO] = on_udp_bound,
	[NPP_MSG_UDP_UNBOUND - NPP_MSG_HELLO] = on_udp_unbound,
	[NPP_MSG_NEED_EXTENT - NPP_MSG_HELLO] = on_need_extent,
	[NPP_MSG_FREED - NPP_MSG_HELLO] = on_freed,
};

void osm_ism_message(struct npp_osm *o, unsigned s, const struct npp_msg *m)
{
	unsigned t = (unsigned)m->type - NPP_MSG_HELLO;

	/* Of a life before only that a record is free still means something. */
	if (o->slot[s].forgot && m->type != NPP_MSG_HELLO && (m->type != NPP_MSG_FREED || !m->sock))
		return;
	if (t < sizeof handlers / sizeof *handlers && handlers[t])
		handlers[t](o, s, m);
	else
		osm_proto_error(o, "sent a message of a wrong type", s);
}
