/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_topo.c - what a topology says, and what is derived from it
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#include "harness/topo.h"

static struct topo topo;
static char path[96];

/* Loads TEXT as a file; returns what topo_load() does. */
static int load(const char *text, char *const *sets, unsigned n_sets)
{
	int fd, r;

	snprintf(path, sizeof path, "%s/topo-XXXXXX", npp_dir_path());
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	r = topo_load(&topo, path, NULL, sets, n_sets);
	unlink(path);
	return r;
}

static void teardown(void)
{
	topo_free(&topo);
}

static const struct topo_node *node(const char *name)
{
	uint32_t i;

	for (i = 0; i < topo.n_nodes; i++)
		if (strcmp(topo.nodes[i].name, name) == 0)
			return &topo.nodes[i];
	ck_abort_msg("no node %s", name);
	return NULL;
}

static uint32_t ip(const char *text)
{
	struct in_addr a;

	ck_assert_int_eq(inet_pton(AF_INET, text, &a), 1);
	return ntohl(a.s_addr);
}

static uint32_t v4(const union npp_addr *a)
{
	return ntohl(npp_addr_get_v4(a));
}

/* Where NODE sends packets to ADDR: 0 = no route. */
static uint32_t via(const char *name, const char *addr)
{
	const struct topo_node *n = node(name);
	union npp_addr a = npp_addr_v4(htonl(ip(addr)));
	uint32_t i;

	for (i = 0; i < n->n_routes; i++)
		if (npp_addr_in_prefix(&a, &n->routes[i].to.addr, n->routes[i].to.len))
			return v4(&n->routes[i].via);
	return npp_addr_is_any(&n->gateway) ? 0 : v4(&n->gateway);
}

static bool has_error(const char *part)
{
	unsigned i;

	for (i = 0; i < topo_errors(&topo); i++)
		if (strstr(topo_error(&topo, i), part))
			return true;
	return false;
}

#define CHAIN \
	"name: chain\n" \
	"networks: {a: {subnet: 10.0.1.0/24}, b: {subnet: 10.0.2.0/24}, c: {subnet: 10.0.3.0/24}, d: {subnet: 10.0.4.0/30}}\n" \
	"nodes:\n" \
	"  r1: {kind: router, networks: [a, b]}\n" \
	"  r2: {kind: router, networks: {b: 10.0.2.77, c: }}\n" \
	"  r3: {kind: router, networks: [c, d]}\n" \
	"  one: {kind: client, networks: a}\n" \
	"  two: {kind: host, networks: b}\n" \
	"  end: {kind: client, networks: {d: {mac: '02:aa:bb:cc:dd:ee'}}}\n"

START_TEST(addresses_are_derived_routers_first)
{
	ck_assert_int_eq(load(CHAIN, NULL, 0), 0);
	ck_assert_str_eq(topo.lab, "chain");
	ck_assert_uint_eq(node("r1")->ifs[0].addr, ip("10.0.1.1"));
	ck_assert_uint_eq(node("r1")->ifs[1].addr, ip("10.0.2.1"));
	ck_assert_uint_eq(node("r2")->ifs[0].addr, ip("10.0.2.77"));
	ck_assert_uint_eq(node("one")->ifs[0].addr, ip("10.0.1.10"));
	ck_assert_uint_eq(node("two")->ifs[0].addr, ip("10.0.2.10"));
	ck_assert_uint_eq(node("r3")->ifs[1].addr, ip("10.0.4.1"));
	ck_assert_uint_eq(node("end")->ifs[0].addr, ip("10.0.4.2"));
}
END_TEST

START_TEST(macs_are_derived_and_differ)
{
	static const uint8_t given[6] = { 2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee };
	uint32_t i, j, k, l;

	ck_assert_int_eq(load(CHAIN, NULL, 0), 0);
	ck_assert_mem_eq(node("end")->ifs[0].mac, given, 6);
	for (i = 0; i < topo.n_nodes; i++)
		for (j = 0; j < topo.nodes[i].n_ifs; j++) {
			const uint8_t *m = topo.nodes[i].ifs[j].mac;

			ck_assert_uint_eq(m[0] & 3, 2);	/* local, not a group */
			for (k = 0; k < i; k++)
				for (l = 0; l < topo.nodes[k].n_ifs; l++)
					ck_assert_mem_ne(m, topo.nodes[k].ifs[l].mac, 6);
		}
}
END_TEST

