/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_bind.c - ports, listeners and datagram sockets, and their replicas
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"
#include "tests/unit/osm/fake.h"
#include "tests/unit/suite.h"

#define REUSEPORT 1
#define REUSEADDR 2

static const unsigned sizes[] = { 1, 3, 4 };

struct prog { struct fake *f; int sock; uint32_t proc, ctx; unsigned fd; };

static struct prog start(unsigned n_npps, unsigned n_iops)
{
	struct prog p = { .f = fake_new(n_npps), .fd = 3 };

	for (unsigned a = 0; a < n_npps; a++)
		fake_attach(p.f, a, n_iops);
	p.sock = fake_prog(p.f, &p.proc);
	p.ctx = fake_ctx_open(p.f, p.sock);
	return p;
}

static void finish(struct prog *p)
{
	fake_settle(p->f);
	close(p->sock);
	fake_free(p->f);
}

static uint32_t new_sock(struct prog *p, unsigned type)
{
	uint32_t s = fake_sock(p->f, p->ctx, type);

	fake_fd_set(p->f, p->proc, p->fd++, s);
	return s;
}

static int call(struct prog *p, unsigned type, uint32_t s, const char *addr, uint16_t *port, uint8_t proto, uint8_t reuse)
{
	struct npp_ctl_bind b = fake_bind_body(p->f, s, addr, *port, proto);
	int err;

	b.reuse = reuse;
	err = fake_call(p->f, p->sock, type, &b, sizeof b, &b, sizeof b);
	if (!err)
		*port = b.port;
	return err;
}

static int bind_to(struct prog *p, uint32_t s, const char *addr, uint16_t port, uint8_t reuse)
{
	return call(p, NPP_CTL_BIND, s, addr, &port, p->f->sock[s].type == NPP_SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP, reuse);
}

static int listen_on(struct prog *p, uint32_t s, const char *addr, uint16_t port, uint8_t reuse)
{
	return call(p, NPP_CTL_LISTEN, s, addr, &port, IPPROTO_TCP, reuse);
}

/* The last descriptor of S goes. */
static void drop(struct prog *p, uint32_t s)
{
	struct npp_ctl_bind b = { .sock = s, .gen = atomic_load(&p->f->sock[s].gen) };

	for (unsigned fd = 3; fd < p->fd; fd++)
		if ((uint32_t)atomic_load(fake_fd(p->f, p->proc, fd)) == s + 1)
			atomic_store(fake_fd(p->f, p->proc, fd), 0);
	atomic_store(&p->f->sock[s].refs, 0);
	ck_assert_int_eq(fake_call(p->f, p->sock, NPP_CTL_CLOSE, &b, sizeof b, NULL, 0), 0);
}

static struct npp_listener *listener_of(struct fake *f, uint32_t s)
{
	return (void *)((uint8_t *)f->host + f->sock[s].ext_off64 * 64ull);
}

/* Hosts may share a port that they name, never one that was picked for one of them. */
START_TEST(picked_ports_are_asked_for_alone)
{
	struct prog p = start(1, 1);
	uint32_t a = new_sock(&p, NPP_SOCK_STREAM), b = new_sock(&p, NPP_SOCK_STREAM);

	ck_assert_int_eq(bind_to(&p, a, "0.0.0.0", 80, REUSEADDR | NPP_PORT_ALONE), 0);
	ck_assert_uint_eq(p.f->npp[0].last_reuse, REUSEADDR);
	ck_assert_int_eq(bind_to(&p, b, "0.0.0.0", 0, 0), 0);
	ck_assert_uint_eq(p.f->npp[0].last_reuse, NPP_PORT_ALONE);
	drop(&p, a);
	drop(&p, b);
	finish(&p);
}
END_TEST

