/* SPDX-License-Identifier: GPL-2.0-or-later
 * npp.c - attachments: the NPPs that serve this host
 *
 * nppd of the host hands us a connection to the nppd of an NPP (again after it broke).
 * We send host memory and all doorbells; ATTACHED brings the NPP's global region,
 * the doorbells of its ISMs and the inbound regions. Then there are lanes for every
 * context, and each ISM finds ours and says HELLO (ism.c).
 */
#include "config.h"

#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"

#define ROOM_MS 200

#define BELLS_AT_ONCE 128

/* Closes what ATTACHED brought. */
void osm_npp_close_fds(struct npp_osm *o, unsigned a)
{
	struct osm_npp *n = &o->npp[a];

	if (n->global_fd >= 0)
		close(n->global_fd);
	n->global_fd = -1;
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++) {
		if (n->bell_fd[i] >= 0)
			close(n->bell_fd[i]);
		if (n->inbound_fd[i] >= 0)
			close(n->inbound_fd[i]);
		n->bell_fd[i] = n->inbound_fd[i] = -1;
	}
	npp_region_unmap(&n->global);
}

static void set_state(struct npp_osm *o, unsigned a, uint32_t state)
{
	atomic_store_explicit(&o->host->attach[a].state, state, memory_order_release);
}

/* The end of a program with hundreds of ports is as many messages: nppd gets a moment to read them, since what
 * is not sent to it is never said again. */
static bool has_room(int fd)
{
	for (unsigned ms = 0; osm_would_block(fd); ms++)
		if (ms == ROOM_MS)
			return false;
		else
			poll(NULL, 0, 1);
	return true;
}

/* A message to the nppd of attachment A. 0 or -errno; then it is closed soon. */
static int send_fds(struct npp_osm *o, unsigned a, unsigned type, uint32_t seq, const void *body, size_t len,
		    const int *fds, unsigned nfds)
{
	struct osm_npp *n = &o->npp[a];
	int err = n->fd < 0 || n->broken ? -ENOTCONN : 0;

	if (!err && !has_room(n->fd))
		err = -EAGAIN;
	if (!err)
		err = npp_ctl_send(n->fd, (uint16_t)type, seq, 0, body, len, fds, nfds);
	if (err && n->fd >= 0 && !n->broken) {
		npp_warnx("NPP %s does not take a message: %s", n->name, strerror(-err));
		n->broken = true;
	}
	return err;
}

int osm_npp_send(struct npp_osm *o, unsigned a, unsigned type, uint32_t seq, const void *body, size_t len)
{
	return send_fds(o, a, type, seq, body, len, NULL, 0);
}

static int send_attach(struct npp_osm *o, unsigned a)
{
	struct npp_ctl_attach body = { .abi_version = NPP_ABI_VERSION, .attach = a,
				       .layout_hash = npp_abi_layout_hash(), .grace_ms = o->grace_ms };
	int err;

	memcpy(body.host, o->name, sizeof body.host);
	err = send_fds(o, a, NPP_CTL_ATTACH, 1, &body, sizeof body, &o->host_fd, 1);
	for (unsigned first = 0; first < NPP_MAX_CTX && !err; first += BELLS_AT_ONCE) {
		struct npp_ctl_bells b = { .first = first, .count = BELLS_AT_ONCE };

		err = send_fds(o, a, NPP_CTL_BELLS, 0, &b, sizeof b, o->bell + first, BELLS_AT_ONCE);
	}
	return err ? err : send_fds(o, a, NPP_CTL_ATTACH_DONE, 0, NULL, 0, NULL, 0);
}

/* The connection to the nppd of attachment A broke. That may be all that broke: nppd keeps
 * our place for a moment, and so do we. */
