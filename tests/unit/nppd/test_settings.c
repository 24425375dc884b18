/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_settings.c - nppd.conf(5): what is taken, what is refused and how, what it needs
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nppd/need.h"
#include "nppd/settings.h"
#include "tests/unit/suite.h"

static struct settings s;
static char path[96];

static int load(const char *text)
{
	int fd, r;

	snprintf(path, sizeof path, "%s/settings-XXXXXX", npp_dir_path());
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	settings_free(&s);
	r = settings_load(&s, path, "/run/npp");
	unlink(path);
	return r;
}

static void teardown(void)
{
	settings_free(&s);
}

#define NPP "npp:\n  name: acc1\n  addresses: [10.1.0.11/24]\n"

START_TEST(least_npp_gets_the_defaults)
{
	ck_assert_int_eq(load(NPP), 0);
	ck_assert(!s.is_host);
	ck_assert_uint_eq(s.npp.iops, 4);
	ck_assert_str_eq(s.npp.port[0].name, "acc1");
	ck_assert_uint_eq(s.npp.port[0].mtu, 1500);
	ck_assert_uint_eq(s.npp.port[0].mac[0], 2);
	ck_assert_uint_eq(s.npp.n_addrs, 1);
	ck_assert_uint_eq(s.npp.addrs[0].len, 96 + 24);
	ck_assert_uint_eq(s.npp.memory.rx_ring, 4 << 20);
	ck_assert_uint_eq(s.npp.memory.connections, 16384);
	ck_assert_uint_eq(s.npp.memory.reassembly, 4 << 20);
	ck_assert_uint_eq(s.npp.tcp.time_wait, 60000000);
	ck_assert_uint_eq(s.npp.common.hugepages, HUGE_AUTO);
	ck_assert(s.npp.common.auto_place);
	ck_assert_uint_eq(s.npp.acd, ACD_PROBE);
	ck_assert_uint_eq(s.npp.acd_ms, 240);
	ck_assert(s.npp.common.seccomp);
	ck_assert_uint_ge(s.npp.common.uid, 60000);
	ck_assert_uint_eq(s.npp.prog.algorithm, NPP_HASH_XOR);
	ck_assert_uint_eq(s.npp.prog.mask.sport, 0xffff);
	ck_assert_uint_eq(s.npp.prog.mask.proto, 0);
}
END_TEST

START_TEST(whole_npp_is_read)
{
	ck_assert_int_eq(load("npp:\n"
			      "  name: acc1\n  iops: 3\n"
			      "  port: {name: p1, mac: 02:00:00:00:00:11, mtu: 9000, netns: /run/netns/x, bridge: br0}\n"
			      "  acd: announce\n  acd_ms: 6000\n"
			      "  addresses: [10.1.0.11/24, 10.2.0.1/16]\n"
			      "  routes:\n    - {to: default, via: 10.1.0.1}\n    - {to: 10.9.0.0/16, mtu: 1400, metric: 7}\n"
			      "  dispatch: {algorithm: toeplitz, mask: [src-addr, dst-addr, src-port, dst-port], symmetric: yes,\n"
			      "             select: {shift: 3, bits: 5}}\n"
			      "  memory: {rx_ring: 4M, connections: 1024, reassembly: 1M}\n"
			      "  tcp: {ecn: on, congestion: reno, time_wait: 1500ms, rmem: [8K, 64K, 4M], wmem: [4K, 4K, 4K]}\n"
			      "  hugepages: never\n  placement: [1, 0]\n  uid: 700001\n  seccomp: no\n  reserve: yes\n"), 0);
	ck_assert_uint_eq(s.npp.port[0].mac[5], 0x11);
	ck_assert_str_eq(s.npp.port[0].bridge, "br0");
	ck_assert_uint_eq(s.npp.acd, ACD_ANNOUNCE);
	ck_assert_uint_eq(s.npp.acd_ms, 6000);
	ck_assert_uint_eq(s.npp.tcp.ecn, NPP_ECN_ON);
	ck_assert_uint_eq(s.npp.tcp.congestion, NPP_CC_RENO);
	ck_assert_uint_eq(s.npp.tcp.time_wait, 1500000);
	ck_assert_uint_eq(s.npp.tcp.rmem.min, 8192);
	ck_assert_uint_eq(s.npp.tcp.rmem.dflt, 65536);
	ck_assert_uint_eq(s.npp.tcp.rmem.max, 4 << 20);
	ck_assert_uint_eq(s.npp.tcp.wmem.max, 4096);
	ck_assert_uint_eq(s.npp.n_routes, 2);
	ck_assert_uint_eq(s.npp.routes[0].to.len, 96);
	ck_assert_uint_eq(s.npp.routes[1].metric, 7);
	ck_assert(npp_addr_is_any(&s.npp.routes[1].via));
	ck_assert_uint_eq(s.npp.prog.algorithm, NPP_HASH_TOEPLITZ);
	ck_assert_uint_eq(s.npp.prog.symmetric, 1);
	ck_assert_uint_eq(s.npp.prog.select_shift, 3);
	ck_assert_uint_eq(s.npp.prog.mask.dst.w[0], 0xffffffff);
	ck_assert_uint_eq(s.npp.common.n_cpus, 2);
	ck_assert_int_eq(s.npp.common.cpus[0], 1);
	ck_assert_uint_eq(s.npp.common.uid, 700001);
	ck_assert_uint_eq(settings_hugepages_needed(&s), 0);
}
END_TEST