START_TEST(who_closes_a_listener_waits_until_no_ism_serves_it_but_not_for_ever)
{
	struct prog p = start(1, 2);
	uint32_t a = new_sock(&p, NPP_SOCK_STREAM), b = new_sock(&p, NPP_SOCK_STREAM);
	uint64_t then;

	ck_assert_int_eq(listen_on(&p, a, "0.0.0.0", 80, 0), 0);
	ck_assert_int_eq(listen_on(&p, b, "0.0.0.0", 81, 0), 0);
	drop(&p, a);
	ck_assert_uint_eq(atomic_load(&p.f->sock[a].owner), 0); /* when it is answered, all is done */
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(fake_logged(&p.f->npp[0].ism[i], NPP_MSG_UNLISTEN, NULL), 1);
	p.f->npp[0].ism[1].live = false;
	then = p.f->now;
	drop(&p, b);
	ck_assert_uint_ge(p.f->now - then, OSM_CLOSE_US);
	ck_assert_uint_lt(p.f->now - then, OSM_CLOSE_US + 100000);
	ck_assert_uint_ne(atomic_load(&p.f->sock[b].owner), 0);
	p.f->npp[0].ism[1].live = true;
	FAKE_UNTIL(p.f, atomic_load(&p.f->sock[b].owner) == 0);
	finish(&p);
}
END_TEST

START_TEST(listener_is_replicated_to_every_ism_and_taken_back)
{
	struct prog p = start(2, sizes[_i]);
	uint64_t before = fake_settle(p.f).heap_used;
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM);
	struct npp_listener *l;

	ck_assert_int_eq(bind_to(&p, s, "0.0.0.0", 80, 0), 0);
	ck_assert_int_eq(listen_on(&p, s, "0.0.0.0", 80, 0), 0);
	ck_assert_uint_eq(p.f->sock[s].type, NPP_SOCK_LISTENER);
	ck_assert_uint_eq(p.f->sock[s].lport, 80);
	l = listener_of(p.f, s);
	ck_assert_uint_eq(l->n_slots, NPP_MAX_IOPS + sizes[_i]);
	ck_assert_uint_eq(l->sock, s);
	for (unsigned a = 0; a < 2; a++)
		for (unsigned i = 0; i < sizes[_i]; i++) {
			struct npp_msg m = { 0 };
			unsigned slot = a * NPP_MAX_IOPS + i;
			struct npp_accept_lane *lane = (void *)((uint8_t *)p.f->host + l->lane_off64[slot] * 64ull);

			ck_assert_uint_eq(fake_logged(&p.f->npp[a].ism[i], NPP_MSG_LISTEN, &m), 1);
			ck_assert_uint_eq(m.port, 80);
			ck_assert_uint_eq(m.arg, 20);
			ck_assert_uint_eq(m.flags, 0);
			ck_assert_uint_eq(m.off, (uint64_t)p.f->sock[s].ext_off64 * 64);
			ck_assert_uint_eq(lane->mask, 31);
			ck_assert_uint_eq(l->replica[slot], 78);
		}
	ck_assert_uint_eq(p.f->npp[0].grants, 1);
	drop(&p, s);
	FAKE_UNTIL(p.f, atomic_load(&p.f->sock[s].owner) == 0);
	ck_assert_uint_eq(atomic_load(&p.f->sock[s].gen), 1);
	ck_assert_uint_eq(fake_settle(p.f).heap_used, before);
	ck_assert_uint_eq(p.f->npp[0].releases, 1);
	finish(&p);
}
END_TEST

START_TEST(silent_ism_delays_listen_by_two_seconds_at_most)
{
	struct prog p = start(1, 3);
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM);
	uint64_t t;

	p.f->npp[0].ism[2].mute = true;
	t = p.f->now;
	ck_assert_int_eq(listen_on(&p, s, "10.0.0.1", 80, 0), 0);
	ck_assert_uint_ge(p.f->now - t, 2000000);
	ck_assert_uint_le(p.f->now - t, 2010000);
	ck_assert_uint_eq(listener_of(p.f, s)->replica[2], 0);
	ck_assert_uint_ne(listener_of(p.f, s)->replica[1], 0);
	/* It never lets go, either: that is bounded, too. */
	drop(&p, s);
	finish(&p);
}
END_TEST

START_TEST(listen_fails_only_if_every_ism_refuses)
{
	struct prog p = start(1, 3);
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM);

	p.f->npp[0].ism[0].refuse = p.f->npp[0].ism[1].refuse = -ENOMEM;
	ck_assert_int_eq(listen_on(&p, s, "0.0.0.0", 80, 0), 0);
	p.f->npp[0].ism[2].refuse = -ENOMEM;
	s = new_sock(&p, NPP_SOCK_STREAM);
	ck_assert_int_eq(listen_on(&p, s, "0.0.0.0", 81, 0), -ENOMEM);
	drop(&p, s);
	finish(&p);
}
END_TEST