START_TEST(routes_follow_the_shortest_path)
{
	ck_assert_int_eq(load(CHAIN, NULL, 0), 0);
	ck_assert_uint_eq(via("one", "10.0.4.2"), ip("10.0.1.1"));
	ck_assert_uint_eq(node("one")->n_routes, 0);	/* the default leads everywhere */
	ck_assert_uint_eq(via("r1", "10.0.4.2"), ip("10.0.2.77"));
	ck_assert_uint_eq(via("r3", "10.0.1.10"), ip("10.0.3.1"));
	/* Two routers stand on b: the first is the default, the other leads to c and d. */
	ck_assert_uint_eq(via("two", "10.0.1.10"), ip("10.0.2.1"));
	ck_assert_uint_eq(via("two", "10.0.4.2"), ip("10.0.2.77"));
}
END_TEST

START_TEST(a_given_gateway_and_route_win)
{
	char *sets[] = { (char[]){ "nodes.two.gateway=10.0.2.77" },
			 (char[]){ "nodes.two.routes=[{to: 10.0.1.0/24, via: 10.0.2.9}]" } };

	ck_assert_int_eq(load(CHAIN, sets, 2), 0);
	ck_assert_uint_eq(via("two", "10.0.4.2"), ip("10.0.2.77"));
	ck_assert_uint_eq(via("two", "10.0.1.10"), ip("10.0.2.9"));
	ck_assert_uint_eq(node("two")->n_routes, 1);
}
END_TEST

START_TEST(a_loop_of_routers_is_no_trap)
{
	ck_assert_int_eq(load("networks: {a: {subnet: 10.0.1.0/24}, b: {subnet: 10.0.2.0/24}, c: {subnet: 10.0.3.0/24}}\n"
			      "name: ring\n"
			      "nodes: {x: {kind: router, networks: [a, b]}, y: {kind: router, networks: [b, c]},\n"
			      "        z: {kind: router, networks: [c, a]}}\n", NULL, 0), 0);
	ck_assert_uint_ne(via("x", "10.0.3.1"), 0);
}
END_TEST

START_TEST(an_override_replaces_and_adds)
{
	char *sets[] = { (char[]){ "nodes.p.iops=3" }, (char[]){ "networks.n.mtu=9000" },
			 (char[]){ "nodes.c={kind: client, networks: [n]}" } };

	ck_assert_int_eq(load("name: o\nnetworks: {n: {subnet: 10.0.0.0/24}}\n"
			      "nodes: {p: {kind: npp, iops: 1, networks: [n]}, h: {kind: host, stack: npp, npps: [p]}}\n",
			      sets, 3), 0);
	ck_assert_uint_eq(node("p")->iops, 3);
	ck_assert_uint_eq(topo.nets[0].mtu, 9000);
	ck_assert_uint_eq(node("c")->ifs[0].addr, ip("10.0.0.11"));	/* p has .10 */
	ck_assert_uint_eq(node("h")->n_npps, 1);
}
END_TEST

START_TEST(bad_overrides_are_errors)
{
	char *sets[] = { (char[]){ "nodes.nobody.iops=3" }, (char[]){ "nonsense" }, (char[]){ "=3" },
			 (char[]){ "name=[" }, (char[]){ "name.x=1" }, (char[]){ "nodes.=1" } };
	unsigned i;

	for (i = 0; i < 6; i++) {
		ck_assert_int_lt(load(CHAIN, &sets[i], 1), 0);
		topo_free(&topo);
	}
}
END_TEST

START_TEST(keys_of_other_kinds_are_refused)
{
	ck_assert_int_lt(load("name: k\nnetworks: {n: {subnet: 10.0.0.0/24}}\nnodes:\n"
			      "  c: {kind: client, iops: 3, networks: [n]}\n"
			      "  h: {kind: host, stack: kernel, npps: [p], networks: [n]}\n"
			      "  g: {kind: host, stack: npp, networks: [n]}\n"
			      "  p: {kind: npp, stack: kernel, networks: [n]}\n"
			      "  e: {kind: client}\n", NULL, 0), 0);
	ck_assert(has_error("nodes.c.iops"));
	ck_assert(has_error("nodes.h.npps"));
	ck_assert(has_error("nodes.g.networks"));
	ck_assert(has_error("needs 'npps'"));
	ck_assert(has_error("nodes.p.stack"));
	ck_assert(has_error("without a host"));
	ck_assert(has_error("is on no network"));
}
END_TEST