#define PORTS "npp:\n  name: acc1\n  ports:\n" \
	"  - {netns: /run/netns/a, addresses: [10.1.0.11/24, 'fd01::11/64'], gateway: 10.1.0.1}\n" \
	"  - {netns: /run/netns/b, mtu: 9000, bridge: br1, addresses: [10.2.0.11/24], gateway: 10.2.0.1}\n"

START_TEST(several_ports_are_read)
{
	ck_assert_int_eq(load(PORTS "  addresses: [10.9.0.11]\n  routes: [{to: 10.7.0.0/16, via: 10.2.0.9}]\n"), 0);
	ck_assert_uint_eq(s.npp.n_ports, 2);
	ck_assert_str_eq(s.npp.port[1].name, "acc1"); /* in another namespace the same name */
	ck_assert_str_eq(s.npp.port[1].bridge, "br1");
	ck_assert_uint_eq(s.npp.port[0].mtu, 1500);
	ck_assert_uint_eq(s.npp.port[1].mtu, 9000);
	ck_assert_mem_ne(s.npp.port[0].mac, s.npp.port[1].mac, 6);
	ck_assert_uint_eq(s.npp.n_all, 4);
	ck_assert_uint_eq(s.npp.all[0].port, NPP_PORT_ANY);
	ck_assert_uint_eq(s.npp.all[0].p.len, 128);
	ck_assert_uint_eq(s.npp.all[2].port, 0);
	ck_assert_uint_eq(s.npp.all[3].port, 1);
	ck_assert_uint_eq(settings_ports_to(&s.npp, &s.npp.port[1].gateway), 2);
	ck_assert_uint_eq(settings_ports_of_route(&s.npp, &s.npp.routes[0]), 2);
}
END_TEST

START_TEST(a_list_of_one_port_is_the_short_form)
{
	ck_assert_int_eq(load("npp: {name: a, ports: [{name: p1, addresses: [10.1.0.11/24]}]}"), 0);
	ck_assert_uint_eq(s.npp.n_ports, 1);
	ck_assert_str_eq(s.npp.port[0].name, "p1");
	ck_assert_uint_eq(s.npp.all[0].port, 0);
	ck_assert_int_eq(load("npp: {name: a, port: {name: p1, addresses: [10.1.0.11/24], gateway: 10.1.0.1}}"), 0);
	ck_assert_uint_eq(s.npp.n_ports, 1);
	ck_assert_uint_eq(s.npp.n_all, 1);
}
END_TEST

START_TEST(a_network_of_the_whole_is_on_all_ports)
{
	ck_assert_int_eq(load("npp: {name: a, ports: [{name: p1}, {name: p2}], addresses: [10.1.0.11/24], gateway: 10.1.0.1,\n"
			      "      routes: [{to: 10.5.0.0/16, via: 10.1.0.5}, {to: 10.6.0.0/16, port: 1}]}"), 0);
	ck_assert_uint_eq(settings_ports_to(&s.npp, &s.npp.gateway), 3);
	ck_assert_uint_eq(settings_ports_of_route(&s.npp, &s.npp.routes[0]), 3);
	ck_assert_uint_eq(settings_ports_of_route(&s.npp, &s.npp.routes[1]), 2);
}
END_TEST

