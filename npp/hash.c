/* SPDX-License-Identifier: GPL-2.0-or-later
 * hash.c - npp hash: which IOP owns a flow, and why
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "lib/conf.h"
#include "net/hash.h"
#include "npp/npp.h"

#define SEQ_TRIES 100000	/* of a writer that may have died in it */

static const char *const algorithms[] = { "xor", "toeplitz", "crc32c" };

static void print_mask(const struct npp_flow_key *m)
{
	static const uint8_t zero[16];
	const struct { const char *name; const void *at; size_t size; } part[] = {
		{ "src-addr", &m->src, 16 }, { "dst-addr", &m->dst, 16 }, { "src-port", &m->sport, 2 },
		{ "dst-port", &m->dport, 2 }, { "proto", &m->proto, 1 }
	};

	for (unsigned i = 0; i < sizeof part / sizeof *part; i++) {
		const uint8_t *b = part[i].at;
		bool full = true;

		if (memcmp(b, zero, part[i].size) == 0)
			continue;
		for (size_t k = 0; k < part[i].size; k++)
			full = full && b[k] == 0xff;
		printf(" %s%s", part[i].name, full ? "" : "(part)");
	}
	putchar('\n');
}

/* Is A an address of T, or one that all NPPs listen to? */
static bool has_addr(const struct target *t, const union npp_addr *a)
{
	const struct npp_global *g = t->global.base;
	struct npp_if_addr own;
	uint32_t n, seq, tries = 0;
	bool found;

	if (npp_addr_is_multicast(a))
		return true;
	do {	/* acquire, fence: pair with nppd's stores around a change */
		seq = atomic_load_explicit(&g->net_seq, memory_order_acquire);
		found = false;
		n = *(const volatile uint32_t *)&g->n_addrs;
		for (uint32_t i = 0; i < n && i < NPP_MAX_IF_ADDRS; i++) {
			own = g->addr[i];
			found = found || memcmp(&own.addr, a, sizeof *a) == 0;
		}
		atomic_thread_fence(memory_order_acquire);
	} while (++tries < SEQ_TRIES && (seq & 1 || seq != atomic_load_explicit(&g->net_seq, memory_order_relaxed)));
	return found;
}

static void explain(const struct target *t, const struct npp_hash_prog *p, const struct npp_flow_key *key, bool json)
{
	uint32_t h = npp_hash_flow(p, key), n_iops = t->st.n_iops;
	unsigned bits = p->select_bits & 7, index = h >> (p->select_shift & 31) & ((1u << bits) - 1);
	unsigned iop = npp_hash_iop(p, key);
	char src[NPP_ADDR_STRLEN], dst[NPP_ADDR_STRLEN];
	const char *alg = p->algorithm < NPP_HASH_ALGORITHMS ? algorithms[p->algorithm] : "?";

	if (json) {
		fputs("{\"npp\": ", stdout);
		npp_json_string(stdout, t->label);
		printf(", \"iop\": %u, \"iops\": %u, \"program\": %u, \"algorithm\": \"%s\", \"hash\": %u, \"index\": %u}\n", iop,
		       n_iops, p->generation, alg, h, index);
		return;
	}
	printf("IOP %u of %s (of %u)\n", iop, t->label, n_iops);
	printf("  flow       %s port %u -> %s port %u, protocol %u\n", npp_addr_format(&key->src, src), ntohs(key->sport),
	       npp_addr_format(&key->dst, dst), ntohs(key->dport), key->proto);
	printf("  program    %u: %s%s over", p->generation, alg, p->symmetric ? " (symmetric)" : "");
	print_mask(&p->mask);
	printf("  hash       0x%08x\n", h);
	printf("  select     bits %u..%u: index %u of the indirection table\n", p->select_shift,
	       p->select_shift + bits - 1, index);
	printf("  table      [%u] = IOP %u\n", index, iop);
	if (!has_addr(t, &key->dst))
		printf("  note       %s is no address of %s: it does not take such frames\n", dst, t->label);
}

static int parse_proto(const char *text, uint8_t *proto)
{
	uint64_t v;

	if (strcasecmp(text, "tcp") == 0)
		*proto = IPPROTO_TCP;
	else if (strcasecmp(text, "udp") == 0)
		*proto = IPPROTO_UDP;
	else if (npp_conf_parse_u64(text, &v) == 0 && v < 256)
		*proto = (uint8_t)v;
	else
		return -EINVAL;
	return 0;
}

static int parse_end(const char *verb, const char *addr, const char *port, union npp_addr *a, uint16_t *p)
{
	uint64_t v;

	if (npp_addr_parse(addr, a) < 0)
		return verb_usage(verb, "'%s' is not an IP address", addr);
	if (npp_conf_parse_u64(port, &v) < 0 || v > 65535)
		return verb_usage(verb, "'%s' is not a port", port);
	*p = htons((uint16_t)v);
	return 0;
}

/* What the program of T says of KEY. */
static int show(const struct target *t, const struct npp_flow_key *key, bool json, struct npp_err *e)
{
	const struct npp_global *g = t->global.base;
	struct npp_hash_prog p;
	const char *why;
	int r;

	/* Acquire: pairs with nppd's release after it has filled the other program. */
	p = g->prog[atomic_load_explicit(&g->prog_active, memory_order_acquire) & 1];
	r = npp_hash_prog_check(&p, t->st.n_iops, &why);
	if (r < 0)
		return npp_err_set(e, r, "%s: %s", t->label, why);
	explain(t, &p, key, json);
	return 0;
}

/* Of the NPP that is named, or of those that take frames to the destination. */
static int run(char **names, const struct npp_flow_key *key, bool json)
{
	struct npp_err e = { .text = "" };
	char dst[NPP_ADDR_STRLEN];
	struct target *t;
	int n = targets_open(&t, names, 1, 1), r = 0, shown = 0;

	if (n < 0)
		return 1;
	for (int i = 0; i < n && r == 0; i++) {
		r = target_map(&t[i], &e);
		if (r < 0 || (!names[0] && !has_addr(&t[i], &key->dst)))
			continue;
		r = show(&t[i], key, json, &e);
		shown++;
	}
	if (r == 0 && !shown)
		r = npp_err_set(&e, -ENOENT, "hash: no NPP that runs has the address %s", npp_addr_format(&key->dst, dst));
	if (r < 0)
		out_failed("%s", e.text);
	targets_close(t, n);
	return r < 0;
}

int verb_hash(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "proto", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	struct npp_flow_key key = { .proto = IPPROTO_TCP };
	char *names[2] = { NULL, NULL }, **a;
	bool json = false;
	int opt, n, r;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'j': json = out_json(); break;
		case 'p':
			if (parse_proto(optarg, &key.proto) < 0)
				return verb_usage(argv[0], "'%s' is not a protocol", optarg);
			break;
		case 'h': return verb_help(argv[0]);
		default: return verb_usage(argv[0], NULL);
		}
	}
	n = argc - optind;
	a = argv + optind;
	if (n != 4 && n != 5)
		return verb_usage(argv[0], "addresses and ports of both ends, as a frame to the NPP has them");
	if (n == 5)
		names[0] = *a++;
	r = parse_end(argv[0], a[0], a[1], &key.src, &key.sport);
	if (r == 0)
		r = parse_end(argv[0], a[2], a[3], &key.dst, &key.dport);
	if (r == 0 && npp_addr_is_v4(&key.src) != npp_addr_is_v4(&key.dst))
		r = verb_usage(argv[0], "'%s' and '%s' are not of one family", a[0], a[2]);
	return r ? r : run(names, &key, json);
}