START_TEST(macs_and_networks_twice_are_refused)
{
	ck_assert_int_lt(load("name: k\nnetworks: {n: {subnet: 10.0.0.0/24}}\nnodes:\n"
			      "  c: {kind: client, networks: {n: {mac: '02:00:00:00:00:01'}}}\n"
			      "  d: {kind: client, networks: {n: {mac: '02:00:00:00:00:01'}}}\n"
			      "  e: {kind: client, networks: {n: {mac: '03:00:00:00:00:01'}}}\n"
			      "  f: {kind: client, networks: [n, n]}\n"
			      "  n: {kind: client, networks: [n]}\n", NULL, 0), 0);
	ck_assert(has_error("has this MAC already"));
	ck_assert(has_error("group address"));
	ck_assert(has_error("joins a network once"));
	ck_assert(has_error("another name than its network"));
}
END_TEST

/* a --r1-- b ==s== c ==w== d --r2-- e: b, c and d are one segment. */
#define JOINED \
	"name: j\n" \
	"networks: {a: {subnet: 10.0.1.0/24}, b: {}, c: {subnet: 10.0.2.0/24, mtu: 1400}, d: , e: {subnet: 10.0.3.0/24}}\n" \
	"nodes:\n" \
	"  s: {kind: switch, networks: [b, c]}\n" \
	"  w: {kind: wire, networks: [c, d], wire: {delay: 2ms}}\n" \
	"  r1: {kind: router, networks: [a, b]}\n" \
	"  r2: {kind: router, networks: [d, e]}\n" \
	"  one: {kind: client, networks: a}\n" \
	"  two: {kind: client, networks: b}\n" \
	"  six: {kind: client, networks: c}\n"

START_TEST(joined_networks_have_one_subnet)
{
	char *sets[] = { (char[]){ "ipv6=yes" } };

	ck_assert_int_eq(load(JOINED, sets, 1), 0);
	ck_assert_uint_eq(node("r1")->ifs[1].addr, ip("10.0.2.1"));
	ck_assert_uint_eq(node("r2")->ifs[0].addr, ip("10.0.2.2"));
	ck_assert_uint_eq(node("two")->ifs[0].addr, ip("10.0.2.10"));
	ck_assert_uint_eq(node("six")->ifs[0].addr, ip("10.0.2.11"));
	ck_assert_uint_eq(node("s")->ifs[0].addr, 0);
	ck_assert_uint_eq(topo.nets[1].mtu, 1400);
	ck_assert_uint_eq(topo.nets[3].mtu, 1400);
	ck_assert(npp_addr_eq(&topo.nets[1].subnet6.addr, &topo.nets[2].subnet6.addr));
	ck_assert_str_eq(node("w")->wire, "delay=2ms");
	ck_assert(memcmp(node("s")->ifs[1].mac, node("w")->ifs[0].mac, 6) != 0);
	/* Routers meet on it, from different networks. */
	ck_assert_uint_eq(via("r1", "10.0.3.7"), ip("10.0.2.2"));
	ck_assert_uint_eq(via("r2", "10.0.1.7"), ip("10.0.2.1"));
	ck_assert_uint_eq(via("six", "10.0.3.7"), ip("10.0.2.2"));
	ck_assert_uint_eq(v4(&node("six")->gateway), ip("10.0.2.1"));
	ck_assert_uint_eq(node("r1")->n_routes, 2);	/* e, of both families: nothing to what it is on */
}
END_TEST

START_TEST(an_npp_may_have_two_ports_on_one_segment)
{
	char *sets[] = { (char[]){ "nodes.acc={kind: npp, networks: [b, c], addresses: [10.0.2.100, 10.0.8.1]}" },
			 (char[]){ "nodes.web={kind: host, stack: npp, npps: [acc]}" } };
	const struct topo_node *n;

	ck_assert_int_eq(load(JOINED, sets, 2), 0);
	n = node("acc");
	ck_assert_uint_eq(n->n_ifs, 2);
	ck_assert_uint_ne(n->ifs[0].addr, n->ifs[1].addr);
	ck_assert_mem_ne(n->ifs[0].mac, n->ifs[1].mac, 6);
	ck_assert_uint_eq(via("two", "10.0.2.100"), ip("10.0.2.1"));	/* none of its own: it is on the link */
	ck_assert_uint_eq(via("two", "10.0.8.1"), n->ifs[0].addr);
}
END_TEST

