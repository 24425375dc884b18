/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_hosts.c - what the OSMs of hosts say to the nppd of an NPP, and tools beside them
 * options: -max_len=1024 -len_control=0
 * links with: nppd/hosts.c nppd/grants.c
 *
 * Input: operations of eight bytes: packets of four hosts, as they should be or with a word changed, with
 * any descriptors; requests of tools; ends of connections, also while one is answered; timers that are
 * due; ISMs that come and go. nppd runs as root, hosts do not. What must hold: nothing but answers
 * comes of it, and in the end no host, timer, port or descriptor is left.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nppd/npp_side.h"
#include "tests/fuzz/replay.h"

#define CONNS 4
#define FILES 6

struct op { uint8_t op, a, b, c; uint32_t v; };
enum what { H_ATTACH, H_BELLS, H_DONE, H_GRANT, H_RELEASE, H_PONG, H_LEAVE, H_ANY, H_HANG, H_COME, H_ALL_BELLS, T_TIMER, T_TOOL, T_ISM, T_TELL,
	    T_DEAF, OPS };

static struct nppd d;
static struct npp_side side;
static struct settings set;
static struct conn *conn[CONNS];
static struct npp_region mem[2];
static int file[FILES];
static bool deaf;	/* nobody reads what we send */

/* ---- the rest of nppd ------------------------------------------------------------------------ */

void npp_log_init(const char *name, int verbose) { (void)name, (void)verbose; }
void npp_log_init_tool(const char *name, int verbose) { (void)name, (void)verbose; }
void npp_debug(const char *fmt, ...) { (void)fmt; }
void npp_info(const char *fmt, ...) { (void)fmt; }
void npp_warnx(const char *fmt, ...) { (void)fmt; }
void npp_warn(const char *fmt, ...) { (void)fmt; }
void npp_fatal(const char *fmt, ...) { (void)fmt; abort(); }
void npp_fatalx(const char *fmt, ...) { (void)fmt; abort(); }
int npp_err_set(struct npp_err *e, int code, const char *fmt, ...) { (void)e, (void)fmt; return code; }

int nppd_region(struct nppd *nd, struct npp_region *r, const char *what, enum npp_region_kind kind, size_t size, uint32_t owner,
		uint64_t hash, bool huge)
{
	(void)nd, (void)huge;
	return npp_region_create(r, what, kind, size, owner, hash, 0);
}

static int sent(const void *body, size_t len, const int *fds, unsigned nfds)
{
	uint8_t copy[4096];

	MUST(len <= sizeof copy);
	if (len) /* all of it can be read */
		memcpy(copy, body, len);
	for (unsigned i = 0; i < nfds; i++)
		MUST(fds[i] >= 0);
	return deaf ? -EAGAIN : 0;
}

int nppd_send(int sock, unsigned ms, uint16_t type, uint32_t seq, int error, const void *body, size_t len, const int *fds,
	      unsigned nfds)
{
	(void)ms, (void)type, (void)seq, (void)error;
	MUST(sock >= 0);
	return sent(body, len, fds, nfds);
}

int child_send(struct child *c, uint16_t type, uint32_t seq, int error, const void *body, size_t len, const int *fds, unsigned nfds)
{
	(void)c, (void)type, (void)seq, (void)error;
	return sent(body, len, fds, nfds);
}

static void forget(struct conn *c)
{
	struct conn **p = &d.conns;

	for (unsigned i = 0; i < CONNS; i++)
		if (conn[i] == c)
			conn[i] = NULL;
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	hosts_conn_gone(&d, c);
	close(c->src.fd);
	free(c);
}

void conn_close(struct nppd *nd, struct conn *c)
{
	(void)nd;
	forget(c);
}

/* ---- packets ----------------------------------------------------------------------------------- */

static void come(unsigned i)
{
	struct conn *c = conn[i] ? NULL : calloc(1, sizeof *c);

	if (!c)
		return;
	c->d = &d;
	c->src.fd = fcntl(file[0], F_DUPFD_CLOEXEC, 0);
	c->is_host = true;
	snprintf(c->host_name, sizeof c->host_name, "h%u", i % 3); /* two of them say that they are the same one */
	c->next = d.conns;
	d.conns = conn[i] = c;
}