START_TEST(ism_and_npp_that_come_late_are_told)
{
	struct prog p = start(1, 3);
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM);
	struct fake_ism *i = &p.f->npp[0].ism[1];
	struct npp_msg m;

	i->live = false;
	fake_iop_state(p.f, 0, 1, false);
	FAKE_UNTIL(p.f, atomic_load(&p.f->host->attach[0].iop_up) == 5);
	ck_assert_int_eq(listen_on(&p, s, "0.0.0.0", 80, 0), 0);
	i->live = true;
	i->hello_sent = false;
	FAKE_UNTIL(p.f, listener_of(p.f, s)->replica[1] != 0);
	ck_assert_uint_eq(fake_logged(i, NPP_MSG_LISTEN, &m), 1);
	ck_assert_uint_eq(m.flags, NPP_LISTEN_REPLAY);
	fake_npp_gone(p.f, 0);
	ck_assert_uint_eq(listener_of(p.f, s)->replica[0], 0);
	fake_attach(p.f, 0, 4);
	FAKE_UNTIL(p.f, listener_of(p.f, s)->replica[3] != 0);
	ck_assert_uint_eq(p.f->npp[0].grants, 1);
	drop(&p, s);
	finish(&p);
}
END_TEST

START_TEST(listener_without_any_npp_waits_for_one)
{
	struct prog p = { .f = fake_new(1), .fd = 3 };
	uint32_t s;

	p.sock = fake_prog(p.f, &p.proc);
	p.ctx = fake_ctx_open(p.f, p.sock);
	s = new_sock(&p, NPP_SOCK_STREAM);
	ck_assert_int_eq(bind_to(&p, s, "10.0.0.1", 80, 0), -EADDRNOTAVAIL);
	ck_assert_int_eq(listen_on(&p, s, "0.0.0.0", 80, 0), 0);
	fake_attach(p.f, 0, 3);
	FAKE_UNTIL(p.f, listener_of(p.f, s)->replica[2] != 0);
	finish(&p);
}
END_TEST

START_TEST(address_of_one_npp_goes_to_its_isms_only)
{
	struct prog p = start(2, 1);
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM);

	ck_assert_int_eq(listen_on(&p, s, "10.1.0.1", 80, 0), 0);
	ck_assert_uint_eq(fake_logged(&p.f->npp[0].ism[0], NPP_MSG_LISTEN, NULL), 0);
	ck_assert_uint_eq(fake_logged(&p.f->npp[1].ism[0], NPP_MSG_LISTEN, NULL), 1);
	ck_assert_uint_eq(p.f->npp[0].grants, 0);
	s = new_sock(&p, NPP_SOCK_STREAM);
	ck_assert_int_eq(bind_to(&p, s, "10.9.0.1", 80, 0), -EADDRNOTAVAIL);
	finish(&p);
}
END_TEST

START_TEST(ports_clash_as_on_linux)
{
	struct prog p = start(1, 1);
	uint32_t a = new_sock(&p, NPP_SOCK_STREAM), b = new_sock(&p, NPP_SOCK_STREAM);
	uint32_t u = new_sock(&p, NPP_SOCK_DGRAM), v = new_sock(&p, NPP_SOCK_DGRAM);

	ck_assert_int_eq(bind_to(&p, a, "10.0.0.1", 80, REUSEADDR), 0);
	ck_assert_int_eq(bind_to(&p, a, "10.0.0.1", 81, REUSEADDR), -EINVAL);
	ck_assert_int_eq(bind_to(&p, b, "10.0.0.1", 80, 0), -EADDRINUSE);
	ck_assert_int_eq(bind_to(&p, b, "0.0.0.0", 80, 0), -EADDRINUSE);
	ck_assert_int_eq(bind_to(&p, b, "0.0.0.0", 80, REUSEADDR), 0);
	ck_assert_int_eq(bind_to(&p, u, "0.0.0.0", 80, 0), 0);
	ck_assert_int_eq(bind_to(&p, v, "0.0.0.0", 80, REUSEADDR), -EADDRINUSE);
	ck_assert_int_eq(listen_on(&p, a, "10.0.0.1", 80, REUSEADDR), 0);
	ck_assert_int_eq(listen_on(&p, b, "0.0.0.0", 80, REUSEADDR), -EADDRINUSE);
	drop(&p, b);
	b = new_sock(&p, NPP_SOCK_STREAM);
	ck_assert_int_eq(bind_to(&p, b, "0.0.0.0", 80, REUSEADDR), -EADDRINUSE);
	drop(&p, a);
	ck_assert_int_eq(bind_to(&p, b, "0.0.0.0", 80, 0), 0);
	finish(&p);
}
END_TEST

