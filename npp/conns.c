/* SPDX-License-Identifier: GPL-2.0-or-later
 * conns.c - npp conns, npp listeners: the tables of the stacks, read from outside
 *
 * Each ISM's private region is mapped read-only; stack_inspect_*() walk it while the ISM
 * works, so a record may be torn. A host's tables are those of its NPPs, less what
 * belongs to others.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "npp-ism/socket/layout.h"
#include "npp/npp.h"
#include "npp/walk.h"

const char *walk_host_name(const struct target *npp, unsigned h)
{
	return h < NPP_MAX_HOSTS && npp->st.attached[h][0] ? npp->st.attached[h] : "-";
}

/* The arena of IOP's stack, from a layout that the ISM can write: checked. */
static bool find_arena(const struct npp_region *r, const void **arena, size_t *size)
{
	const struct ism_layout *l = r->base;
	uint64_t off, bytes;

	/* Acquire: pairs with the ISM's release of the magic after the rest of the layout. */
	if (!l || atomic_load_explicit(&l->magic, memory_order_acquire) != ISM_LAYOUT_MAGIC)
		return false;
	off = *(const volatile uint64_t *)&l->stack_off;
	bytes = *(const volatile uint64_t *)&l->stack_bytes;
	if (off > r->size || bytes > r->size - off || off % 64)
		return false;
	*arena = (const char *)r->base + off;
	*size = bytes;
	return true;
}

static void walk_npp(const struct target *npp, uint32_t host, walk_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < npp->st.n_iops; i++) {
		struct iop_view v = { .npp = npp, .iop = i, .host = host };

		if (find_arena(&npp->ism[i], &v.arena, &v.size))
			fn(&v, arg);
	}
}

/* The NPPs of host T, each with our number there. */
static int walk_host(const struct target *t, walk_fn *fn, void *arg, struct npp_err *e)
{
	for (unsigned a = 0; a < NPP_MAX_ATTACH; a++) {
		struct target npp;
		int r = 0;

		if (!t->st.attached[a][0])
			continue;
		if (target_open_path(&npp, t->dir, t->st.attached[a], e) == 0) {
			r = target_map(&npp, e);
			for (uint32_t h = 0; r == 0 && h < NPP_MAX_HOSTS; h++)
				if (strcmp(npp.st.attached[h], t->name) == 0)
					walk_npp(&npp, h, fn, arg);
		}
		target_close(&npp);
		if (r < 0)
			return r;
	}
	return 0;
}

int walk_iops(char **argv, walk_fn *fn, void *arg)
{
	struct npp_err e = { .text = "" };
	struct target *t;
	int n = targets_open(&t, argv, 0, 1), r = 0;

	if (n < 0)
		return n;
	for (int i = 0; i < n && r == 0; i++) {
		if (target_is_host(&t[i])) {
			r = walk_host(&t[i], fn, arg, &e);
		} else {
			r = target_map(&t[i], &e);
			if (r == 0)
				walk_npp(&t[i], ANY_HOST, fn, arg);
		}
	}
	if (r < 0)
		out_failed("%s", e.text);
	targets_close(t, n);
	return r;
}

static const char *end_point(const union npp_addr *a, unsigned port, char *buf, size_t cap)
{
	char text[NPP_ADDR_STRLEN];

	npp_addr_format(a, text);
	snprintf(buf, cap, npp_addr_is_v4(a) || !strchr(text, ':') ? "%s:%u" : "[%s]:%u", text, port);
	return buf;
}

int walk_options(int argc, char **argv, struct walk_options *o)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	int opt;

	o->json = false;
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'j': o->json = out_json(); break;
		case 'h': return verb_help(argv[0]);
		default: return verb_usage(argv[0], NULL);
		}
	}
	o->names = argv + optind;
	return -1;
}

int walk_show(int argc, char **argv, const struct walk_shape *s, void *arg)
{
	struct walk_options o;
	int r = walk_options(argc, argv, &o);

	if (r >= 0)
		return r;
	if (s->begin)
		s->begin(arg, o.json);
	r = walk_iops(o.names, s->fn, arg);
	if (r == 0)
		(o.json ? s->json : s->text)(arg);
	return r < 0;
}

void *walk_room(void *list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return list;
	*cap = *cap ? *cap * 2 : 64;
	list = realloc(list, *cap * size);
	if (!list)
		npp_fatalx("no memory");
	return list;
}

/* ---- connections ----------------------------------------------------------------------------------- */

static const char *state_name(unsigned s)
{
	static const char *const name[TCP_ST_COUNT] = {
		"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
		"CLOSING", "LAST-ACK", "TIME-WAIT"
	};

	return s < TCP_ST_COUNT ? name[s] : "?";
}

struct conns_out { struct table tab; FILE *json; char *text; size_t len; unsigned n; };	/* json: into text, as a whole */