#define NETS "name: j\nnetworks: {a: {subnet: 10.0.1.0/24}, b: {}, c: {}, d: {subnet: 10.0.2.0/24}}\nnodes:\n"

START_TEST(what_cannot_be_joined_is_refused)
{
	static const struct { const char *nodes, *error; } bad[] = {
		{ "  s: {kind: switch, networks: [a, b, c]}\n  w: {kind: wire, networks: [b, c]}\n", "frames would go in circles" },
		{ "  s: {kind: switch, networks: [a, b, d]}\n  t: {kind: switch, networks: [a, c]}\n", "both have a subnet" },
		{ "  s: {kind: switch, networks: [b, c]}\n", "here and in what the network is joined with" },
		{ "  s: {kind: switch, networks: [a, b, c]}\n  x: {kind: client, networks: [b, c]}\n", "'b' and 'c' are joined" },
		{ "  s: {kind: switch, networks: {a: , b: 10.0.1.4, c: }}\n", "a switch has no address" },
		{ "  s: {kind: switch, networks: [a, b, c], gateway: 10.0.1.1}\n", "a switch has no addresses and no routes" },
		{ "  w: {kind: wire, networks: [a, b, c]}\n", "a wire has two ends" },
		{ "  w: {kind: wire, networks: a}\n", "a wire has two ends" },
		{ "  w: {kind: wire, networks: {a: {wire: yes}, b: }}\n", "stand in its own key" },
		{ "  w.x: {kind: wire, networks: [a, b]}\n", "has no dot" },
		{ "  w: {kind: wire, networks: [a, b], wire: {dely: 3ms}}\n", "did you mean 'delay'" },
		{ "  x: {kind: client, networks: a, wire: yes}\n", "only a wire has settings" },
		{ "  x: {kind: client, networks: a, routing: bird}\n", "only routers and firewalls have routing" },
		{ "  x: {kind: router, networks: a, protocol: rip}\n", "belongs to 'routing: bird'" },
	};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[512];

		snprintf(text, sizeof text, NETS "%s  z: {kind: client, networks: d}\n", bad[i].nodes);
		ck_assert_int_lt(load(text, NULL, 0), 0);
		ck_assert_msg(has_error(bad[i].error), "%s: %s", bad[i].nodes, topo_errors(&topo) ? topo_error(&topo, 0) : "none");
		topo_free(&topo);
	}
}
END_TEST

START_TEST(routers_with_bird_have_no_derived_routes)
{
	char *sets[] = { (char[]){ "nodes.r1.routing=bird" }, (char[]){ "nodes.r1.routes=[{to: 10.7.0.0/16, via: 10.0.1.9}]" } };

	ck_assert_int_eq(load(CHAIN, sets, 2), 0);
	ck_assert_uint_eq(node("r1")->n_routes, 1);
	ck_assert_uint_eq(via("r1", "10.7.0.1"), ip("10.0.1.9"));
	ck_assert_uint_eq(via("r3", "10.0.1.1"), ip("10.0.3.1"));
}
END_TEST

#define TWO_PORTS \
	"ipv6: yes\n" \
	"networks: {a: {subnet: 10.0.1.0/24}, b: {subnet: 10.0.2.0/24}, c: {subnet: 10.0.3.0/24}}\n" \
	"nodes:\n" \
	"  acc:  {kind: npp, networks: {a: 10.0.1.11, b: 10.0.2.11}, addresses: [10.0.9.11]}\n" \
	"  acc2: {kind: npp, networks: [b]}\n" \
	"  web:  {kind: host, stack: npp, npps: [acc, acc2]}\n" \
	"  r:    {kind: router, networks: [a, b, c]}\n" \
	"  near: {kind: client, networks: [b]}\n" \
	"  far:  {kind: client, networks: [c]}\n"