/* An NPP whose gateways stand at both levels, with N routes; the result of loading it. */
static int load_routes(const char *ports, uint32_t n)
{
	static char text[32768];
	size_t at = (size_t)snprintf(text, sizeof text, "npp:\n  name: acc1\n  addresses: [10.1.0.11/24, fd01::11/64]\n"
				     "  gateway: 10.1.0.1\n  gateway6: fd01::1\n%s  routes:\n", ports);

	for (uint32_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "  - {to: 10.9.%u.0/24, via: 10.1.0.1}\n", i);
	ck_assert_uint_lt(at, sizeof text);
	return load(text);
}

START_TEST(all_routes_and_gateways_have_room_or_it_is_said)
{
	static const char one[] = "  port: {name: p1, gateway: 10.1.0.2, gateway6: 'fd01::2'}\n";
	static const char two[] = "  ports: [{name: p1}, {name: p2}]\n";

	ck_assert_int_eq(load_routes(one, 252), 0);
	ck_assert_int_lt(load_routes(one, 253), 0);
	ck_assert_uint_eq(npp_conf_error_count(s.conf), 1);
	ck_assert_ptr_nonnull(strstr(npp_conf_error_text(s.conf, 0), ": key 'npp.routes': are too many: by each port that they "
				     "go by, with gateways, 257, at most 256"));
	ck_assert_int_eq(load_routes(two, 126), 0);
	ck_assert_int_lt(load_routes(two, 127), 0);
	ck_assert_ptr_nonnull(strstr(npp_conf_error_text(s.conf, 0), "with gateways, 258, at most 256"));
}
END_TEST

START_TEST(hosts_that_share_are_read)
{
	ck_assert_int_eq(load(NPP "  hosts: {a: 2, b: 1, c: 0}\n  host_grace_ms: 7\n  host_frozen_ms: 0\n"), 0);
	ck_assert_uint_eq(s.npp.n_share, 3);
	ck_assert_str_eq(s.npp.share[0].name, "a");
	ck_assert_uint_eq(s.npp.share[0].weight, 2);
	ck_assert_uint_eq(s.npp.share[2].weight, 0);
	ck_assert_uint_eq(s.npp.policy, NPP_SHARE_WEIGHT);
	ck_assert_uint_eq(s.npp.grace_ms, 7);
	ck_assert_uint_eq(s.npp.frozen_ms, 0);
	settings_free(&s);
	ck_assert_int_eq(load(NPP "  hosts: [b, a]\n  policy: standby\n"), 0);
	ck_assert_str_eq(s.npp.share[0].name, "b");
	ck_assert_uint_eq(s.npp.share[0].weight, 1);
	ck_assert_uint_eq(s.npp.share[1].weight, 2);
	ck_assert_uint_eq(s.npp.policy, NPP_SHARE_STANDBY);
	ck_assert_uint_eq(s.npp.grace_ms, 1000);
}
END_TEST

START_TEST(host_is_read)
{
	ck_assert_int_eq(load("host: {name: web1, npps: [acc1, acc2], memory: 100M, sockets: 1000, grace_ms: 5}"), 0);
	ck_assert(s.is_host);
	ck_assert_uint_eq(s.host.n_npps, 2);
	ck_assert_str_eq(s.host.npps[1], "acc2");
	ck_assert_uint_eq(s.host.sockets, 1000);
	ck_assert_uint_eq(s.host.grace_ms, 5);
	ck_assert_uint_eq(settings_hugepages_needed(&s), 50);
	ck_assert_int_eq(load("host: {name: web1, npps: acc1}"), 0);
	ck_assert_uint_eq(s.host.n_npps, 1);
}
END_TEST

START_TEST(need_grows_with_iops_and_connections)
{
	unsigned one, four, many;

	ck_assert_int_eq(load("npp: {name: a, iops: 1, addresses: [10.1.0.11/24]}"), 0);
	one = settings_hugepages_needed(&s);
	ck_assert_int_eq(load("npp: {name: a, iops: 4, addresses: [10.1.0.11/24]}"), 0);
	four = settings_hugepages_needed(&s);
	ck_assert_int_eq(load("npp: {name: a, iops: 4, addresses: [10.1.0.11/24], memory: {connections: 100000}}"), 0);
	many = settings_hugepages_needed(&s);
	ck_assert_uint_eq(four, 4 * one);
	ck_assert_uint_gt(many, four);
}
END_TEST