static void conn_json(FILE *f, const struct iop_view *v, const struct stack_conn_info *c, unsigned n)
{
	char l[NPP_ADDR_STRLEN], r[NPP_ADDR_STRLEN];

	fputs(n ? ",\n {\"npp\": " : "\n {\"npp\": ", f);
	npp_json_string(f, v->npp->label);
	fprintf(f, ", \"iop\": %u, \"interface\": %u, \"host\": ", v->iop, c->conn.port);
	npp_json_string(f, walk_host_name(v->npp, c->conn.user_host));
	fprintf(f, ", \"state\": \"%s\", \"passive\": %s, \"local\": \"%s\", \"lport\": %u, \"remote\": \"%s\", \"rport\": %u, "
		"\"received\": %u, \"unread\": %u, \"unacked\": %u, \"rtt_us\": %u, \"rto_us\": %u, \"cwnd\": %u, "
		"\"ssthresh\": %u, \"mss\": %u, \"retrans\": %u}", state_name(c->conn.state),
		c->conn.passive ? "true" : "false", npp_addr_format(&c->conn.laddr, l), c->conn.lport,
		npp_addr_format(&c->conn.raddr, r), c->conn.rport, c->conn.rx_head, c->conn.rx_head - c->conn.rx_tail,
		c->conn.tx_head - c->conn.tx_tail, c->brief.rtt_us, c->brief.rto_us, c->brief.cwnd, c->brief.ssthresh,
		c->brief.snd_mss, c->brief.retrans);
}

static void conn_row(struct table *t, const struct iop_view *v, const struct stack_conn_info *c)
{
	char buf[64], num[24];

	table_cell(t, "%.60s", v->npp->label);
	table_cell(t, "%u", v->iop);
	table_cell(t, "%u", c->conn.port);
	table_cell(t, "%s", walk_host_name(v->npp, c->conn.user_host));
	table_cell(t, "%s", state_name(c->conn.state));
	table_cell(t, "%s", end_point(&c->conn.laddr, c->conn.lport, buf, sizeof buf));
	table_cell(t, "%s", end_point(&c->conn.raddr, c->conn.rport, buf, sizeof buf));
	table_cell(t, "%s", out_count(c->conn.rx_head - c->conn.rx_tail, num));
	table_cell(t, "%s", out_count(c->conn.tx_head - c->conn.tx_tail, num));
	table_cell(t, "%.2f ms", c->brief.rtt_us / 1000.0);
	table_cell(t, "%s", out_count(c->brief.cwnd, num));
	table_cell(t, "%u", c->brief.retrans);
}

static void conns_of(const struct iop_view *v, void *arg)
{
	struct conns_out *o = arg;
	struct stack_conn_info c;
	uint32_t cursor = 0;

	memset(&c, 0, sizeof c);
	while (stack_inspect_conn(v->arena, v->size, &cursor, &c)) {
		if (v->host == ANY_HOST || c.conn.user_host == v->host) {
			if (o->json)
				conn_json(o->json, v, &c, o->n);
			else
				conn_row(&o->tab, v, &c);
			o->n++;
		}
		memset(&c, 0, sizeof c);
	}
}

static void conns_begin(void *arg, bool json)
{
	static const char *const head[] = { "NPP", "IOP", "IF", "HOST", "STATE", "LOCAL", "REMOTE", "UNREAD", "UNACKED", "RTT",
					    "CWND", "RETRANS" };
	struct conns_out *o = arg;

	o->json = json ? open_memstream(&o->text, &o->len) : NULL;
	if (json && !o->json)
		npp_fatalx("no memory");
	if (json)
		fputs("{\"connections\": [", o->json);
	table_init(&o->tab, 12, 1 | 8 | 16 | 32 | 64);
	for (unsigned i = 0; i < 12; i++)
		table_cell(&o->tab, "%s", head[i]);
}

static void conns_json(void *arg)
{
	struct conns_out *o = arg;

	if (fputs("\n]}\n", o->json) < 0 || fflush(o->json) != 0)
		npp_fatalx("no memory");
	fputs(o->text, stdout);
}

static void conns_text(void *arg)
{
	struct conns_out *o = arg;

	table_print(&o->tab, "");
}

int verb_conns(int argc, char **argv)
{
	static const struct walk_shape shape = { conns_of, conns_begin, conns_json, conns_text };
	struct conns_out out = { .n = 0 };
	int r = walk_show(argc, argv, &shape, &out);

	table_free(&out.tab);
	if (out.json)
		fclose(out.json);
	free(out.text);
	return r;
}

/* ---- listeners --------------------------------------------------------------------------------------- */

/* A listener of a host, with the IOPs that hold a replica of it. */
struct listener {
	char npp[100], host[NPP_NAME_MAX];
	union npp_addr addr;
	uint16_t port;
	bool udp;
	uint32_t backlog, sock, sock_gen;
	uint32_t iops;		/* bitmap */
	uint32_t n_iops;
	uint32_t handle[NPP_MAX_IOPS];
};
struct listeners_out { struct listener *list; size_t n, cap; };

static struct listener *same_listener(struct listeners_out *o, const struct listener *k)
{
	for (size_t i = 0; i < o->n; i++) {
		struct listener *l = &o->list[i];

		if (l->port == k->port && l->udp == k->udp && l->sock == k->sock && l->sock_gen == k->sock_gen &&
		    npp_addr_eq(&l->addr, &k->addr) && strcmp(l->npp, k->npp) == 0 && strcmp(l->host, k->host) == 0)
			return l;
	}
	return NULL;
}