START_TEST(an_npp_on_several_networks_has_a_way_out_by_each)
{
	const struct topo_node *n;
	unsigned defaults = 0;

	ck_assert_int_eq(load(TWO_PORTS, NULL, 0), 0);
	n = node("acc");
	ck_assert_uint_eq(v4(&n->gateway), ip("10.0.1.1"));
	for (uint32_t i = 0; i < n->n_routes; i++)
		if (n->routes[i].to.len == 96) {
			ck_assert_uint_eq(v4(&n->routes[i].via), ip("10.0.2.1"));
			ck_assert_uint_eq(n->routes[i].metric, 1);
			defaults++;
		}
	ck_assert_uint_eq(defaults, 1);
	ck_assert_uint_eq(node("acc2")->n_routes, 2);	/* only to the address of the whole, of both families */
}
END_TEST

START_TEST(the_address_of_a_whole_npp_is_reached_by_one_of_its_ports)
{
	static const union npp_addr whole6 = { .b = { 0xfd, [6] = 0xff, 0xff, [12] = 10, 0, 9, 11 } };

	ck_assert_int_eq(load(TWO_PORTS, NULL, 0), 0);
	ck_assert_uint_eq(node("acc")->n_whole, 2);	/* with the key ipv6 one of each family */
	ck_assert(npp_addr_eq(&node("acc")->whole[1], &whole6));
	ck_assert_uint_eq(via("r", "10.0.9.11"), ip("10.0.1.11"));
	ck_assert_uint_eq(via("near", "10.0.9.11"), ip("10.0.2.11"));
	ck_assert_uint_eq(via("acc2", "10.0.9.11"), ip("10.0.2.11"));
	ck_assert_uint_eq(via("far", "10.0.9.11"), ip("10.0.3.1"));
	ck_assert_uint_eq(node("far")->n_routes, 0);	/* by the default */
}
END_TEST

/* ---- IPv6 alone --------------------------------------------------------------------------------- */

static void is_addr(const union npp_addr *a, const char *text)
{
	char buf[NPP_ADDR_STRLEN];

	ck_assert_str_eq(npp_addr_format(a, buf), text);
}

/* Where NODE sends packets to ADDR of IPv6; "::": no route. */
static const char *via6(const char *name, const char *addr)
{
	static char buf[NPP_ADDR_STRLEN];
	const struct topo_node *n = node(name);
	const union npp_addr *best = &n->gateway6;
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(addr, &a), 0);
	for (uint32_t i = 0; i < n->n_routes; i++)
		if (n->routes[i].to.len && npp_addr_in_prefix(&a, &n->routes[i].to.addr, n->routes[i].to.len))
			best = &n->routes[i].via;
	return npp_addr_format(best, buf);
}

#define SIX \
	"name: six\n" \
	"networks: {a: {subnet6: 'fd00:a::/64'}, b: {subnet6: 'fd00:b::/64'}, c: {subnet6: 'fd00:c::/32'}, j: {}}\n" \
	"nodes:\n" \
	"  one: {kind: client, networks: a}\n" \
	"  r1: {kind: router, networks: [a, b]}\n" \
	"  r2: {kind: router, networks: {b: 'fd00:b::77', c: }}\n" \
	"  s:  {kind: switch, networks: [c, j]}\n" \
	"  acc: {kind: npp, networks: {b: {address6: 'fd00:b::a'}}, addresses: ['fd00:9::1']}\n" \
	"  web: {kind: host, stack: npp, npps: [acc]}\n" \
	"  two: {kind: host, networks: b}\n" \
	"  x:  {kind: client, networks: {j: 'fd00:c::1:0:5'}}\n" \
	"  y:  {kind: client, networks: {j: 'fd00:c::2:0:5'}}\n"