static void say(const struct op *o, unsigned type, const void *body, size_t len, unsigned nfds, int first)
{
	_Alignas(16) uint8_t buf[256] = { 0 };
	struct conn *c = conn[o->a % CONNS];
	struct npp_ctl_msg m = { .hdr = { .type = (uint16_t)type, .seq = o->v }, .body = buf };
	uint32_t word;

	if (!c)
		return;
	memset(m.fds, 0xff, sizeof m.fds); /* -1 */
	if (len)
		memcpy(buf, body, len);
	if (o->b & 64) {
		memcpy(&word, buf + o->v % 40 / 4 * 4, 4);
		word ^= o->v;
		memcpy(buf + o->v % 40 / 4 * 4, &word, 4);
	}
	m.hdr.len = (uint32_t)(o->b & 128 ? o->v % sizeof buf : len);
	m.hdr.nfds = (uint16_t)(o->b & 32 ? o->v >> 8 & 7 : nfds);
	for (unsigned i = 0; i < m.hdr.nfds; i++)
		m.fds[i] = fcntl(file[(unsigned)(first + (int)i) % FILES], F_DUPFD_CLOEXEC, 0);
	if (hosts_msg(&d, c, &m) < 0) /* as conn.c does */
		forget(c);
	npp_ctl_close_fds(&m);
}

static void attach(const struct op *o)
{
	struct npp_ctl_attach b = { .abi_version = NPP_ABI_VERSION, .attach = o->c & 3, .layout_hash = npp_abi_layout_hash(),
				    .grace_ms = o->v };

	say(o, NPP_CTL_ATTACH, &b, sizeof b, 1, o->b & 7);
}

static void port(const struct op *o, unsigned type)
{
	struct npp_ctl_port b = { .port = (uint16_t)(o->v >> 8 & 15), .proto = o->v & 1 ? IPPROTO_UDP : IPPROTO_TCP, .reuse = o->c };

	if (o->v & 2)
		npp_addr_parse(o->v & 4 ? "10.1.0.1" : "fd00::1", &b.addr);
	say(o, type, &b, sizeof b, 0, 0);
}

static void tool(const struct op *o)
{
	struct npp_ctl_tool_host b = { .what = o->b & 7, .weight = o->v };
	struct npp_ctl_msg m = { .hdr = { .len = o->b & 128 ? o->v % 64 : sizeof b }, .body = (uint8_t *)&b };
	struct conn asker = { .d = &d, .src.fd = file[0] };

	snprintf(b.name, sizeof b.name, "h%u", o->c % 5);
	if (o->b & 64)
		memset(b.name, 'x', sizeof b.name);
	hosts_tool(&d, &asker, &m);
}

/* Those that are missing, which would be five packets of two hundred. */
static void all_bells(struct conn *c)
{
	struct host *h = c ? c->host : NULL;

	for (unsigned i = 0; h && i < NPP_MAX_CTX; i++)
		if (h->bell[i] < 0) {
			h->bell[i] = fcntl(file[0], F_DUPFD_CLOEXEC, 0);
			h->n_bells++;
		}
}

static void perform(const struct op *o)
{
	struct npp_ctl_bells bells = { .first = o->v & 0x7ff, .count = o->v >> 11 & 7 };
	struct loop_timer *t = d.loop.timers;

	switch ((enum what)o->op) {
	case H_ATTACH: attach(o); break;
	case H_BELLS: say(o, NPP_CTL_BELLS, &bells, sizeof bells, bells.count, 1); break;
	case H_DONE: say(o, NPP_CTL_ATTACH_DONE, NULL, 0, 0, 0); break;
	case H_GRANT: port(o, NPP_CTL_PORT_GRANT); break;
	case H_RELEASE: port(o, NPP_CTL_PORT_RELEASE); break;
	case H_PONG: say(o, NPP_CTL_PONG, NULL, 0, 0, 0); break;
	case H_LEAVE: say(o, NPP_CTL_HOST_LEAVE, NULL, 0, 0, 0); break;
	case H_ANY: say(o, o->v >> 16 & 127, &bells, sizeof bells, 1, 1); break;
	case H_HANG:
		if (conn[o->a % CONNS])
			forget(conn[o->a % CONNS]);
		break;
	case H_COME: come(o->a % CONNS); break;
	case H_ALL_BELLS: all_bells(conn[o->a % CONNS]); break;
	case T_TIMER:
		if (t) {
			loop_timer_stop(&d.loop, t);
			t->fn(t);
		}
		break;
	case T_TOOL: tool(o); break;
	case T_ISM: hosts_iop_state(&side, 0, o->b & 1, o->b & 2); break;
	case T_TELL: hosts_tell_ism(&side, 0); break;
	case T_DEAF: deaf = o->b & 1; break;
	case OPS: break;
	}
}

/* ---- an input -------------------------------------------------------------------------------------- */