START_TEST(reuseport_shares_a_port_and_its_grant)
{
	struct prog p = start(1, 3);
	uint32_t a = new_sock(&p, NPP_SOCK_STREAM), b = new_sock(&p, NPP_SOCK_STREAM), c = new_sock(&p, NPP_SOCK_STREAM);
	struct npp_msg m;

	ck_assert_int_eq(listen_on(&p, a, "0.0.0.0", 80, REUSEPORT), 0);
	ck_assert_int_eq(listen_on(&p, b, "0.0.0.0", 80, REUSEPORT), 0);
	ck_assert_int_eq(listen_on(&p, c, "0.0.0.0", 80, REUSEADDR), -EADDRINUSE);
	ck_assert_uint_eq(fake_logged(&p.f->npp[0].ism[1], NPP_MSG_LISTEN, &m), 2);
	ck_assert_uint_eq(m.flags, NPP_LISTEN_REUSEPORT);
	ck_assert_uint_eq(p.f->npp[0].grants, 1);
	drop(&p, a);
	fake_settle(p.f);
	ck_assert_uint_eq(p.f->npp[0].releases, 0);
	drop(&p, b);
	fake_settle(p.f);
	ck_assert_uint_eq(p.f->npp[0].releases, 1);
	finish(&p);
}
END_TEST

START_TEST(port_of_another_host_is_refused_everywhere)
{
	struct prog p = start(2, 1);
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM);

	p.f->npp[1].deny_port = 80;
	ck_assert_int_eq(bind_to(&p, s, "0.0.0.0", 80, 0), -EADDRINUSE);
	ck_assert_uint_eq(p.f->npp[0].grants, 1);
	fake_settle(p.f);
	ck_assert_uint_eq(p.f->npp[0].releases, 1);
	ck_assert_uint_eq(p.f->npp[1].releases, 0);
	p.f->npp[0].silent = true;
	ck_assert_int_eq(bind_to(&p, s, "0.0.0.0", 90, 0), -ETIMEDOUT);
	fake_settle(p.f);
	ck_assert_uint_eq(p.f->npp[0].releases, 2);
	ck_assert_uint_eq(p.f->npp[1].releases, 1);
	finish(&p);
}
END_TEST

START_TEST(port_zero_picks_ephemeral_ports_that_differ)
{
	struct prog p = start(1, 1);
	uint16_t seen[40];

	for (unsigned i = 0; i < 40; i++) {
		uint32_t s = new_sock(&p, NPP_SOCK_STREAM);

		seen[i] = 0;
		ck_assert_int_eq(call(&p, NPP_CTL_BIND, s, "10.0.0.1", &seen[i], IPPROTO_TCP, 0), 0);
		ck_assert_uint_ge(seen[i], 32768);
		ck_assert_uint_eq(p.f->sock[s].lport, seen[i]);
		for (unsigned k = 0; k < i; k++)
			ck_assert_uint_ne(seen[i], seen[k]);
	}
	finish(&p);
}
END_TEST

START_TEST(datagram_socket_gets_a_home_and_replicas)
{
	struct prog p = start(1, sizes[_i]);
	uint64_t before = fake_settle(p.f).heap_used;
	uint32_t s = new_sock(&p, NPP_SOCK_DGRAM);
	struct npp_udp *u;
	struct npp_msg m;

	ck_assert_int_eq(bind_to(&p, s, "0.0.0.0", 53, 0), 0);
	u = (void *)((uint8_t *)p.f->host + p.f->sock[s].ext_off64 * 64ull);
	ck_assert_uint_eq(u->sock, s);
	ck_assert_uint_eq(u->n_slots, sizes[_i]);
	ck_assert_uint_lt(p.f->sock[s].slot, sizes[_i]);
	for (unsigned i = 0; i < sizes[_i]; i++) {
		ck_assert_uint_eq(u->replica[i], 78);
		ck_assert_uint_eq(fake_logged(&p.f->npp[0].ism[i], NPP_MSG_UDP_BIND, &m), 1);
		ck_assert_uint_eq(m.port, 53);
	}
	drop(&p, s);
	ck_assert_uint_eq(fake_settle(p.f).heap_used, before);
	ck_assert_uint_eq(fake_logged(&p.f->npp[0].ism[0], NPP_MSG_UDP_UNBIND, NULL), 1);
	finish(&p);
}
END_TEST