START_TEST(networks_may_have_ipv6_alone)
{
	static const uint8_t mac_x[6] = { 2, 3, 0, 0, 0, 5 }, mac_two[6] = { 2, 1, 0, 0, 0, 0xb };

	ck_assert_int_eq(load(SIX, NULL, 0), 0);
	for (uint32_t i = 0; i < topo.n_nodes; i++) {
		for (uint32_t j = 0; j < topo.nodes[i].n_ifs; j++)
			ck_assert_uint_eq(topo.nodes[i].ifs[j].addr, 0);
		ck_assert(npp_addr_is_any(&topo.nodes[i].gateway));
	}
	is_addr(&node("r1")->ifs[0].addr6, "fd00:a::1");
	is_addr(&node("r1")->ifs[1].addr6, "fd00:b::1");
	is_addr(&node("r2")->ifs[1].addr6, "fd00:c::1");
	is_addr(&node("one")->ifs[0].addr6, "fd00:a::a");
	is_addr(&node("two")->ifs[0].addr6, "fd00:b::b");	/* ::a is given to another */
	is_addr(&node("s")->ifs[0].addr6, "::");
	ck_assert_mem_eq(node("two")->ifs[0].mac, mac_two, 6);
	ck_assert_mem_eq(node("x")->ifs[0].mac, mac_x, 6);
	ck_assert_uint_eq(node("y")->ifs[0].mac[5], 6);	/* the end of its address is that of x */
	is_addr(&node("one")->gateway6, "fd00:a::1");
	is_addr(&node("x")->gateway6, "fd00:c::1");
	ck_assert_str_eq(via6("one", "fd00:c::5"), "fd00:a::1");
	ck_assert_str_eq(via6("r1", "fd00:c::5"), "fd00:b::77");
	ck_assert_str_eq(via6("r2", "fd00:a::5"), "fd00:b::1");
	ck_assert_str_eq(via6("two", "fd00:c::5"), "fd00:b::77");
	ck_assert_str_eq(via6("two", "fd00:9::1"), "fd00:b::a");
	ck_assert_str_eq(via6("x", "fd00:9::1"), "fd00:c::1");
	ck_assert_str_eq(via6("r2", "fd00:9::1"), "fd00:b::a");
}
END_TEST

/* IPv4 goes by the south, IPv6 by the north. */
#define MIXED \
	"networks:\n" \
	"  left:  {subnet: 10.0.1.0/24, subnet6: 'fd00:1::/64'}\n" \
	"  right: {subnet: 10.0.2.0/24, subnet6: 'fd00:2::/64'}\n" \
	"  south: {subnet: 10.0.3.0/24}\n" \
	"  north: {subnet6: 'fd00:4::/64'}\n" \
	"nodes:\n" \
	"  s1: {kind: router, networks: [left, south]}\n" \
	"  s2: {kind: router, networks: [south, right]}\n" \
	"  n1: {kind: router, networks: [left, north]}\n" \
	"  n2: {kind: router, networks: [north, right]}\n" \
	"  c:  {kind: client, networks: left}\n" \
	"  d:  {kind: client, networks: [south, north]}\n" \
	"  acc: {kind: npp, networks: [south, north], addresses: [10.0.8.1, 'fd00:8::1']}\n" \
	"  web: {kind: host, stack: npp, npps: [acc]}\n"

START_TEST(each_family_goes_by_the_networks_that_have_it)
{
	ck_assert_int_eq(load(MIXED, NULL, 0), 0);
	ck_assert_uint_eq(v4(&node("c")->gateway), ip("10.0.1.1"));
	is_addr(&node("c")->gateway6, "fd00:1::1");	/* the same router, which knows the way */
	ck_assert_str_eq(via6("c", "fd00:2::5"), "fd00:1::2");
	ck_assert_uint_eq(via("c", "10.0.2.5"), ip("10.0.1.1"));
	ck_assert_str_eq(via6("s1", "fd00:2::5"), "fd00:1::2");
	ck_assert_uint_eq(via("n1", "10.0.2.5"), ip("10.0.1.1"));
	ck_assert_uint_eq(via("s1", "10.0.2.5"), ip("10.0.3.2"));
	ck_assert_uint_eq(v4(&node("d")->gateway), ip("10.0.3.1"));
	is_addr(&node("d")->gateway6, "fd00:4::1");
	ck_assert_uint_eq(via("d", "10.0.8.1"), ip("10.0.3.11"));
	ck_assert_str_eq(via6("d", "fd00:8::1"), "fd00:4::b");
	ck_assert_uint_eq(via("n1", "10.0.8.1"), ip("10.0.1.1"));
	ck_assert_str_eq(via6("s1", "fd00:8::1"), "fd00:1::2");
}
END_TEST

START_TEST(a_gateway_of_one_family_names_the_router_of_both)
{
	char *six[] = { (char[]){ "networks.b.subnet6=fd00:b::/64" }, (char[]){ "nodes.two.gateway6=fd00:b::4d" } };
	char *four[] = { six[0], (char[]){ "nodes.two.gateway=10.0.2.77" } };

	ck_assert_int_eq(load(CHAIN, six, 2), 0);
	ck_assert_uint_eq(v4(&node("two")->gateway), ip("10.0.2.77"));
	teardown();
	ck_assert_int_eq(load(CHAIN, four, 2), 0);
	is_addr(&node("two")->gateway6, "fd00:b::4d");
}
END_TEST

