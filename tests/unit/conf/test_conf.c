/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_conf.c - configuration files: tree, binding, errors with their place, bad bytes
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/conf.h"
#include "tests/unit/suite.h"

/* ---- a schema that uses every type ------------------------------------------- */

enum { RED = 1, GREEN = 2, BLUE = 3 };
static const struct npp_conf_enum colours[] = { { "red", RED }, { "green", GREEN }, { "blue", BLUE }, { NULL, 0 } };

struct peer { const char *key; struct npp_conf_prefix net; const struct npp_conf_node *self; uint32_t weight; };
static const struct npp_conf_field peer_fields[] = {
	NPP_CONF_FIELD("net", PREFIX, struct peer, net),
	NPP_CONF_FIELD("weight", U32, struct peer, weight, .min = 1, .max = 10, .dflt = "5"),
	NPP_CONF_FIELD(NULL, KEYNAME, struct peer, key),
	NPP_CONF_FIELD(NULL, SELF, struct peer, self),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema peer_schema = { sizeof(struct peer), peer_fields, NULL };

struct port { const char *name; uint16_t mtu; uint8_t mac[6]; };
static const struct npp_conf_field port_fields[] = {
	NPP_CONF_FIELD("name", NAME, struct port, name, .flags = NPP_CONF_REQUIRED, .max = 15),
	NPP_CONF_FIELD("mtu", U16, struct port, mtu, .min = 68, .max = 65535, .dflt = "1500"),
	NPP_CONF_FIELD("mac", MAC, struct port, mac),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema port_schema = { sizeof(struct port), port_fields, NULL };

struct thing {
	bool on;
	int32_t temp;
	uint64_t big, size, delay, rate;
	double loss;
	const char *text;
	uint32_t colour;
	union npp_addr gw;
	struct port port;
	const char **words;
	uint32_t n_words;
	struct port *ports;
	uint32_t n_ports;
	struct peer *peers;
	uint32_t n_peers;
	const struct npp_conf_node *raw;
	uint32_t even;
};
static const struct npp_conf_field word_item = { .type = NPP_CONF_STR };
static const struct npp_conf_field port_item = { .type = NPP_CONF_MAP, .sub = &port_schema };

static int parse_even(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	uint64_t v;

	(void)f;
	if (n->kind != NPP_CONF_SCALAR || npp_conf_parse_u64(n->text, &v) < 0 || v % 2)
		return npp_conf_error(c, n, "must be even");
	*(uint32_t *)dst = (uint32_t)v;
	return 0;
}

static int check_thing(struct npp_conf *c, const struct npp_conf_node *n, void *obj)
{
	struct thing *t = obj;

	return t->temp == 13 ? npp_conf_error_key(c, n, "temp", "brings bad luck") : 0;
}

#define T(m) offsetof(struct thing, m)
static const struct npp_conf_field thing_fields[] = {
	NPP_CONF_FIELD("on", BOOL, struct thing, on, .dflt = "yes"),
	NPP_CONF_FIELD("temp", I32, struct thing, temp, .min = -40, .max = 85),
	NPP_CONF_FIELD("big", U64, struct thing, big),
	NPP_CONF_FIELD("size", SIZE, struct thing, size, .min = 4096, .max = 1 << 30, .dflt = "64K"),
	NPP_CONF_FIELD("delay", TIME, struct thing, delay),
	NPP_CONF_FIELD("rate", RATE, struct thing, rate),
	NPP_CONF_FIELD("loss", DOUBLE, struct thing, loss, .dmin = 0, .dmax = 1),
	NPP_CONF_FIELD("text", STR, struct thing, text, .max = 10),
	NPP_CONF_FIELD("colour", ENUM, struct thing, colour, .enums = colours, .dflt = "green"),
	NPP_CONF_FIELD("gateway", ADDR, struct thing, gw),
	NPP_CONF_FIELD("port", MAP, struct thing, port, .sub = &port_schema, .flags = NPP_CONF_OPTIONAL),
	NPP_CONF_FIELD("words", LIST, struct thing, words, .count_off = T(n_words), .item = &word_item, .max = 3),
	NPP_CONF_FIELD("ports", LIST, struct thing, ports, .count_off = T(n_ports), .item = &port_item, .min = 1),
	NPP_CONF_FIELD("peers", NAMES, struct thing, peers, .count_off = T(n_peers), .sub = &peer_schema, .max = 4),
	NPP_CONF_FIELD("raw", NODE, struct thing, raw),
	NPP_CONF_FIELD("even", CUSTOM, struct thing, even, .parse = parse_even, .size = 4),
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema thing_schema = { sizeof(struct thing), thing_fields, check_thing };

static struct npp_conf *conf;
static struct thing thing;

static int load(const char *text)
{
	int r;

	npp_conf_free(conf);
	r = npp_conf_load_text(&conf, "f.yaml", text, strlen(text));
	return r < 0 ? r : npp_conf_bind(conf, npp_conf_root(conf), &thing_schema, &thing);
}

static void teardown(void)
{
	npp_conf_free(conf);
	conf = NULL;
}

static void expect_error(const char *text, const char *want)
{
	ck_assert_int_eq(load(text), -EINVAL);
	for (unsigned i = 0; i < npp_conf_error_count(conf); i++)
		if (strcmp(npp_conf_error_text(conf, i), want) == 0)
			return;
	ck_abort_msg("wanted '%s', got '%s' (of %u) for: %s", want, npp_conf_error_text(conf, 0),
		     npp_conf_error_count(conf), text);
}

/* ---- good files ------------------------------------------------------------------ */

START_TEST(every_type_is_bound)
{
	ck_assert_int_eq(load("on: no\ntemp: -7\nbig: 0xffffffffff\nsize: 2M\ndelay: 1.5ms\nrate: 100mbit\n"
			      "loss: 2.5%\ntext: 'hello: x'\ncolour: blue\ngateway: 10.1.0.1\n"
			      "port: {name: a.b-c_1, mac: 02:00:00:00:00:11, mtu: 9000}\n"
			      "words: [a, 'b c']\nports: [{name: x}, {name: y, mtu: 68}]\n"
			      "peers:\n  left: {net: 10.0.0.0/8}\n  right:\n    weight: 10\nraw: [1, {a: b}]\neven: 4\n"), 0);
	ck_assert(!thing.on);
	ck_assert_int_eq(thing.temp, -7);
	ck_assert_uint_eq(thing.big, 0xffffffffffull);
	ck_assert_uint_eq(thing.size, 2u << 20);
	ck_assert_uint_eq(thing.delay, 1500);
	ck_assert_uint_eq(thing.rate, 100000000);
	ck_assert(thing.loss > 0.0249 && thing.loss < 0.0251);
	ck_assert_str_eq(thing.text, "hello: x");
	ck_assert_uint_eq(thing.colour, BLUE);
	ck_assert(npp_addr_is_v4(&thing.gw));
	ck_assert_str_eq(thing.port.name, "a.b-c_1");
	ck_assert_uint_eq(thing.port.mac[5], 0x11);
	ck_assert_uint_eq(thing.port.mtu, 9000);
	ck_assert_uint_eq(thing.n_words, 2);
	ck_assert_str_eq(thing.words[1], "b c");
	ck_assert_uint_eq(thing.n_ports, 2);
	ck_assert_uint_eq(thing.ports[0].mtu, 1500);
	ck_assert_uint_eq(thing.ports[1].mtu, 68);
	ck_assert_uint_eq(thing.n_peers, 2);
	ck_assert_str_eq(thing.peers[0].key, "left");
	ck_assert_uint_eq(thing.peers[0].net.len, 96 + 8);
	ck_assert_uint_eq(thing.peers[1].weight, 10);
	ck_assert_uint_eq(thing.peers[1].self->key_line, 16);
	ck_assert_ptr_eq(thing.raw, npp_conf_find(conf, "raw"));
	ck_assert_str_eq(npp_conf_find(conf, "raw[1].a")->text, "b");
	ck_assert_uint_eq(thing.even, 4);
}
END_TEST

START_TEST(defaults_fill_what_is_absent)
{
	ck_assert_int_eq(load("temp: 1\nwords: single\npeers:\n  a:\n"), 0);
	ck_assert(thing.on);
	ck_assert_uint_eq(thing.size, 65536);
	ck_assert_uint_eq(thing.colour, GREEN);
	ck_assert_ptr_null(thing.port.name);
	ck_assert_ptr_null(thing.text);
	ck_assert_uint_eq(thing.n_words, 1);
	ck_assert_str_eq(thing.words[0], "single");
	ck_assert_uint_eq(thing.n_peers, 1);
	ck_assert_uint_eq(thing.peers[0].weight, 5);
}
END_TEST

struct open_thing { uint32_t known; };
static const struct npp_conf_field open_fields[] = {
	NPP_CONF_FIELD("known", U32, struct open_thing, known),
	{ .type = NPP_CONF_OTHERS }, { .type = NPP_CONF_END }
};
static const struct npp_conf_schema open_schema = { sizeof(struct open_thing), open_fields, NULL };

START_TEST(keys_of_another_version_are_passed_over_where_that_is_wanted)
{
	static const char text[] = "later: {a: [1, 2]}\nknown: 7\nknowm: x\n";
	struct npp_conf *c;
	struct open_thing t;

	ck_assert_int_eq(npp_conf_load_text(&c, "t", text, sizeof text - 1), 0);
	ck_assert_int_eq(npp_conf_bind(c, npp_conf_root(c), &open_schema, &t), 0);
	ck_assert_uint_eq(t.known, 7);
	ck_assert_uint_eq(npp_conf_error_count(c), 0);
	npp_conf_free(c);
}
END_TEST

START_TEST(paths_name_every_node)
{
	char buf[64];

	ck_assert_int_eq(load("peers: {a: {weight: 2}}\nraw: [[1, {k: [x]}]]\n"), 0);
	ck_assert_str_eq(npp_conf_path(npp_conf_find(conf, "peers.a.weight"), buf, sizeof buf), "peers.a.weight");
	ck_assert_str_eq(npp_conf_path(npp_conf_find(conf, "raw[0][1].k[0]"), buf, sizeof buf), "raw[0][1].k[0]");
	ck_assert_str_eq(npp_conf_path(npp_conf_root(conf), buf, sizeof buf), "");
	ck_assert_ptr_null(npp_conf_find(conf, "raw[7]"));
	ck_assert_ptr_null(npp_conf_find(conf, "raw[x"));
	ck_assert_ptr_null(npp_conf_find(conf, "peers.a.nothing"));
	ck_assert_ptr_null(npp_conf_find(conf, "peers[0]"));
}
END_TEST

/* ---- bad files --------------------------------------------------------------------- */

static const struct { const char *text, *want; } bad[] = {
	{ "port:\n  name: a\n  mtu: 70000\n", "f.yaml:3: key 'port.mtu': 70000 is too large (68..65535)" },
	{ "port: {name: a, mtu: 67}", "f.yaml:1: key 'port.mtu': 67 is too small (68..65535)" },
	{ "port: {name: a, mtu: 1e3}", "f.yaml:1: key 'port.mtu': '1e3' is not a whole number" },
	{ "port: {name: a, mtu: 99999999999999999999}",
	  "f.yaml:1: key 'port.mtu': 99999999999999999999 is too large (68..65535)" },
	{ "\nport:\n  mtu: 1500\n", "f.yaml:3: key 'port.name': is missing" },
	{ "port: {nmae: a}", "f.yaml:1: key 'port.nmae': is not known, did you mean 'name'?" },
	{ "on: yes\ncolor: red", "f.yaml:2: key 'color': is not known, did you mean 'colour'?" },
	{ "zzzzzzzz: 1", "f.yaml:1: key 'zzzzzzzz': is not known" },
	{ "colour: blu", "f.yaml:1: key 'colour': 'blu' is not known, did you mean 'blue'? (one of red, green, blue)" },
	{ "colour: 17", "f.yaml:1: key 'colour': '17' is not one of red, green, blue" },
	{ "on: maybe", "f.yaml:1: key 'on': 'maybe' is not yes or no" },
	{ "on: yes\n\non: no\n", "f.yaml:3: key 'on': stands here a second time (first on line 1)" },
	{ "raw: [1, {a: 1, a: 2}]", "f.yaml:1: key 'raw[1].a': stands here a second time (first on line 1)" },
	{ "temp: 86", "f.yaml:1: key 'temp': 86 is too large (-40..85)" },
	{ "temp: -41", "f.yaml:1: key 'temp': -41 is too small (-40..85)" },
	{ "temp: -99999999999999999999", "f.yaml:1: key 'temp': -99999999999999999999 is too small (-40..85)" },
	{ "temp: 13", "f.yaml:1: key 'temp': brings bad luck" },
	{ "temp:", "f.yaml:1: key 'temp': has no value" },
	{ "temp:\non: yes", "f.yaml:1: key 'temp': has no value" },
	{ "temp: [1]", "f.yaml:1: key 'temp': must be a single value, not a list" },
	{ "temp: {a: 1}", "f.yaml:1: key 'temp': must be a single value, not a map" },
	{ "size: 12Q", "f.yaml:1: key 'size': '12Q' is not a size (4096, 64K, 2M, 1G)" },
	{ "size: 1", "f.yaml:1: key 'size': 1 is too small (4096..1073741824 bytes)" },
	{ "size: 99999999999G", "f.yaml:1: key 'size': 99999999999G is too large (4096..1073741824 bytes)" },
	{ "delay: 5", "f.yaml:1: key 'delay': '5' is not a time with its unit (10us, 5ms, 1.5s, 2min)" },
	{ "rate: fast", "f.yaml:1: key 'rate': 'fast' is not a rate with its unit (800bit, 64kbit, 100mbit, 1gbit)" },
	{ "loss: 1.5", "f.yaml:1: key 'loss': 1.5 is too large (0..1)" },
	{ "loss: nan", "f.yaml:1: key 'loss': 'nan' is not a number" },
	{ "text: 12345678901", "f.yaml:1: key 'text': '12345678901' is too long (0..10 characters)" },
	{ "gateway: 10.0.0.300", "f.yaml:1: key 'gateway': '10.0.0.300' is not an IP address" },
	{ "peers: {a: {net: 10.0.0.0/33}}",
	  "f.yaml:1: key 'peers.a.net': '10.0.0.0/33' is not an address with its prefix length (10.0.0.1/24)" },
	{ "peers: {'a b': {}}", "f.yaml:1: key 'peers.a b': is not a name (letters, digits, '-', '_', '.', at most 31)" },
	{ "peers: [a]", "f.yaml:1: key 'peers': must be a map of names" },
	{ "peers: {a: 5}", "f.yaml:1: key 'peers.a': must be a map (key: value)" },
	{ "peers: {a: , b: , c: , d: , e: }", "f.yaml:1: key 'peers': has 5 entries, at most 4 allowed" },
	{ "words: {a: 1}", "f.yaml:1: key 'words': must be a list" },
	{ "words: [a, b, c, d]", "f.yaml:1: key 'words': has 4 entries, at most 3 allowed" },
	{ "words: [a, [b]]", "f.yaml:1: key 'words[1]': must be a single value, not a list" },
	{ "ports: []", "f.yaml:1: key 'ports': has 0 entries, at least 1 needed" },
	{ "ports:\n- {name: a}\n- {name: b/c}",
	  "f.yaml:3: key 'ports[1].name': 'b/c' is not a name (letters, digits, '-', '_', '.')" },
	{ "ports: [{name: abcdefghijklmnop}]",
	  "f.yaml:1: key 'ports[0].name': 'abcdefghijklmnop' is too long (0..15 characters)" },
	{ "ports: [5]", "f.yaml:1: key 'ports[0]': must be a map (key: value)" },
	{ "port: {name: a, mac: 02:00:00:00:00}",
	  "f.yaml:1: key 'port.mac': '02:00:00:00:00' is not an Ethernet address (02:00:00:00:00:01)" },
	{ "even: 3", "f.yaml:1: key 'even': must be even" },
	{ "a: &x 1\nb: *x\n", "f.yaml:1: anchors (&x) are not supported" },
	{ "raw: [*x]\n", "f.yaml:1: aliases (*x) are not supported" },
	{ "raw: !!int 5\n", "f.yaml:1: tags (tag:yaml.org,2002:int) are not supported" },
	{ "on: yes\n---\non: no\n", "f.yaml:2: a second document in the file" },
	{ "raw: \"a\\0b\"", "f.yaml:1: a text with a zero byte in it" },
	{ "[a, b]: c", "f.yaml:1: a key must be a plain word" },
	{ "", "f.yaml: is empty" },
	{ "# only a comment\n", "f.yaml: is empty" },
	{ "~", "f.yaml: is empty" },
	{ "just words", "f.yaml:1: must be a map (key: value)" },
	{ "- a\n- b\n", "f.yaml:1: must be a map (key: value)" },
};

START_TEST(bad_file_is_refused_with_its_place)
{
	expect_error(bad[_i].text, bad[_i].want);
}
END_TEST

START_TEST(all_errors_are_reported_at_once)
{
	ck_assert_int_eq(load("on: maybe\ntemp: 99\nfoo: 1\nport: {mtu: 1}\n"), -EINVAL);
	ck_assert_uint_eq(npp_conf_error_count(conf), 5);
}
END_TEST

START_TEST(a_key_that_is_misspelt_is_not_missed_too)
{
	ck_assert_int_eq(load("port: {nmae: a}\n"), -EINVAL);
	ck_assert_uint_eq(npp_conf_error_count(conf), 1);
	ck_assert(npp_conf_in_doubt(npp_conf_find(conf, "port"), "name"));
	ck_assert(npp_conf_in_doubt(npp_conf_find(conf, "port"), "mtu"));
	ck_assert(!npp_conf_in_doubt(npp_conf_root(conf), "on"));
}
END_TEST

START_TEST(what_is_wrong_is_in_doubt_with_all_that_it_is_in)
{
	ck_assert_int_eq(load("on: yes\npeers: {a: {net: 10.0.0.0/33}, b: {net: 10.0.0.0/8}}\n"), -EINVAL);
	ck_assert(npp_conf_in_doubt(npp_conf_root(conf), "peers"));
	ck_assert(npp_conf_in_doubt(npp_conf_find(conf, "peers.a"), "net"));
	ck_assert(!npp_conf_in_doubt(npp_conf_find(conf, "peers.b"), "net"));
	ck_assert(!npp_conf_in_doubt(npp_conf_root(conf), "on"));
	ck_assert(!npp_conf_in_doubt(NULL, "on"));
}
END_TEST

START_TEST(errors_can_be_had_by_line)
{
	ck_assert_int_eq(load("on: maybe\ntemp: 99\n"), -EINVAL);
	npp_conf_error(conf, npp_conf_find(conf, "on"), "again");
	npp_conf_error(conf, NULL, "of no line");
	npp_conf_sort_errors(conf);
	ck_assert_str_eq(npp_conf_error_text(conf, 0), "f.yaml: of no line");
	ck_assert_ptr_nonnull(strstr(npp_conf_error_text(conf, 1), "f.yaml:1: key 'on': 'maybe'"));
	ck_assert_str_eq(npp_conf_error_text(conf, 2), "f.yaml:1: key 'on': again");
	ck_assert_ptr_nonnull(strstr(npp_conf_error_text(conf, 3), "f.yaml:2: key 'temp'"));
}
END_TEST

START_TEST(broken_yaml_names_the_line)
{
	ck_assert_int_eq(load("on: yes\ntemp: [1\n"), -EINVAL);
	ck_assert_uint_eq(npp_conf_error_count(conf), 1);
	ck_assert_ptr_nonnull(strstr(npp_conf_error_text(conf, 0), "not YAML"));
	ck_assert_int_eq(strncmp(npp_conf_error_text(conf, 0), "f.yaml:3: ", 10), 0);
	ck_assert_int_eq(load("text: \xff\xfe\n"), -EINVAL);
	ck_assert_ptr_null(npp_conf_root(conf));
}
END_TEST

START_TEST(errors_are_bounded)
{
	char text[8192], *p = text;

	for (int i = 0; i < 200; i++)
		p += sprintf(p, "bad%d: 1\n", i);
	ck_assert_int_eq(load(text), -EINVAL);
	ck_assert_uint_eq(npp_conf_error_count(conf), NPP_CONF_MAX_ERRORS + 1);
	ck_assert_str_eq(npp_conf_error_text(conf, NPP_CONF_MAX_ERRORS), "f.yaml: more errors, not shown");
}
END_TEST

START_TEST(depth_and_size_are_bounded)
{
	size_t big = NPP_CONF_MAX_BYTES + 1;
	char deep[4096], *huge;

	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	expect_error(deep, "f.yaml:1: nested deeper than 24");
	huge = malloc(big);
	memset(huge, ' ', big);
	npp_conf_free(conf);
	ck_assert_int_eq(npp_conf_load_text(&conf, "f.yaml", huge, big), -EINVAL);
	ck_assert_str_eq(npp_conf_error_text(conf, 0), "f.yaml: is larger than 1048576 bytes");
	huge[0] = '[';
	for (size_t i = 1; i + 1 < big; i += 2)
		memcpy(huge + i, "1,", 2);
	npp_conf_free(conf);
	ck_assert_int_eq(npp_conf_load_text(&conf, "f.yaml", huge, big - 1), -EINVAL);
	ck_assert_str_eq(npp_conf_error_text(conf, 0), "f.yaml:1: more than 50000 values");
	free(huge);
}
END_TEST

START_TEST(file_that_is_not_there_says_so)
{
	ck_assert_int_eq(npp_conf_load(&conf, "/nonexistent/npp.yaml"), -ENOENT);
	ck_assert_str_eq(npp_conf_error_text(conf, 0), "/nonexistent/npp.yaml: No such file or directory");
	npp_conf_free(conf);
	ck_assert_int_eq(npp_conf_load(&conf, "/"), -EISDIR);
}
END_TEST

START_TEST(values_of_command_lines)
{
	static const char *const verbs[] = { "stat", "status", "stop", "conns", NULL };
	uint64_t v;
	int64_t i;

	ck_assert_int_eq(npp_conf_parse_u64("18446744073709551615", &v), 0);
	ck_assert_int_eq(npp_conf_parse_u64("18446744073709551616", &v), -ERANGE);
	ck_assert_int_eq(npp_conf_parse_u64("0x", &v), -EINVAL);
	ck_assert_int_eq(npp_conf_parse_u64("", &v), -EINVAL);
	ck_assert_int_eq(npp_conf_parse_u64("-1", &v), -EINVAL);
	ck_assert_int_eq(npp_conf_parse_i64("-9223372036854775808", &i), 0);
	ck_assert_int_eq(i == INT64_MIN, 1);
	ck_assert_int_eq(npp_conf_parse_i64("9223372036854775808", &i), -ERANGE);
	ck_assert_int_eq(npp_conf_parse_size("1.5K", &v), 0);
	ck_assert_uint_eq(v, 1536);
	ck_assert_int_eq(npp_conf_parse_time("0", &v), 0);
	ck_assert_int_eq(npp_conf_parse_time("1.2.3s", &v), -EINVAL);
	ck_assert_str_eq(npp_conf_suggest("statt", verbs), "stat");
	ck_assert_str_eq(npp_conf_suggest("con", verbs), "conns");
	ck_assert_ptr_null(npp_conf_suggest("frobnicate", verbs));
}
END_TEST

/* ---- mutations: whatever the bytes, it ends, and every error has a text -------------- */

static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 20) % n;
}

static size_t mutate(char *buf, size_t len, size_t cap)
{
	static const char *const pieces[] = {
		"{", "}", "[", "]", ": ", "- ", "\n", "  ", "&a ", "*a", "!!", "|\n", ">\n", "\"", "'", "#", "?",
		",", "%", "---\n", "\xff", "\xc3\xa9", "\t", "99999999999999999999", "-1", "~", "<<: ", "\\x00",
	};

	for (unsigned k = rnd(6) + 1; k; k--) {
		size_t at = len ? rnd((uint32_t)len) : 0, n;
		const char *piece;

		switch (rnd(4)) {
		case 0:
			if (len)
				buf[at] = (char)rnd(256);
			break;
		case 1:
			n = len ? rnd((uint32_t)(len - at)) % 20 : 0;
			memmove(buf + at, buf + at + n, len - at - n);
			len -= n;
			break;
		case 2:
			len = rnd(8) ? len : at;
			break;
		default:
			piece = pieces[rnd(sizeof pieces / sizeof *pieces)];
			n = strlen(piece);
			if (len + n > cap)
				break;
			memmove(buf + at + n, buf + at, len - at);
			memcpy(buf + at, piece, n);
			len += n;
		}
	}
	return len;
}

START_TEST(mutated_files_never_crash)
{
	static const char seed[] = "on: no\ntemp: -7\nsize: 2M\ndelay: 1.5ms\nloss: 2.5%\ntext: 'h: x'\ncolour: blue\n"
				   "gateway: 10.1.0.1\nport: {name: a, mac: 02:00:00:00:00:11, mtu: 9000}\n"
				   "words: [a, 'b c']\nports: [{name: x}, {name: y, mtu: 68}]\n"
				   "peers:\n  left: {net: 10.0.0.0/8}\n  right:\n    weight: 10\nraw: [1, {a: b}]\neven: 4\n";
	char buf[2048];

	rng = 0x9e3779b97f4a7c15ull + (uint64_t)_i;
	for (int round = 0; round < 2500; round++) {
		size_t len = sizeof seed - 1;
		int r;

		memcpy(buf, seed, len);
		len = mutate(buf, len, sizeof buf);
		r = npp_conf_load_text(&conf, "f.yaml", buf, len);
		if (r == 0)
			r = npp_conf_bind(conf, npp_conf_root(conf), &thing_schema, &thing);
		ck_assert_int_eq(r == 0, npp_conf_error_count(conf) == 0);
		for (unsigned i = 0; i < npp_conf_error_count(conf); i++)
			ck_assert_int_eq(strncmp(npp_conf_error_text(conf, i), "f.yaml:", 7), 0);
		npp_conf_free(conf);
		conf = NULL;
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_type_is_bound);
	tcase_add_test(t, defaults_fill_what_is_absent);
	tcase_add_test(t, keys_of_another_version_are_passed_over_where_that_is_wanted);
	tcase_add_test(t, paths_name_every_node);
	tcase_add_loop_test(t, bad_file_is_refused_with_its_place, 0, sizeof bad / sizeof *bad);
	tcase_add_test(t, all_errors_are_reported_at_once);
	tcase_add_test(t, a_key_that_is_misspelt_is_not_missed_too);
	tcase_add_test(t, what_is_wrong_is_in_doubt_with_all_that_it_is_in);
	tcase_add_test(t, errors_can_be_had_by_line);
	tcase_add_test(t, broken_yaml_names_the_line);
	tcase_add_test(t, errors_are_bounded);
	tcase_add_test(t, depth_and_size_are_bounded);
	tcase_add_test(t, file_that_is_not_there_says_so);
	tcase_add_test(t, values_of_command_lines);
	tcase_add_loop_test(t, mutated_files_never_crash, 0, 4);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
