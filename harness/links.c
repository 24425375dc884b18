/* SPDX-License-Identifier: GPL-2.0-or-later
 * links.c - the links of a lab: find, show, cut, impair
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness/verbs.h"

static const char *net_ns(const struct lab *l, const char *net)
{
	for (uint32_t i = 0; i < l->n_nets; i++)
		if (strcmp(l->nets[i].name, net) == 0)
			return l->nets[i].ns;
	return NULL;
}

bool link_at(struct lab *l, uint32_t n, struct link *k)
{
	for (uint32_t i = 0; i < l->n_nodes; n -= l->nodes[i++].n_ifs)
		if (n < l->nodes[i].n_ifs) {
			k->node = &l->nodes[i];
			k->ifc = &l->nodes[i].ifs[n];
			k->net_ns = net_ns(l, k->ifc->network);
			return k->net_ns != NULL;
		}
	return false;
}

int link_find(struct lab *l, const char *text, struct link *k, struct npp_err *e)
{
	struct link one;
	char name[64];
	unsigned of_node = 0;

	for (uint32_t n = 0; link_at(l, n, &one); n++) {
		snprintf(name, sizeof name, "%s.%s", one.node->name, one.ifc->network);
		if (strcmp(name, text) == 0) {
			*k = one;
			return 0;
		}
		if (strcmp(one.node->name, text) == 0) {
			*k = one;
			of_node++;
		}
	}
	if (of_node > 1 && strcmp(k->node->kind, "wire") != 0)	/* its links are two ends of one thing */
		return npp_err_set(e, -ENOTUNIQ, "'%s' has several links: say %s.NETWORK", text, text);
	return of_node ? 0 : npp_err_set(e, -ENOENT, "lab '%s' has no link '%s' (NODE.NETWORK; see 'npp-lab links')",
					 l->name, text);
}

static int open_net(const struct link *k, struct nl_ns *n, struct npp_err *e)
{
	char path[NS_PATH_CAP];

	return nl_ns_open(n, ns_path(k->net_ns, path), k->net_ns, e);
}

int link_state(const struct link *k, struct link_state *s, struct npp_err *e)
{
	struct nl_link_info i;
	struct nl_ns n;
	int r = open_net(k, &n, e);

	memset(s, 0, sizeof *s);
	if (r < 0)
		return r;
	r = nl_link_info(&n, k->node->name, &i, e);
	nl_ns_close(&n);
	if (r < 0)
		return r;
	/* The port on the bridge is the other end: what it gets, the node has sent. */
	*s = (struct link_state){ .up = i.up, .carrier = i.carrier, .mtu = i.mtu, .rx_bytes = i.tx_bytes, .tx_bytes = i.rx_bytes,
				  .rx_packets = i.tx_packets, .tx_packets = i.rx_packets, .drops = i.drops };
	return 0;
}

int link_set(const struct link *k, bool up, struct npp_err *e)
{
	struct nl_ns n;
	int r = open_net(k, &n, e);

	if (r < 0)
		return r;
	r = nl_set_flags(&n, k->node->name, up, e);
	nl_ns_close(&n);
	return r;
}

/* ---- links ------------------------------------------------------------------------------------ */

static void print_json(const struct link *k, const struct link_state *s, const char *wire)
{
	printf("{\"node\": \"%s\", \"network\": \"%s\", \"address\": \"%s\", \"address6\": \"%s\", \"mac\": \"%s\", \"up\": %s, "
	       "\"carrier\": %s, \"mtu\": %u, \"rx_bytes\": %" PRIu64 ", \"tx_bytes\": %" PRIu64 ", \"rx_packets\": %" PRIu64
	       ", \"tx_packets\": %" PRIu64 ", \"drops\": %" PRIu64 ", \"wire\": %s}",
	       k->node->name, k->ifc->network, k->ifc->address, k->ifc->address6, k->ifc->mac, s->up ? "true" : "false",
	       s->carrier ? "true" : "false", s->mtu, s->rx_bytes, s->tx_bytes, s->rx_packets, s->tx_packets, s->drops, wire);
}

#define ADDRS_CAP (2 * NPP_ADDR_STRLEN + 16)

/* Of both families; returns its length. */
static int addresses(const struct link *k, char *text)
{
	return snprintf(text, ADDRS_CAP, "%s%s%s", k->ifc->address, k->ifc->address[0] && k->ifc->address6[0] ? " " : "",
			k->ifc->address6);
}

/* Of the column of addresses. */
static int addresses_width(struct lab *l)
{
	char text[ADDRS_CAP];
	struct link k;
	int width = 18;

	for (uint32_t n = 0; link_at(l, n, &k); n++)
		if (addresses(&k, text) > width)
			width = (int)strlen(text);
	return width;
}

static void print_text(const struct link *k, const struct link_state *s, int width)
{
	char name[64], text[ADDRS_CAP];

	snprintf(name, sizeof name, "%s.%s", k->node->name, k->ifc->network);
	addresses(k, text);
	printf("%-24s %-*s %-10s %12" PRIu64 " %12" PRIu64 " %8" PRIu64 "  %s\n", name, width, text,
	       !s->up ? "down" : s->carrier ? "up" : "no carrier", s->rx_bytes, s->tx_bytes, s->drops,
	       !k->ifc->wire ? "-" : k->ifc->wire[0] ? k->ifc->wire : "clean");
}