START_TEST(a_lab_of_ipv4_can_be_made_one_of_ipv6_alone)
{
	char *sets[] = { (char[]){ "ipv6=only" }, (char[]){ "networks.new={}" },
			 (char[]){ "nodes.lone={kind: client, networks: [new]}" } };

	ck_assert_int_eq(load(TWO_PORTS, sets, 3), 0);
	for (uint32_t i = 0; i < topo.n_nodes; i++) {
		const struct topo_node *n = &topo.nodes[i];

		ck_assert(npp_addr_is_any(&n->gateway));
		for (uint32_t j = 0; j < n->n_ifs; j++)
			ck_assert_uint_eq(n->ifs[j].addr, 0);
		for (uint32_t j = 0; j < n->n_routes; j++)
			ck_assert(!npp_addr_is_v4(&n->routes[j].to.addr) && !npp_addr_is_v4(&n->routes[j].via));
	}
	for (uint32_t i = 0; i < topo.n_nets; i++)
		ck_assert(!topo_has_ip4(&topo.nets[i]) && topo_has_ip6(&topo.nets[i]));
	ck_assert_uint_eq(node("acc")->n_whole, 1);
	is_addr(&node("acc")->whole[0], "fd00::ffff:0:0:a00:90b");
	is_addr(&node("acc")->ifs[1].addr6, "fd00:0:0:2::b");
	is_addr(&node("acc")->gateway6, "fd00:0:0:1::1");
	ck_assert_str_eq(via6("near", "fd00:0:0:ffff::a00:90b"), "fd00:0:0:2::b");
	is_addr(&node("lone")->ifs[0].addr6, "fd00:0:0:4::a");	/* a network that had no subnet to begin with */
}
END_TEST

START_TEST(who_learns_its_address_learns_its_routers)
{
	char *sets[] = { (char[]){ "nodes.acc.networks={a: {autoconf: yes}, b: 10.0.2.11}" },
			 (char[]){ "nodes.near.networks={b: {autoconf: yes}}" } };
	const struct topo_node *n;

	ck_assert_int_eq(load(TWO_PORTS, sets, 2), 0);
	n = node("acc");
	is_addr(&n->ifs[0].addr6, "fd00::1:0:aff:fe00:10a");	/* by the MAC address 02:00:0a:00:01:0a */
	is_addr(&n->gateway6, "::");
	for (uint32_t i = 0; i < n->n_routes; i++)
		ck_assert(npp_addr_is_v4(&n->routes[i].via) || n->routes[i].via.b[7] == 2);
	ck_assert_uint_eq(v4(&n->gateway), ip("10.0.1.1"));
	is_addr(&node("near")->gateway6, "::");
	ck_assert(topo_advertises(&topo, node("r"), 0) && topo_advertises(&topo, node("r"), 1));
	ck_assert(!topo_advertises(&topo, node("r"), 2) && !topo_advertises(&topo, node("far"), 1));
}
END_TEST

#define SIX_NETS "name: s\nnetworks: {a: {subnet6: 'fd00:a::/64'}, b: {subnet: 10.0.2.0/24}, c: {subnet6: 'fd00:c::/64'}%s}\nnodes:\n"