START_TEST(derived_values_differ_by_name_and_run_directory)
{
	ck_assert_uint_ne(settings_derive_uid("/run/npp", "a"), settings_derive_uid("/run/npp", "b"));
	ck_assert_uint_ne(settings_derive_uid("/run/npp/x", "a"), settings_derive_uid("/run/npp/y", "a"));
	ck_assert_uint_eq(settings_derive_uid("/run/npp", "a"), settings_derive_uid("/run/npp", "a"));
}
END_TEST

START_TEST(an_npp_may_learn_all_its_addresses)
{
	ck_assert_int_eq(load("npp: {name: a, autoconf: yes}"), 0);
	ck_assert_uint_eq(s.npp.n_all, 0);
	teardown();
	ck_assert_int_eq(load("npp:\n  name: a\n  ports: [{name: x}, {name: y, autoconf: yes}]\n"), 0);
	ck_assert(!s.npp.port[0].autoconf && s.npp.port[1].autoconf);
}
END_TEST

static const struct { const char *text, *want; } bad[] = {
	{ "npp: {}", ":1: key 'npp.name': is missing" },
	{ "npp: {name: a}", ":1: key 'npp.addresses': is missing, and there is no 'autoconf: yes'" },
	{ "npp: {name: a, addresses: ['fd00::b/64'], gateway: 'fd00::1'}", ":1: key 'npp.gateway': is an IPv6 address: that is key 'gateway6'" },
	{ "npp: {name: a, addresses: []}", ":1: key 'npp.addresses': has 0 entries, at least 1 needed" },
	{ NPP "  iops: 0\n", ":4: key 'npp.iops': 0 is too small (1..32)" },
	{ NPP "  iops: 33\n", ":4: key 'npp.iops': 33 is too large (1..32)" },
	{ NPP "  iops: many\n", ":4: key 'npp.iops': 'many' is not a whole number" },
	{ NPP "  iosp: 3\n", ":4: key 'npp.iosp': is not known, did you mean 'iops'?" },
	{ NPP "  name: b\n", ":4: key 'npp.name': stands here a second time (first on line 2)" },
	{ NPP "  uid: 0\n", ":4: key 'npp.uid': 0 is too small (1..2147483646)" },
	{ NPP "  port: {mtu: 70000}\n", ":4: key 'npp.port.mtu': 70000 is too large (576..9216)" },
	{ NPP "  port: {mac: 01:00:00:00:00:01}\n", ":4: key 'npp.port.mac': 01:00:00:00:00:01 is a group address" },
	{ NPP "  port: {mac: 00:00:00:00:00:00}\n", ":4: key 'npp.port.mac': 00:00:00:00:00:00 is no address" },
	{ NPP "  port: {name: much-too-long-for-a-link}\n",
	  ":4: key 'npp.port.name': 'much-too-long-for-a-link' is too long (0..15 characters)" },
	{ NPP "  gateway: 10.2.0.1\n", ":4: key 'npp.gateway': 10.2.0.1 is in no network that 'addresses' names" },
	{ NPP "  gateway: 10.1.0.11\n", ":4: key 'npp.gateway': 10.1.0.11 is our own address" },
	{ NPP "  routes: [{via: 10.1.0.1}]\n", ":4: key 'npp.routes[0].to': is missing" },
	{ NPP "  routes:\n  - {to: 10.9.0.0/16, via: 10.3.0.1}\n",
	  ":5: key 'npp.routes[0].via': 10.3.0.1 is in no network that 'addresses' names" },
	{ NPP "  dispatch: {algorithm: md5}\n", ":4: key 'npp.dispatch.algorithm': 'md5' is not one of xor, toeplitz, crc32c" },
	{ NPP "  dispatch: {symmetric: yes}\n", ":4: key 'npp.dispatch': symmetric is for toeplitz only" },
	{ NPP "  dispatch: {select: {bits: 8}}\n", ":4: key 'npp.dispatch.select.bits': 8 is too large (1..7)" },
	{ NPP "  dispatch: {select: {bits: 1}}\n", ":4: key 'npp.dispatch': 1 bits of select cannot name 4 IOPs" },
	{ NPP "  dispatch: {mask: [src]}\n",
	  ":4: key 'npp.dispatch.mask[0]': 'src' is not one of src-addr, dst-addr, src-port, dst-port, proto" },
	{ NPP "  memory: {rx_ring: 3M}\n", ":4: key 'npp.memory.rx_ring': must be a power of two" },
	{ NPP "  memory: {rx_ring: 4096}\n", ":4: key 'npp.memory.rx_ring': 4096 is too small (131072..1073741824 bytes)" },
	{ NPP "  tcp: {rmem: 1M}\n", ":4: key 'npp.tcp.rmem': expected three sizes: least, to begin with, most" },
	{ NPP "  tcp: {wmem: [4K, 1M]}\n", ":4: key 'npp.tcp.wmem': expected three sizes: least, to begin with, most" },
	{ NPP "  tcp:\n    rmem: [4K, 2M, 1M]\n", ":5: key 'npp.tcp.rmem[2]': 1M is less than the one before" },
	{ NPP "  tcp: {rmem: [4K, 128K, 8M]}\n", ":4: key 'npp.tcp.rmem[2]': 8M is too large (4096..4194304 bytes)" },
	{ NPP "  tcp: {wmem: [1K, 16K, 1M]}\n", ":4: key 'npp.tcp.wmem[0]': 1K is too small (4096..4194304 bytes)" },
	{ NPP "  placement: somewhere\n", ":4: key 'npp.placement': 'somewhere' is not auto, none or a list of cpus" },
	{ NPP "  placement: [0, -1]\n", ":4: key 'npp.placement[1]': -1 is too small (0..1023)" },
	{ NPP "  hugepages: sometimes\n", ":4: key 'npp.hugepages': 'sometimes' is not one of auto, always, never" },
	{ "npp: {name: a, addresses: [10.1.0.11/24, 10.1.0.11/16]}", ":1: key 'npp.addresses[1]': 10.1.0.11/16 stands there twice" },
	{ "npp: {name: a, addresses: [10.1.0.0/24]}", ":1: key 'npp.addresses[0]': 10.1.0.0/24 cannot be the address of a machine" },
	{ "npp: {name: a, addresses: [10.1.0.255/24]}", ":1: key 'npp.addresses[0]': 10.1.0.255/24 cannot be the address of a machine" },
	{ "npp: {name: a, addresses: [127.0.0.1/8]}", ":1: key 'npp.addresses[0]': 127.0.0.1/8 cannot be the address of a machine" },
	{ "npp: {name: a, addresses: [224.0.0.1/8]}", ":1: key 'npp.addresses[0]': 224.0.0.1/8 cannot be the address of a machine" },
	{ "npp: {name: a-name-that-is-long, addresses: [10.1.0.11/24]}",
	  ":1: key 'npp.name': 'a-name-that-is-long' is too long to name the port as well (at most 15): give 'port.name'" },
	{ "npp: {name: a-name-that-is-long, ports: [{}, {name: b}], addresses: [10.1.0.11/24]}",
	  ":1: key 'npp.name': 'a-name-that-is-long' is too long to name the port as well (at most 15): give 'port.name'" },
	{ "npp: {name: ../x, addresses: [10.1.0.11/24]}",
	  ":1: key 'npp.name': '../x' is not a name (letters, digits, '-', '_', '.')" },
	{ PORTS "  port: {name: x}\n", ":6: key 'npp.port': stands beside 'ports': it is the form for a single one" },
	{ "npp:\n  name: a\n  ports: [{}, {}]\n  addresses: [10.1.0.11/24]\n",
	  ":3: key 'npp.ports[1]': a port before is called 'a' as well: give it another 'name'" },
	{ "npp:\n  name: a\n  ports: [{}, {name: b}, {name: c}, {name: d}, {name: e}]\n  addresses: [10.1.0.11/24]\n",
	  ":3: key 'npp.ports': has 5 entries, at most 4 allowed" },
	{ "npp:\n  name: a\n  ports: [{mac: 02:00:00:00:00:01}, {name: b, mac: 02:00:00:00:00:01}]\n  addresses: [10.1.0.11/24]\n",
	  ":3: key 'npp.ports[1].mac': port 0 has it already" },
	{ "npp:\n  name: a\n  ports: [{}, {name: b}]\n", ":2: key 'npp.addresses': is missing, and there is no 'autoconf: yes'" },
	{ PORTS "  addresses: [10.1.0.11/32]\n", ":4: key 'npp.ports[0].addresses[0]': 10.1.0.11/24 stands there twice" },
	{ PORTS "  addresses: ['fe80::1/64']\n",
	  ":6: key 'npp.addresses[0]': fe80::1/64 is valid on one link only: it belongs to a port" },
	{ PORTS "  gateway6: 'fe80::1'\n", ":6: key 'npp.gateway6': is valid on one link only: it belongs to a port" },
	{ PORTS "  routes: [{to: 10.7.0.0/16}]\n",
	  ":6: key 'npp.routes[0].port': is missing: the network may be on any of the ports" },
	{ PORTS "  routes: [{to: 10.7.0.0/16, port: 2}]\n", ":6: key 'npp.routes[0].port': there is no port 2" },
	{ PORTS "  routes: [{to: 10.7.0.0/16, via: 10.1.0.9, port: 1}]\n",
	  ":6: key 'npp.routes[0].via': 10.1.0.9 is in no network that 'addresses' names" },
	{ "npp:\n  name: a\n  ports: [{addresses: [10.1.0.11/24]}, {name: b, addresses: [10.2.0.11/24], gateway: 10.1.0.1}]\n",
	  ":3: key 'npp.ports[1].gateway': 10.1.0.1 is in no network that 'addresses' names" },
	{ "npp:\n  name: a\n  ports: [{addresses: [10.1.0.11/24]}, {name: b, mtu: 1000, addresses: ['fd02::1/64']}]\n",
	  ":3: key 'npp.ports[1].mtu': an mtu of 1000 is too small for IPv6: at least 1280" },
	{ NPP "  hosts: a\n", ":4: key 'npp.hosts': expected a map from hosts to weights, or a list of hosts" },
	{ NPP "  hosts: {a: 101}\n", ":4: key 'npp.hosts.a': 101 is too large (0..100)" },
	{ NPP "  hosts: {a: many}\n", ":4: key 'npp.hosts.a': 'many' is not a whole number" },
	{ NPP "  hosts: {../a: 1}\n", ":4: key 'npp.hosts.../a': '../a' is no name of a host" },
	{ NPP "  hosts: [a, a]\n", ":4: key 'npp.hosts[1]': 'a' stands there twice" },
	{ NPP "  hosts: [a, b, c, d, e, f, g, h, i]\n", ":4: key 'npp.hosts[8]': an NPP has at most 8 hosts" },
	{ NPP "  policy: none\n", ":4: key 'npp.policy': 'none' is not one of weight, standby, load" },
	{ "host: {name: h}", ":1: key 'host.npps': is missing" },
	{ "host: {name: h, npps: [a, b, c, d, e]}", ":1: key 'host.npps': has 5 entries, at most 4 allowed" },
	{ "host: {name: h, npps: [a, a]}", ":1: key 'host.npps[1]': 'a' stands there twice" },
	{ "host: {name: h, npps: [h]}", ":1: key 'host.npps[0]': 'h' is the host's own name" },
	{ "host: {name: h, npps: [a], memory: 4M}", ":1: key 'host.memory': 4 MB is too little for 65536 sockets: at least 28 MB" },
	{ "host: {name: h, npps: [a]}\n" NPP, ":1: key 'host': stands beside 'npp': one file is one NPP or one host" },
	{ "nnp: {}", ":1: key 'nnp': is not known, did you mean 'npp'?" },
	{ "", ": is empty" },
};