START_TEST(peer_of_a_datagram_socket_is_told_to_every_ism)
{
	struct prog p = start(1, 3);
	uint32_t s = new_sock(&p, NPP_SOCK_DGRAM), t = new_sock(&p, NPP_SOCK_DGRAM), order;
	uint16_t port = 53;
	struct npp_msg m;

	ck_assert_int_eq(bind_to(&p, s, "0.0.0.0", 53, 2), 0);
	ck_assert_uint_eq(fake_logged(&p.f->npp[0].ism[2], NPP_MSG_UDP_BIND, &m), 1);
	ck_assert_uint_eq(m.flags & (NPP_LISTEN_REUSEADDR | NPP_LISTEN_PEER), NPP_LISTEN_REUSEADDR);
	order = m.arg2;
	p.f->sock[s].fl |= NPP_FL_CONNECTED;
	ck_assert_int_eq(call(&p, NPP_CTL_PEER, s, "0.0.0.0", &port, IPPROTO_UDP, 2), 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(fake_logged(&p.f->npp[0].ism[i], NPP_MSG_UDP_BIND, &m), 2);
		ck_assert_uint_eq(m.flags & NPP_LISTEN_PEER, NPP_LISTEN_PEER);
		ck_assert_uint_eq(m.arg2, order);
	}
	/* the next one on the same port is a later one; who does not share has no port */
	ck_assert_int_eq(bind_to(&p, t, "0.0.0.0", 53, 0), -EADDRINUSE);
	ck_assert_int_eq(bind_to(&p, t, "0.0.0.0", 53, 2), 0);
	fake_logged(&p.f->npp[0].ism[0], NPP_MSG_UDP_BIND, &m);
	ck_assert_int_gt((int32_t)(m.arg2 - order), 0);
	ck_assert_int_eq(call(&p, NPP_CTL_PEER, new_sock(&p, NPP_SOCK_DGRAM), "0.0.0.0", &port, IPPROTO_UDP, 2), -ESTALE);
	drop(&p, s);
	drop(&p, t);
	finish(&p);
}
END_TEST

START_TEST(bound_and_connected_socket_keeps_its_port_until_the_ism_frees_it)
{
	struct prog p = start(1, 1);
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM), t = new_sock(&p, NPP_SOCK_STREAM);
	struct fake_ism *i = &p.f->npp[0].ism[0];
	struct npp_msg m = { .type = NPP_MSG_FREED, .sock = s };

	ck_assert_int_eq(bind_to(&p, s, "10.0.0.1", 1000, 0), 0);
	atomic_store(&p.f->sock[s].ism_handle, 5);
	atomic_store(fake_fd(p.f, p.proc, 3), 0);
	atomic_store(&p.f->sock[s].refs, 0);
	ck_assert_int_eq(bind_to(&p, t, "10.0.0.1", 1000, 0), -EADDRINUSE);
	atomic_store(&p.f->sock[s].ism_handle, 0xffffffff);
	atomic_fetch_add(&p.f->sock[s].gen, 1);
	atomic_store(&p.f->sock[s].owner, 0);
	fake_ism_post(p.f, i, &m);
	fake_step(p.f, 100);
	ck_assert_int_eq(bind_to(&p, t, "10.0.0.1", 1000, 0), 0);
	finish(&p);
}
END_TEST

START_TEST(unbind_gives_the_port_back_and_leaves_the_record)
{
	struct prog p = start(1, 1);
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM), t = new_sock(&p, NPP_SOCK_STREAM);
	struct npp_ctl_bind b = fake_bind_body(p.f, s, "0.0.0.0", 80, IPPROTO_TCP);

	ck_assert_int_eq(bind_to(&p, s, "0.0.0.0", 80, 0), 0);
	ck_assert_int_eq(fake_call(p.f, p.sock, NPP_CTL_UNBIND, &b, sizeof b, NULL, 0), 0);
	ck_assert_uint_ne(atomic_load(&p.f->sock[s].owner), 0);
	ck_assert_int_eq(bind_to(&p, t, "0.0.0.0", 80, 0), 0);
	ck_assert_int_eq(bind_to(&p, s, "0.0.0.0", 80, 0), -EADDRINUSE);
	finish(&p);
}
END_TEST