START_TEST(what_is_of_the_other_family_is_refused)
{
	static const struct { const char *nodes, *error; } wrong[] = {
		{ "  x: {kind: client, networks: {a: 10.0.1.1}}\n", "10.0.1.1 is IPv4, and network 'a' has no 'subnet'" },
		{ "  x: {kind: client, networks: {b: 'fd00:b::1'}}\n", "fd00:b::1 is IPv6, and network 'b' has no 'subnet6'" },
		{ "  x: {kind: client, networks: {a: {address: 'fd00:a::1'}}}\n", "that is key 'address6'" },
		{ "  x: {kind: client, networks: {b: {address6: 10.0.2.1}}}\n", "that is key 'address'" },
		{ "  x: {kind: client, networks: a, gateway: 'fd00:a::1'}\n", "is an IPv6 address: that is key 'gateway6'" },
		{ "  x: {kind: client, networks: b, gateway6: 10.0.2.1}\n", "is an IPv4 address: that is key 'gateway'" },
		{ "  x: {kind: client, networks: a, gateway6: 'fd00:a::a'}\n", "fd00:a::a is the node itself" },
		{ "  x: {kind: client, networks: a, gateway: 10.0.2.1}\n", "10.0.2.1 lies on none of the node's networks" },
		{ "  x: {kind: client, networks: [a, b], routes: [{to: 'fd00:9::/64', via: 10.0.2.1}]}\n", "is of another family than 'to'" },
		{ "  x: {kind: client, networks: {a: 'fd00:a::'}}\n", "fd00:a:: is that of all routers of network 'a'" },
		{ "  x: {kind: npp, networks: a, addresses: [10.9.9.9]}\n  h: {kind: host, stack: npp, npps: [x]}\n",
		  "10.9.9.9 is IPv4, and none of the NPP's networks has a 'subnet'" },
		{ "  r: {kind: router, networks: {a: {autoconf: yes}}}\n", "a router has no 'autoconf'" },
		{ "  x: {kind: client, networks: {a: {autoconf: yes}}}\n", "network 'a' has none" },
		{ "  x: {kind: client, networks: {b: {autoconf: yes}}}\n  r: {kind: router, networks: b}\n", "'subnet6' of /64, which network 'b' has not" },
		{ "  x: {kind: client, networks: {a: {autoconf: yes, address6: 'fd00:a::5'}}}\n  r: {kind: router, networks: a}\n",
		  "has an IPv6 address, or 'autoconf', not both" },
		{ "  x: {kind: npp, networks: {a: {autoconf: yes}}, gateway6: 'fd00:a::1'}\n  h: {kind: host, stack: npp, npps: [x]}\n"
		  "  r: {kind: router, networks: a}\n", "its routers are learned" },
		{ "  x: {kind: client, networks: small}\n", "1279 is too small for IPv6: at least 1280" },
		{ "  s: {kind: switch, networks: [a, c]}\n", "both have a subnet" },
		{ "  s: {kind: switch, networks: [a, b]}\n", "both have a subnet" },
	};

	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		char text[1024];

		snprintf(text, sizeof text, SIX_NETS "%s", strstr(wrong[i].nodes, "small") ? ", small: {subnet6: 'fd00:d::/64', mtu: 1279}" : "",
			 wrong[i].nodes);
		ck_assert_int_eq(load(text, NULL, 0), -EINVAL);
		ck_assert_msg(has_error(wrong[i].error), "no '%s' but '%s'", wrong[i].error, topo_error(&topo, 0));
		ck_assert_msg(topo_errors(&topo) == 1, "%s, %s", topo_error(&topo, 0), topo_error(&topo, 1));
		teardown();
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("topo");
	TCase *tc = tcase_create("topo");

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, addresses_are_derived_routers_first);
	tcase_add_test(tc, macs_are_derived_and_differ);
	tcase_add_test(tc, routes_follow_the_shortest_path);
	tcase_add_test(tc, a_given_gateway_and_route_win);
	tcase_add_test(tc, a_loop_of_routers_is_no_trap);
	tcase_add_test(tc, an_override_replaces_and_adds);
	tcase_add_test(tc, bad_overrides_are_errors);
	tcase_add_test(tc, keys_of_other_kinds_are_refused);
	tcase_add_test(tc, macs_and_networks_twice_are_refused);
	tcase_add_test(tc, joined_networks_have_one_subnet);
	tcase_add_test(tc, what_cannot_be_joined_is_refused);
	tcase_add_test(tc, an_npp_may_have_two_ports_on_one_segment);
	tcase_add_test(tc, routers_with_bird_have_no_derived_routes);
	tcase_add_test(tc, an_npp_on_several_networks_has_a_way_out_by_each);
	tcase_add_test(tc, the_address_of_a_whole_npp_is_reached_by_one_of_its_ports);
	tcase_add_test(tc, networks_may_have_ipv6_alone);
	tcase_add_test(tc, each_family_goes_by_the_networks_that_have_it);
	tcase_add_test(tc, a_gateway_of_one_family_names_the_router_of_both);
	tcase_add_test(tc, a_lab_of_ipv4_can_be_made_one_of_ipv6_alone);
	tcase_add_test(tc, who_learns_its_address_learns_its_routers);
	tcase_add_test(tc, what_is_of_the_other_family_is_refused);
	suite_add_tcase(s, tc);
	return npp_suite_run(s);
}