int lab_links(const char *lab, bool json)
{
	struct lab l = { .lock = -1 };
	struct npp_err e = { "" };
	struct link_state s;
	struct link k;
	int r = lab_open(&l, lab, &e), width = r == 0 ? addresses_width(&l) : 0;

	if (r == 0 && !json)
		printf("%-24s %-*s %-10s %12s %12s %8s  %s\n", "LINK", width, "ADDRESS", "STATE", "BYTES IN", "BYTES OUT", "DROPS",
		       "WIRE AT START");
	if (r == 0 && json)
		fputs("[", stdout);
	for (uint32_t n = 0; r == 0 && link_at(&l, n, &k); n++) {
		char *wire = NULL;

		if (link_state(&k, &s, &e) < 0)
			memset(&s, 0, sizeof s);	/* its nppd is dead: shown as down */
		if (json && k.ifc->wire)
			wire_ask(&l, k.node, k.ifc->network, "get", &wire, &e);
		if (json) {
			fputs(n ? ",\n " : "\n ", stdout);
			print_json(&k, &s, wire && *wire == '{' ? wire : "null");
		} else {
			print_text(&k, &s, width);
		}
		free(wire);
	}
	if (r == 0 && json)
		fputs("]\n", stdout);
	lab_free(&l);
	if (r < 0)
		verb_failed(NULL, e.text, json);
	return r < 0;
}

/* ---- impair ------------------------------------------------------------------------------------- */

int impair(struct lab *l, const char *link, const char *request, char **answer, struct npp_err *e)
{
	struct link k;
	int r = link_find(l, link, &k, e);

	*answer = NULL;
	if (r < 0)
		return r;
	if (!k.ifc->wire)
		return npp_err_set(e, -EOPNOTSUPP, "link '%s' has no wire: give it 'wire: yes' in the topology", link);
	return wire_ask(l, k.node, k.ifc->network, request, answer, e);
}

static int build_request(char *text, size_t cap, char *const words[], struct npp_err *e)
{
	size_t len = strchr(words[0], '=') ? (size_t)snprintf(text, cap, "set") : 0;

	for (int i = 0; words[i] && len < cap; i++)
		len += (size_t)snprintf(text + len, cap - len, "%s%s", len ? " " : "", words[i]);
	return len < cap ? 0 : npp_err_set(e, -E2BIG, "too many settings");
}

/* What the verb takes; the wire's own words are others. */
static int check_words(char *const words[], struct npp_err *e)
{
	bool one = words[0] && !words[1];
	uint64_t seed;

	for (unsigned i = 0; words[i]; i++)
		if (!*words[i])
			return npp_err_set(e, -EINVAL, "'' is no setting: expected KEY=VALUE, show, clear or reset");
	if (!words[0] || (one && (!strcmp(words[0], "show") || !strcmp(words[0], "clear") || !strcmp(words[0], "reset") ||
				  !strcmp(words[0], "zero"))))
		return 0;
	if (strcmp(words[0], "seed") == 0)
		return words[1] && !words[2] && npp_conf_parse_u64(words[1], &seed) == 0 ? 0 :
		       npp_err_set(e, -EINVAL, "expected seed NUMBER");
	for (unsigned i = 0; words[i]; i++)
		if (!strchr(words[i], '='))
			return npp_err_set(e, -EINVAL, "'%s' is no setting: expected KEY=VALUE..., or one of show, clear, reset, "
					   "zero and seed NUMBER", words[i]);
	return 0;
}

/* Sends REQUEST, of which only whether it worked is of interest. */
static int impair_quietly(struct lab *l, const char *link, const char *request, struct npp_err *e)
{
	char *answer = NULL;
	int r = impair(l, link, request, &answer, e);

	free(answer);
	return r;
}

/* Back to what the topology says. */
static int reset(struct lab *l, const char *link, struct npp_err *e)
{
	char request[2048];
	struct link k;
	int r = impair_quietly(l, link, "clear", e);

	if (r < 0 || link_find(l, link, &k, e) < 0 || !k.ifc->wire[0])
		return r;
	snprintf(request, sizeof request, "set %s", k.ifc->wire);
	return impair_quietly(l, link, request, e);
}

static int change(struct lab *l, const char *link, char *const words[], struct npp_err *e)
{
	char request[2048];
	int r;

	if (strcmp(words[0], "reset") == 0 && !words[1])
		return reset(l, link, e);
	r = build_request(request, sizeof request, words, e);
	return r < 0 ? r : impair_quietly(l, link, request, e);
}

/* What "up" is of link TEXT. */
static void print_head(struct lab *l, const char *text)
{
	struct link k;

	if (link_find(l, text, &k, NULL) < 0)
		return;
	if (strcmp(k.node->kind, "wire") == 0)
		printf("%s (up: from %s to %s)\n", k.node->name, k.node->ifs[0].network, k.node->ifs[1].network);
	else
		printf("%s.%s (up: from %s)\n", k.node->name, k.ifc->network, k.node->name);
}

int lab_impair(const char *lab, const char *link, char *const words[], bool json)
{
	bool changes = words[0] && !(strcmp(words[0], "show") == 0 && !words[1]);
	struct lab l = { .lock = -1 };
	struct npp_err e = { "" };
	char *answer = NULL;
	int r = check_words(words, &e);

	if (r == 0)
		r = changes ? lab_open_own(&l, lab, &e) : lab_open(&l, lab, &e);
	if (r == 0 && changes)
		r = change(&l, link, words, &e);
	if (r == 0)
		r = impair(&l, link, json ? "get" : "show", &answer, &e);
	if (r == 0 && !json)
		print_head(&l, link);
	if (r == 0)
		fputs(answer, stdout);
	free(answer);
	lab_free(&l);
	if (r < 0)
		verb_failed(NULL, e.text, json);
	return r == 0 ? 0 : r == -EINVAL ? 2 : 1;
}