static void add_replica(struct listeners_out *o, const struct iop_view *v, const struct listener *k, uint32_t handle)
{
	struct listener *l = same_listener(o, k);

	if (!l) {
		o->list = walk_room(o->list, o->n, &o->cap, sizeof *o->list);
		l = &o->list[o->n++];
		*l = *k;
	}
	l->iops |= 1u << v->iop;
	l->handle[v->iop] = handle;
}

static struct listener listener_key(const struct iop_view *v, unsigned host)
{
	struct listener k = { .n_iops = v->npp->st.n_iops };

	snprintf(k.npp, sizeof k.npp, "%.99s", v->npp->label);
	snprintf(k.host, sizeof k.host, "%s", walk_host_name(v->npp, host));
	return k;
}

static void listeners_of(const struct iop_view *v, void *arg)
{
	struct tcp_listener l;
	struct udp_endpoint u;
	uint32_t cursor = 0;

	memset(&l, 0, sizeof l);
	while (stack_inspect_listener(v->arena, v->size, &cursor, &l)) {
		struct listener k = listener_key(v, l.user_host);

		k.addr = l.addr;
		k.port = l.port;
		k.backlog = l.backlog;
		k.sock = l.user_sock;
		k.sock_gen = l.user_gen;
		if (v->host == ANY_HOST || l.user_host == v->host)
			add_replica(arg, v, &k, NPP_ISM_HANDLE(l.index, l.gen & 0xfff));
	}
	cursor = 0;
	memset(&u, 0, sizeof u);
	while (stack_inspect_udp(v->arena, v->size, &cursor, &u)) {
		struct listener k = listener_key(v, u.user_host);

		k.addr = u.laddr;
		k.port = u.lport;
		k.udp = true;
		k.sock = u.user_sock;
		k.sock_gen = u.user_gen;
		if (v->host == ANY_HOST || u.user_host == v->host)
			add_replica(arg, v, &k, NPP_ISM_HANDLE(u.index, u.gen & 0xfff));
	}
}

static void listeners_json(void *arg)
{
	const struct listeners_out *o = arg;

	fputs("{\"listeners\": [", stdout);
	for (size_t i = 0; i < o->n; i++) {
		const struct listener *l = &o->list[i];
		union npp_addr a = l->addr;
		char text[NPP_ADDR_STRLEN];
		bool first = true;

		printf("%s\n {\"npp\": ", i ? "," : "");
		npp_json_string(stdout, l->npp);
		fputs(", \"host\": ", stdout);
		npp_json_string(stdout, l->host);
		printf(", \"proto\": \"%s\", \"address\": \"%s\", \"port\": %u, \"backlog\": %u, \"socket\": %u, \"replicas\": [",
		       l->udp ? "udp" : "tcp", npp_addr_format(&a, text), l->port, l->backlog, l->sock);
		for (uint32_t k = 0; k < l->n_iops; k++) {
			if (!(l->iops >> k & 1))
				continue;
			printf("%s{\"iop\": %u, \"index\": %u, \"generation\": %u}", first ? "" : ", ", k,
			       NPP_ISM_HANDLE_IDX(l->handle[k]), NPP_ISM_HANDLE_GEN(l->handle[k]));
			first = false;
		}
		fputs("]}", stdout);
	}
	puts("\n]}");
}

static void listeners_text(void *arg)
{
	static const char *const head[] = { "NPP", "HOST", "PROTO", "LOCAL", "BACKLOG", "REPLICAS", "ON IOPS" };
	const struct listeners_out *o = arg;
	struct table t;

	table_init(&t, 7, 1 | 2 | 4 | 8 | 64);
	for (unsigned i = 0; i < 7; i++)
		table_cell(&t, "%s", head[i]);
	for (size_t i = 0; i < o->n; i++) {
		const struct listener *l = &o->list[i];
		union npp_addr a = l->addr;
		char buf[64], iops[128] = "";
		size_t len = 0;

		for (uint32_t k = 0; k < l->n_iops; k++)
			if (l->iops >> k & 1)
				len += (size_t)snprintf(iops + len, sizeof iops - len, "%s%u", len ? " " : "", k);
		table_cell(&t, "%.60s", l->npp);
		table_cell(&t, "%s", l->host);
		table_cell(&t, "%s", l->udp ? "udp" : "tcp");
		table_cell(&t, "%s", end_point(&a, l->port, buf, sizeof buf));
		if (l->udp)
			table_cell(&t, "-");
		else
			table_cell(&t, "%u", l->backlog);
		table_cell(&t, "%d of %u", __builtin_popcount(l->iops), l->n_iops);
		table_cell(&t, "%.60s", iops);
	}
	table_print(&t, "");
}

int verb_listeners(int argc, char **argv)
{
	static const struct walk_shape shape = { listeners_of, NULL, listeners_json, listeners_text };
	struct listeners_out out = { .list = NULL };
	int r = walk_show(argc, argv, &shape, &out);

	free(out.list);
	return r;
}