static void npp_down(struct npp_osm *o, unsigned a)
{
	struct osm_npp *n = &o->npp[a];

	if (n->fd < 0)
		return;
	close(n->fd);
	n->fd = -1;
	n->broken = false;
	set_state(o, a, 3);
	if (!n->attached || n->lost_at)
		return;
	n->lost_at = o->now + OSM_GRACE_US;
	n->was_up = atomic_load_explicit(&o->host->attach[a].iop_up, memory_order_relaxed);
	for (unsigned i = 0; i < n->n_iops; i++)
		osm_slot_down(o, osm_slot_of(a, i));
	npp_warnx("the connection to NPP %s is gone", n->name);
}

/* A connection FD to the nppd of NPP C->attach; ours now. */
void osm_npp_conn(struct npp_osm *o, const struct npp_ctl_npp_conn *c, int fd)
{
	struct osm_npp *n;

	if (c->attach >= o->n_npps) {
		npp_warnx("nppd names attachment %u of %u", c->attach, o->n_npps);
		close(fd);
		return;
	}
	n = &o->npp[c->attach];
	npp_down(o, c->attach);
	memcpy(n->name, c->name, sizeof n->name);
	n->name[sizeof n->name - 1] = 0;
	n->fd = fd;
	n->serial = ++o->serial;
	n->broken = false;
	memset(o->host->attach[c->attach].name, 0, sizeof o->host->attach[0].name);
	memcpy(o->host->attach[c->attach].name, n->name, sizeof n->name);
	set_state(o, c->attach, 1);
	if (osm_poll_add(o, fd, OSM_EV_NPP, c->attach, n->serial))
		n->broken = true;
	else
		send_attach(o, c->attach);
}

/* ---- the end -------------------------------------------------------------------------------------- */

/* Attachment A is gone, with the sessions of its ISMs. */
static void npp_lost(struct npp_osm *o, unsigned a)
{
	struct osm_npp *n = &o->npp[a];
	bool was = n->attached;

	n->attached = false;
	n->lost_at = 0;
	for (unsigned i = 0; i < NPP_MAX_IOPS; i++) {
		unsigned s = osm_slot_of(a, i);
		bool mapped = o->slot[s].mapped;

		osm_slot_down(o, s);
		osm_slot_unmap(o, s);
		if (was && mapped)
			osm_slot_lost(o, s);
		o->books->slot[s].inbound = o->books_shm->slot[s].inbound = 0;
		if (mapped)
			osm_ctx_withdraw_lane(o, s);
	}
	atomic_store_explicit(&o->host->attach[a].iop_up, 0, memory_order_release);
	while (o->n_slots && !o->slot[o->n_slots - 1].mapped)
		o->n_slots--;
	osm_npp_close_fds(o, a);
	osm_grants_npp_gone(o, a);
	if (was)
		npp_warnx("NPP %s is lost, with its sessions", n->name);
}

void osm_npp_tick(struct npp_osm *o)
{
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		if (o->npp[a].lost_at && o->now >= o->npp[a].lost_at)
			npp_lost(o, a);
}

void osm_npp_reap_broken(struct npp_osm *o)
{
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++)
		if (o->npp[a].broken)
			npp_down(o, a);
}

/* ---- what nppd says --------------------------------------------------------------------------- */