START_TEST(requests_about_wrong_records_are_refused)
{
	struct prog p = start(1, 1);
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM), u = new_sock(&p, NPP_SOCK_DGRAM);
	struct npp_ctl_bind b = fake_bind_body(p.f, s, "0.0.0.0", 80, IPPROTO_TCP), c;
	static const uint32_t wrong[] = { 0, 200, FAKE_SOCKS / 4 + 1, FAKE_SOCKS, 0xffffffff };

	for (unsigned i = 0; i < 5; i++) {
		c = b;
		c.sock = wrong[i];
		for (unsigned t = NPP_CTL_BIND; t <= NPP_CTL_SUB_MORE; t++)
			if (t != NPP_CTL_UNBIND)
				ck_assert_int_eq(fake_call(p.f, p.sock, t, &c, sizeof c, NULL, 0), -ESTALE);
	}
	c = b;
	c.gen++;
	ck_assert_int_eq(fake_call(p.f, p.sock, NPP_CTL_BIND, &c, sizeof c, NULL, 0), -ESTALE);
	c = b;
	c.proto = 47;
	ck_assert_int_eq(fake_call(p.f, p.sock, NPP_CTL_BIND, &c, sizeof c, NULL, 0), -EOPNOTSUPP);
	ck_assert_int_eq(listen_on(&p, u, "0.0.0.0", 80, 0), -EOPNOTSUPP);
	ck_assert_int_eq(fake_call(p.f, p.sock, NPP_CTL_CLOSE, &b, sizeof b, NULL, 0), -EBUSY);
	finish(&p);
}
END_TEST

START_TEST(big_subscriber_map_comes_back_with_the_record)
{
	struct prog p = start(1, 1);
	uint64_t before = fake_settle(p.f).heap_used;
	uint32_t s = new_sock(&p, NPP_SOCK_STREAM);
	struct npp_ctl_bind b = fake_bind_body(p.f, s, "0.0.0.0", 80, IPPROTO_TCP);

	ck_assert_int_eq(fake_call(p.f, p.sock, NPP_CTL_SUB_MORE, &b, sizeof b, NULL, 0), 0);
	ck_assert_int_eq(fake_call(p.f, p.sock, NPP_CTL_SUB_MORE, &b, sizeof b, NULL, 0), 0);
	ck_assert_uint_ne(p.f->sock[s].sub_more_off64, 0);
	ck_assert_uint_eq(fake_settle(p.f).heap_used, before + 128);
	drop(&p, s);
	ck_assert_uint_eq(fake_settle(p.f).heap_used, before);
	finish(&p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("osm/bind");
	TCase *t = tcase_create("bind");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, picked_ports_are_asked_for_alone);
	tcase_add_test(t, who_closes_a_listener_waits_until_no_ism_serves_it_but_not_for_ever);
	tcase_add_loop_test(t, listener_is_replicated_to_every_ism_and_taken_back, 0, 3);
	tcase_add_test(t, silent_ism_delays_listen_by_two_seconds_at_most);
	tcase_add_test(t, listen_fails_only_if_every_ism_refuses);
	tcase_add_test(t, ism_and_npp_that_come_late_are_told);
	tcase_add_test(t, listener_without_any_npp_waits_for_one);
	tcase_add_test(t, address_of_one_npp_goes_to_its_isms_only);
	tcase_add_test(t, ports_clash_as_on_linux);
	tcase_add_test(t, reuseport_shares_a_port_and_its_grant);
	tcase_add_test(t, port_of_another_host_is_refused_everywhere);
	tcase_add_test(t, port_zero_picks_ephemeral_ports_that_differ);
	tcase_add_loop_test(t, datagram_socket_gets_a_home_and_replicas, 0, 3);
	tcase_add_test(t, peer_of_a_datagram_socket_is_told_to_every_ism);
	tcase_add_test(t, bound_and_connected_socket_keeps_its_port_until_the_ism_frees_it);
	tcase_add_test(t, unbind_gives_the_port_back_and_leaves_the_record);
	tcase_add_test(t, requests_about_wrong_records_are_refused);
	tcase_add_test(t, big_subscriber_map_comes_back_with_the_record);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