/* Memory of two hosts, and what is none: other descriptors, a file that may shrink, one that is too small. */
static void once(void)
{
	struct npp_global *g;

	set.npp.grace_ms = 1000;
	set.npp.frozen_ms = 500;
	set.npp.n_share = 2;
	set.npp.share[0].name = "h0";
	set.npp.share[1].name = "h1";
	set.npp.share[0].weight = set.npp.share[1].weight = 3;
	for (unsigned i = 0; i < 2; i++)
		MUST(npp_region_create(&mem[i], "fuzz-host", NPP_REGION_HOST, 65536, i, npp_abi_layout_hash(), 0) == 0);
	file[0] = eventfd(0, EFD_CLOEXEC);
	file[1] = mem[0].fd;
	file[2] = mem[1].fd;
	file[3] = eventfd(0, EFD_CLOEXEC);
	file[4] = memfd_create("open", MFD_CLOEXEC);
	MUST(ftruncate(file[4], 65536) == 0);
	file[5] = open("/dev/null", O_RDWR | O_CLOEXEC);
	MUST(npp_region_create(&side.global, "fuzz-global", NPP_REGION_GLOBAL, sizeof *g, 0, npp_abi_layout_hash(), 0) == 0);
	MUST(npp_region_create(&side.locks, "fuzz-locks", NPP_REGION_LOCKS, sizeof(struct npp_locks), 0, npp_abi_layout_hash(), 0) == 0);
	g = side.global.base;
	g->n_addrs = 1;
	npp_addr_parse("10.1.0.1", &g->addr[0].addr);
	d.s = &set;
	d.npp = &side;
	d.child[1].p = (struct process)PROCESS_NONE;
	d.child[1].p.ctl = 0;
	side.d = &d;
	side.n_iops = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct npp_global *g;
	struct op o;
	long fds;

	if (!d.s)
		once();
	g = side.global.base;
	fds = fds_open();
	memset(side.host, 0, sizeof side.host);
	memset(side.names, 0, sizeof side.names);
	memset(g->granted, 0, sizeof g->granted);
	side.n_names = 0;
	g->share = 0;
	deaf = false;
	side.grants = grants_new(g->granted);
	MUST(side.grants && hosts_init(&side) == 0);
	for (unsigned i = 0; i < CONNS; i++)
		come(i);
	for (; size >= sizeof o; data += sizeof o, size -= sizeof o) {
		memcpy(&o, data, sizeof o);
		o.op %= OPS;
		perform(&o);
	}
	for (unsigned i = 0; i < CONNS; i++)
		if (conn[i])
			forget(conn[i]);
	hosts_free(&side);
	MUST(!d.loop.timers && !d.conns && grants_count(side.grants) == 0 && g->share == 0);
	for (unsigned i = 0; i < 65536 / 64; i++)
		MUST(!g->granted[0][i] && !g->granted[1][i]);
	grants_free(side.grants);
	MUST(fds_open() == fds);
	return 0;
}

static const struct op seeds[][16] = {
	{ /* a host that attaches, has ports, goes and comes back */
		{ H_ATTACH, 0, 1, 0, 500 }, { H_BELLS, 0, 0, 0, 2 << 11 }, { H_ALL_BELLS, 0, 0, 0, 0 }, { H_DONE, 0, 0, 0, 0 },
		{ H_GRANT, 0, 0, 0, 0x500 }, { H_GRANT, 0, 0, 0, 0 }, { H_GRANT, 0, 0, 8, 0x103 }, { H_RELEASE, 0, 0, 0, 0x500 }, { H_HANG, 0, 0, 0, 0 },
		{ H_COME, 0, 0, 0, 0 }, { H_ATTACH, 0, 1, 0, 500 }, { H_DONE, 0, 0, 0, 0 }, { T_TIMER, 0, 0, 0, 0 }, { H_PONG, 0, 0, 0, 0 },
		{ T_TOOL, 0, 0, 0, 0 }, { H_LEAVE, 3, 0, 0, 0 },
	},
	{ /* two that share, one that is declared down, one that freezes */
		{ H_ATTACH, 0, 1, 0, 500 }, { H_ATTACH, 1, 2, 1, 500 }, { H_ALL_BELLS, 0, 0, 0, 0 }, { H_ALL_BELLS, 1, 0, 0, 0 },
		{ H_DONE, 0, 0, 0, 0 }, { H_DONE, 1, 0, 0, 0 }, { H_GRANT, 0, 0, 0, 0x506 }, { H_GRANT, 1, 0, 0, 0x506 }, { T_TOOL, 0, 3, 1, 9 },
		{ T_TOOL, 0, 1, 0, 0 }, { T_TIMER, 0, 0, 0, 0 }, { T_TIMER, 0, 0, 0, 0 }, { T_ISM, 0, 2, 0, 0 }, { T_TELL, 0, 0, 0, 0 },
		{ H_ATTACH, 0, 4, 0, 500 }, { T_DEAF, 0, 1, 0, 0 },
	},
};

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	return seed_of(seeds, sizeof seeds / sizeof *seeds, sizeof *seeds, i, buf, cap);
}