START_TEST(bad_configuration_is_refused)
{
	ck_assert_int_lt(load(bad[_i].text), 0);
	for (unsigned i = 0; i < npp_conf_error_count(s.conf); i++) {
		const char *e = npp_conf_error_text(s.conf, i);

		ck_assert_int_eq(strncmp(e, path, strlen(path)), 0);
		if (strcmp(e + strlen(path), bad[_i].want) == 0)
			return;
	}
	ck_abort_msg("wanted '%s', got '%s'", bad[_i].want, npp_conf_error_text(s.conf, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings");
	TCase *t = tcase_create("settings");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, least_npp_gets_the_defaults);
	tcase_add_test(t, whole_npp_is_read);
	tcase_add_test(t, several_ports_are_read);
	tcase_add_test(t, a_list_of_one_port_is_the_short_form);
	tcase_add_test(t, an_npp_may_learn_all_its_addresses);
	tcase_add_test(t, a_network_of_the_whole_is_on_all_ports);
	tcase_add_test(t, all_routes_and_gateways_have_room_or_it_is_said);
	tcase_add_test(t, hosts_that_share_are_read);
	tcase_add_test(t, host_is_read);
	tcase_add_test(t, need_grows_with_iops_and_connections);
	tcase_add_test(t, derived_values_differ_by_name_and_run_directory);
	tcase_add_loop_test(t, bad_configuration_is_refused, 0, sizeof bad / sizeof *bad);
	suite_add_tcase(suite, t);
	return npp_suite_run(suite);
}