/* Takes the descriptors of ATTACHED and maps. 0 or -errno with everything undone later. */
static int take_regions(struct npp_osm *o, unsigned a, struct npp_ctl_msg *m)
{
	struct osm_npp *n = &o->npp[a];
	const struct npp_global *g;
	int err;

	n->global_fd = npp_ctl_take_fd(m, 0);
	for (unsigned i = 0; i < n->n_iops; i++) {
		n->bell_fd[i] = npp_ctl_take_fd(m, 1 + i);
		n->inbound_fd[i] = npp_ctl_take_fd(m, 1 + n->n_iops + i);
		if (n->bell_fd[i] < 0 || n->inbound_fd[i] < 0)
			return -EPROTO;
	}
	err = npp_region_map(&n->global, n->global_fd, false, 0, NPP_REGION_GLOBAL, npp_abi_layout_hash());
	if (err)
		return err;
	g = n->global.base;
	if (n->global.size < sizeof *g || g->n_iops != n->n_iops)
		return -EPROTO;
	for (unsigned i = 0; i < n->n_iops && !err; i++)
		err = osm_slot_map(o, osm_slot_of(a, i), n->inbound_fd[i]);
	return err ? err : osm_ctx_lanes_for_attach(o, a);
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Do the inbound regions in M say that attachment A never went away? */
static bool same_life(const struct npp_osm *o, unsigned a, const struct npp_ctl_msg *m, const struct npp_ctl_attached *r)
{
	const struct osm_npp *n = &o->npp[a];

	if (r->host_no != n->host_no || r->n_iops != n->n_iops)
		return false;
	for (unsigned i = 0; i < n->n_iops; i++)
		if (!same_file(n->inbound_fd[i], m->fds[1 + n->n_iops + i]))
			return false;
	return true;
}

static uint64_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* Inbound regions that our predecessor did not have: the NPP took the host for failed while there was
 * no OSM, and its ISMs have forgotten it, though programs may have sockets of theirs. Written
 * down last, so that a successor of ours comes to the same judgement until it is done. */
static void lost_meanwhile(struct npp_osm *o, unsigned a, const struct npp_ctl_msg *m)
{
	const struct osm_npp *n = &o->npp[a];

	for (unsigned i = 0; i < n->n_iops; i++) {
		unsigned s = osm_slot_of(a, i);
		uint64_t now = inode(m->fds[1 + n->n_iops + i]), *then = &o->books->slot[s].inbound;

		if (*then == now)
			continue;
		if (*then) {
			atomic_fetch_and_explicit(&o->host->attach[a].iop_up, ~(1u << i), memory_order_release);
			osm_slot_lost(o, s);
			o->slot[s].forgot = true;
			npp_warnx("NPP %s, IOP %u has forgotten this host meanwhile", n->name, i);
		}
		*then = now;
		o->books_shm->slot[s].inbound = now;
	}
}

/* The ISMs in UP serve us without having said HELLO: they never stopped. */
static void go_on(struct npp_osm *o, unsigned a, uint32_t up)
{
	atomic_store_explicit(&o->host->attach[a].iop_up, up, memory_order_release);
	set_state(o, a, 2);
	for (unsigned i = 0; i < o->npp[a].n_iops; i++)
		if (up >> i & 1) {
			o->slot[osm_slot_of(a, i)].up = true;
			osm_assoc_slot_up(o, osm_slot_of(a, i));
		}
	osm_ring_isms(o);
}

static int check_attached(const struct osm_npp *n, const struct npp_ctl_msg *m, struct npp_ctl_attached *r)
{
	if (m->hdr.error)
		return m->hdr.error;
	if ((n->attached && !n->lost_at) || m->hdr.len != sizeof *r)
		return -EPROTO;
	memcpy(r, m->body, sizeof *r);
	if (r->host_no >= NPP_MAX_HOSTS || r->n_iops == 0 || r->n_iops > NPP_MAX_IOPS ||
	    m->hdr.nfds != 1 + 2 * r->n_iops)
		return -EPROTO;
	return 0;
}

static void on_attached(struct npp_osm *o, unsigned a, struct npp_ctl_msg *m)
{
	struct osm_npp *n = &o->npp[a];
	struct npp_ctl_attached r = { 0 };
	int err = check_attached(n, m, &r);

	if (!err && n->lost_at && same_life(o, a, m, &r)) {
		n->lost_at = 0;
		osm_grants_replay(o, a);
		go_on(o, a, n->was_up & r.iop_up);
		npp_info("NPP %s is connected again", n->name);
		return;
	}
	if (!err && n->lost_at)
		npp_lost(o, a);
	if (!err) {
		n->host_no = o->host->attach[a].host_no = r.host_no;
		n->n_iops = o->host->attach[a].n_iops = r.n_iops;
		lost_meanwhile(o, a, m);
		err = take_regions(o, a, m);
	}
	if (err) {
		npp_warnx("NPP %s: cannot attach: %s", n->name, strerror(-err));
		if (!n->lost_at)
			npp_lost(o, a); /* what was mapped before it failed */
		n->broken = true;
		return;
	}
	n->attached = true;
	if (!n->epoch) /* goes on where a predecessor was */
		n->epoch = atomic_load_explicit(&o->host->attach[a].epoch, memory_order_relaxed);
	n->epoch += n->epoch == UINT32_MAX ? 2 : 1;
	atomic_store_explicit(&o->host->attach[a].epoch, n->epoch, memory_order_release);
	osm_grants_replay(o, a);
	/* After a restart of ours alone the ISMs are still there and need not say HELLO. */
	go_on(o, a, atomic_load_explicit(&o->host->attach[a].iop_up, memory_order_relaxed) & r.iop_up);
	npp_info("NPP %s serves this host with %u IOPs", n->name, n->n_iops);
}

static void on_iop_state(struct npp_osm *o, unsigned a, struct npp_ctl_msg *m)
{
	struct npp_ctl_iop r;

	if (m->hdr.len != sizeof r)
		return;
	memcpy(&r, m->body, sizeof r);
	if (!o->npp[a].attached || r.iop >= o->npp[a].n_iops) {
		osm_proto_error(o, "is not known, but its nppd speaks of it", osm_slot_of(a, r.iop % NPP_MAX_IOPS));
		return;
	}
	if (!r.up)
		osm_slot_down(o, osm_slot_of(a, r.iop)); /* up again: by its HELLO */
}

/* Messages of the nppd of attachment A. */
void osm_npp_input(struct npp_osm *o, unsigned a)
{
	struct osm_npp *n = &o->npp[a];

	for (unsigned k = 0; k < 64 && n->fd >= 0 && !n->broken; k++) {
		int r = npp_ctl_recv(n->fd, &o->msg, o->body, NPP_CTL_MAX_BODY, 0);

		if (r == -EAGAIN)
			return;
		if (r != 1) {
			n->broken = true;
			return;
		}
		switch (o->msg.hdr.type) {
		case NPP_CTL_ATTACHED:
			on_attached(o, a, &o->msg);
			break;
		case NPP_CTL_PORT_GRANTED:
			osm_grants_answer(o, a, o->msg.hdr.seq, o->msg.hdr.error);
			break;
		case NPP_CTL_IOP_STATE:
			on_iop_state(o, a, &o->msg);
			break;
		case NPP_CTL_PING:
			osm_npp_send(o, a, NPP_CTL_PONG, o->msg.hdr.seq, NULL, 0);
			break;
		default:
			npp_warnx("NPP %s sends a message of type %u", n->name, o->msg.hdr.type);
		}
		npp_ctl_close_fds(&o->msg);
	}
}

/* ---- addresses -------------------------------------------------------------------------------------- */

/* Is ADDR one of attachment A's? The wildcard is everybody's. Seqlock: pairs with nppd's
 * stores to net_seq. */
bool osm_npp_has_addr(const struct npp_osm *o, unsigned a, const union npp_addr *addr)
{
	const struct npp_global *g = o->npp[a].global.base;

	if (npp_addr_is_any(addr) || (g && npp_addr_is_multicast(addr)))
		return true;
	for (unsigned tries = 0; g && tries < 1000; tries++) {
		uint32_t seq = atomic_load_explicit(&g->net_seq, memory_order_acquire), n;
		bool hit = false;

		if (seq & 1)
			continue;
		n = __atomic_load_n(&g->n_addrs, __ATOMIC_RELAXED);
		for (unsigned i = 0; i < n && i < NPP_MAX_IF_ADDRS; i++)
			hit |= npp_addr_eq(&g->addr[i].addr, addr);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&g->net_seq, memory_order_relaxed) == seq)
			return hit;
	}
	return false;
}
