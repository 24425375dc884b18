/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_osm.c - the OSM of a host whose ISMs and whose NPPs' nppds have gone mad
 * options: -max_len=1024 -len_control=0
 * links with: tests/unit/osm/fake.c npp-osm/daemon/[a-z]*.c shm/i2oq.c shm/lock.c
 * compiled with: -fsanitize-coverage=trace-loads -fno-sanitize-coverage=trace-cmp
 *
 * Input: operations of eight bytes: messages of ISMs, right and wrong, words that they spoil anywhere in
 * the memory of the host or in an inbound region, also between a check and the use (before a certain
 * load of the daemon); messages of nppds with any descriptors; requests of programs; deaths; time; a new
 * OSM on this memory. One daemon lives through all inputs: in the end of each the NPPs go and the programs
 * die. What must hold: no access outside of its memory, no step that never ends, and after the end
 * neither process, context nor bound socket is left, all memory taken has an owner, no descriptor is lost.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"
#include "tests/fuzz/loads.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/words.h"
#include "tests/unit/osm/fake.h"

#define NPPS 2
#define IOPS 2
#define LANES 8		/* inbound lanes that are made */
#define CONNS 2

enum what { O_STEP, O_RESTART, O_CHECK, I_SAY, I_READ, I_ACCEPT, I_SOCK, I_EXT, I_LANE, I_CTX, I_PROC, I_BOOKS, I_HOST, I_GLOBAL, I_CHUNK,
	    I_ANY, I_LOAD, N_SAY, N_HANG, N_CONN, P_CALL, P_SOCK, P_FD, P_REFS, P_DIE, P_CONN, OPS };

struct mad_npp {
	int fd;
	struct npp_region global, in[IOPS];
	struct npp_i2oq_prod prod[IOPS];
	struct npp_i2oq_cons cons[IOPS];
};

static struct fake *f;
static struct mad_npp npp[NPPS];
static struct npp_host host_copy;
static int conn[CONNS], bell;
static bool running, restarted, checked;
static struct words words;

/* ---- what the daemon would say, and its doorbells ------------------------------------------ */

void npp_log_init(const char *name, int verbose) { (void)name, (void)verbose; }
void npp_log_init_tool(const char *name, int verbose) { (void)name, (void)verbose; }
void npp_debug(const char *fmt, ...) { (void)fmt; }
void npp_info(const char *fmt, ...) { (void)fmt; }
void npp_warn(const char *fmt, ...) { (void)fmt; }
void npp_fatal(const char *fmt, ...) { (void)fmt; abort(); }
void npp_fatalx(const char *fmt, ...) { (void)fmt; abort(); }

/* Formats, as it may be given what somebody else has written. */
void npp_warnx(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
}

int npp_err_set(struct npp_err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (e)
		vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return code;
}

int npp_bell_create(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
void npp_bell_ring(int efd) { (void)efd; }
void npp_bell_drain(int efd) { (void)efd; }
int npp_ringer_open(struct npp_ringer *r) { *r = (struct npp_ringer){ .nothing = -1 }; return 0; }
void npp_ringer_close(struct npp_ringer *r) { (void)r; }
void npp_ringer_flush(struct npp_ringer *r) { (void)r; }

void npp_ringer_add(struct npp_ringer *r, int efd)
{
	(void)r;
	MUST(efd >= 0);
}

/* ---- loads ----------------------------------------------------------------------------------- */

static uint32_t loads_left, load_value;

#ifdef NPP_FUZZING
UNSEEN static bool in(const uint8_t *p, const struct npp_region *r)
{
	return r->base && p >= (uint8_t *)r->base && p < (uint8_t *)r->base + r->size;
}

/* The daemon maps what others keep at places of its own. */
UNSEEN static void loaded(const void *at, unsigned len)
{
	bool shared;

	if (!loads_left || !running)
		return;
	shared = in(at, &f->osm->host_region);
	for (unsigned a = 0; a < NPPS && !shared; a++)
		shared = in(at, &f->osm->slot[a * NPP_MAX_IOPS].region) || in(at, &f->osm->slot[a * NPP_MAX_IOPS + 1].region);
	if (shared && --loads_left == 0)
		memcpy((void *)(uintptr_t)at, &load_value, len < sizeof load_value ? len : sizeof load_value);
}
#endif

/* ---- what ISMs may point at ---------------------------------------------------------------------- */

static uint32_t sock_of(uint8_t x)
{
	return x < 128 ? 1u + x % 16 : f->osm->sock_prog_count + 1 + x % 64 * 8;
}

static void *ext_of(const struct op *o)
{
	struct osm_books *b = f->osm->books;

	for (unsigned i = o->a % 8; i < 8; i++)
		if (b->assoc[i].ext_off64)
			return osm_at64(f->osm, b->assoc[i].ext_off64);
	return NULL;
}

/* ---- ISMs ------------------------------------------------------------------------------------------ */

static void post(unsigned a, unsigned i, const struct npp_msg *m)
{
	struct npp_i2oq *q = osm_at64(f->osm, f->osm->ctx[0].lane[osm_slot_of(a, i)]);

	if (!f->osm->slot[osm_slot_of(a, i)].mapped)
		return;
	if (npp[a].prod[i].q != q && npp_i2oq_attach_prod(&npp[a].prod[i], q) < 0)
		return;
	npp_i2oq_post(&npp[a].prod[i], m);
}

static void say(const struct op *o)
{
	static const uint8_t types[] = { NPP_MSG_HELLO, NPP_MSG_HELLO, NPP_MSG_LISTENING, NPP_MSG_UNLISTENED, NPP_MSG_UDP_BOUND,
					 NPP_MSG_UDP_UNBOUND, NPP_MSG_NEED_EXTENT, NPP_MSG_FREED, NPP_MSG_EVENT };
	unsigned a = o->a & 1, i = o->a >> 1 & 1;
	uint32_t s = sock_of(o->c), word;
	struct npp_msg m = { .type = types[o->b % sizeof types], .sock = s, .sock_gen = f->sock[s].gen, .arg = i,
			     .ism_handle = o->v >> 8 };

	if (m.type == NPP_MSG_HELLO) {
		m.sock = m.sock_gen = 0;
		m.arg2 = NPP_ISM_HANDLE_BITS;
		m.flags = o->b & 0x80 ? NPP_HELLO_FRESH : 0;
	} else if (m.type == NPP_MSG_NEED_EXTENT) {
		m.arg = o->v % (8u << 20);
	} else if (m.type == NPP_MSG_FREED && o->c & 1) {
		const struct osm_extent_rec *x = &f->osm->books->extent[o->v % 4];

		m.sock = 0;
		m.off = x->off;
		m.arg2 = x->size;
	}
	if (o->b & 0x40) {
		memcpy(&word, (uint8_t *)&m + o->v % 16 * 4, 4);
		word = hurt(&words, o, word);
		memcpy((uint8_t *)&m + o->v % 16 * 4, &word, 4);
	}
	post(a, i, &m);
}

/* What the OSM says to it, which it answers. */
static void listens(const struct op *o)
{
	unsigned a = o->a & 1, i = o->a >> 1 & 1;
	struct npp_inbound *in_ = npp[a].in[i].base;
	struct npp_msg m;

	if (!npp[a].cons[i].q && npp_i2oq_attach_cons(&npp[a].cons[i], &in_->lane[0]) < 0)
		return;
	for (unsigned n = 0; n < NPP_I2OQ_DEPTH && npp_i2oq_poll(&npp[a].cons[i], &m) == 1; n++) {
		struct npp_msg r = { .sock = m.sock, .sock_gen = m.sock_gen, .ism_handle = m.sock, .error = o->b & 1 ? -(int)o->c : 0 };

		switch (m.type) {
		case NPP_MSG_LISTEN: r.type = NPP_MSG_LISTENING; break;
		case NPP_MSG_UDP_BIND: r.type = NPP_MSG_UDP_BOUND; break;
		case NPP_MSG_UNLISTEN: r.type = NPP_MSG_UNLISTENED; break;
		case NPP_MSG_UDP_UNBIND: r.type = NPP_MSG_UDP_UNBOUND; break;
		case NPP_MSG_CLOSE:
			if (m.sock >= FAKE_SOCKS)
				continue;
			atomic_fetch_add(&f->sock[m.sock].gen, 1);
			atomic_store(&f->sock[m.sock].owner, 0);
			r.type = NPP_MSG_FREED;
			break;
		default: continue;
		}
		post(a, i, &r);
	}
}

/* A connection in the range lent to an ISM, with an entry for a listener that may be claimed. */
static void accepted(const struct op *o)
{
	unsigned a = o->a & 1, s = osm_slot_of(a, o->a >> 1 & 1);
	uint32_t i = f->osm->books->slot[s].first + o->b % 16;
	struct npp_sock *k = osm_sock(f->osm, i);

	if (!k || i <= f->osm->sock_prog_count)
		return;
	k->type = NPP_SOCK_STREAM;
	k->slot = (uint8_t)s;
	atomic_store(&k->ism_handle, i);
	atomic_store(&k->owner, 0x10000 + s);
	for (unsigned n = 0; n < 8; n++) {
		uint32_t lane = f->osm->assoc[n].lane[s];
		struct npp_accept_lane *l = lane ? osm_at64(f->osm, lane) : NULL;

		if (!l)
			continue;
		k->listener = f->osm->books->assoc[n].sock;
		l->entry[o->v % 16] = NPP_ACCEPT_ENTRY(i, k->gen, o->c & 1 ? 2ull + o->c % 4 : NPP_ACCEPT_READY);
		atomic_fetch_add(&l->head, 1);
		return;
	}
	atomic_store(&k->refs, 1);
}

static void spoil_ext(const struct op *o)
{
	struct npp_udp *u = ext_of(o);
	unsigned s = osm_slot_of(o->a >> 6 & 1, o->a >> 7);

	if (!u)
		return;
	if (o->a & 32 && f->osm->assoc[o->a % 8].lane[s])
		spoil(&words, o, osm_at64(f->osm, f->osm->assoc[o->a % 8].lane[s]), sizeof(struct npp_accept_lane) + 128);
	else
		spoil(&words, o, u, sizeof(struct npp_listener));
}

static void spoil_lane(const struct op *o)
{
	unsigned a = o->a & 1, i = o->a >> 1 & 1, c = o->a >> 3 & 3;
	uint32_t lane = f->osm->ctx[c].lane[osm_slot_of(a, i)];

	if (o->a & 4)
		spoil(&words, o, &((struct npp_inbound *)npp[a].in[i].base)->lane[c], sizeof(struct npp_i2oq));
	else if (lane)
		spoil(&words, o, osm_at64(f->osm, lane), sizeof(struct npp_i2oq));
}

/* ---- nppds -------------------------------------------------------------------------------------------- */

static void hang_up(unsigned a)
{
	if (npp[a].fd >= 0)
		close(npp[a].fd);
	npp[a].fd = -1;
}

static void connect_npp(unsigned a)
{
	struct npp_ctl_npp_conn c = { .attach = a, .name = "n" };
	int sv[2];

	hang_up(a);
	MUST(npp_ctl_pair(sv) == 0);
	npp[a].fd = sv[0];
	memset(npp[a].prod, 0, sizeof npp[a].prod);
	running = true;
	osm_npp_conn(f->osm, &c, sv[1]);
	running = false;
}

/* Takes what the OSM says, without its descriptors, and answers requests for ports. */
static void nppd_reads(unsigned a, bool answers)
{
	static uint8_t buf[4096];
	struct npp_ctl_hdr h;
	ssize_t n;

	while (npp[a].fd >= 0 && (n = recv(npp[a].fd, buf, sizeof buf, MSG_DONTWAIT)) > 0) {
		memcpy(&h, buf, sizeof h);
		if (answers && h.type == NPP_CTL_PORT_GRANT)
			npp_ctl_send(npp[a].fd, NPP_CTL_PORT_GRANTED, h.seq, 0, buf + sizeof h, h.len, NULL, 0);
	}
}

static void nppd_attached(unsigned a, const struct op *o)
{
	struct npp_ctl_attached r = { .attach = a, .host_no = 3, .n_iops = IOPS, .iop_up = 3 };
	int fds[1 + 2 * IOPS] = { npp[a].global.fd, bell, bell, npp[a].in[0].fd, npp[a].in[1].fd };
	unsigned nfds = 1 + 2 * IOPS;

	if (o && o->b & 16)
		spoil(&words, o, &r, sizeof r);
	if (o && o->b & 32)
		nfds = o->v >> 8 & 7;
	if (o && o->b & 64)
		fds[o->v % 5] = fds[o->v >> 3 & 3];
	npp_ctl_send(npp[a].fd, NPP_CTL_ATTACHED, 1, o && o->b & 128 ? (int)o->v : 0, &r, sizeof r, fds, nfds < 5 ? nfds : 5);
}

static void nppd_says(const struct op *o)
{
	unsigned a = o->a & 1;
	struct npp_ctl_iop iop = { .attach = a, .iop = o->c % 4, .up = o->v & 1 };
	struct npp_ctl_port port = { .port = (uint16_t)o->v };

	nppd_reads(a, o->b & 8);
	if (npp[a].fd < 0)
		return;
	switch (o->b % 6) {
	case 0: nppd_attached(a, o); break;
	case 1: npp_ctl_send(npp[a].fd, NPP_CTL_PORT_GRANTED, o->v, (int)o->c - 128, &port, sizeof port, NULL, 0); break;
	case 2: npp_ctl_send(npp[a].fd, NPP_CTL_IOP_STATE, 0, 0, &iop, sizeof iop, NULL, 0); break;
	case 3: npp_ctl_send(npp[a].fd, NPP_CTL_PING, o->v, 0, NULL, 0, NULL, 0); break;
	case 4: npp_ctl_send(npp[a].fd, (uint16_t)(o->v % 128), o->v, 0, &port, o->c % sizeof port, &bell, o->v >> 8 & 1); break;
	default: send(npp[a].fd, &iop, o->c % sizeof iop, MSG_DONTWAIT | MSG_NOSIGNAL); break;
	}
}

/* ---- programs --------------------------------------------------------------------------------------------- */

static void hello(unsigned c, uint64_t image)
{
	struct npp_ctl_hello h = { .abi_version = NPP_ABI_VERSION, .pid = getpid(), .image = image,
				   .layout_hash = npp_abi_layout_hash() };

	if (conn[c] < 0)
		conn[c] = npp_ctl_connect(f->path);
	MUST(conn[c] >= 0);
	npp_ctl_send(conn[c], NPP_CTL_PROC_HELLO, 1, 0, &h, sizeof h, NULL, 0);
}

static void program_reads(unsigned c)
{
	static uint8_t buf[512];
	ssize_t n = 1;

	while (conn[c] >= 0 && n > 0)
		n = recv(conn[c], buf, sizeof buf, MSG_DONTWAIT);
	if (n == 0) {
		close(conn[c]);
		conn[c] = -1;
	}
}

static void call(const struct op *o)
{
	static const uint8_t len[] = { sizeof(struct npp_ctl_hello), sizeof(struct npp_ctl_iop), sizeof(struct npp_ctl_ctx),
				       sizeof(struct npp_ctl_ctx), sizeof(struct npp_ctl_chunk), sizeof(struct npp_ctl_fork),
				       sizeof(struct npp_ctl_fork) };
	unsigned c = o->a % CONNS, type = NPP_CTL_PROC_HELLO + o->b % (NPP_CTL_ANSWER - NPP_CTL_PROC_HELLO);
	uint32_t s = sock_of(o->c), word[16] = { o->v & 3, o->v >> 2 & 3 };
	struct npp_ctl_bind b = { .sock = s, .gen = f->sock[s].gen, .backlog = o->v & 31, .port = (uint16_t)(o->v >> 5 & 7),
				  .proto = o->v >> 8 & 1 ? IPPROTO_UDP : IPPROTO_TCP, .reuse = o->v >> 9 & 7 };
	size_t n;

	program_reads(c);
	if (type == NPP_CTL_PROC_HELLO || conn[c] < 0) {
		hello(c, o->v & 3);
		return;
	}
	if (o->v >> 12 & 1)
		npp_addr_parse(o->v >> 13 & 1 ? "10.0.0.1" : "10.1.0.1", &b.addr);
	else if (!(o->v >> 13 & 1))
		b.addr = npp_addr_v4(0);
	if (o->v >> 28 == 15)
		b.sock = o->v;
	if (type == NPP_CTL_FORK_DONE)
		word[1] = o->v >> 2 & 1 ? 0 : (uint32_t)getpid();
	n = type < NPP_CTL_PROC_HELLO + sizeof len ? len[type - NPP_CTL_PROC_HELLO] : type == NPP_CTL_CHECK ? 0 : sizeof b;
	npp_ctl_send(conn[c], (uint16_t)type, o->v, 0, n == sizeof b ? (void *)&b : (void *)word, n, NULL, 0);
}

static void make_sock(const struct op *o)
{
	struct npp_sock *s = &f->sock[sock_of(o->a & 127)];

	if (s->owner)
		return;
	s->type = (uint8_t)(1 + o->b % 3);
	s->family = 4;
	s->slot = o->c & 3;
	atomic_store(&s->ism_handle, o->v & 1 ? o->v : OSM_NO_HANDLE);
	atomic_store(&s->refs, o->v >> 1 & 3);
	atomic_store(&s->rx_lock, o->v >> 3 & 7);
	atomic_store(&s->sub[o->v >> 6 & 3], o->v >> 8 & 7);
	atomic_store(&s->owner, 2 + (o->v >> 11 & 7));
}

/* A word of the descriptor table. */
static void set_word(const struct op *o)
{
	struct osm_proc *p = &f->osm->proc[o->a & 3];
	uint32_t s = sock_of(o->c);
	npp_fdword_t *w = p->chunk[o->v & 1] ? osm_at64(f->osm, p->chunk[o->v & 1]) : NULL;

	if (w)
		atomic_store(&w[o->b], o->v & 2 ? 0 : (uint64_t)f->sock[s].gen << 32 | (s + 1));
}

static void die(unsigned p)
{
	running = true;
	if (f->osm->proc[p].state != NPP_PROC_FREE)
		osm_proc_died(f->osm, p);
	running = false;
}

/* ---- an input ----------------------------------------------------------------------------------------------- */

static void step(uint64_t us)
{
	f->now += us;
	running = true;
	MUST(npp_osm_step(f->osm, 0) == 1);
	running = false;
	loads_left = 0;
}

static void check(void)
{
	struct npp_ctl_check c;

	if (checked)
		return; /* it looks at every lane of every context */
	checked = running = true;
	npp_osm_check(f->osm, &c, NULL);
	running = false;
	MUST(c.heap_used == c.heap_owned);
}

static void restart(void)
{
	int ctl = f->osm->cfg.ctl;

	if (restarted)
		return; /* a thousand doorbells go from hand to hand: once is enough */
	restarted = true;
	*f->host = host_copy; /* a layout that makes no sense is refused, as are books without magic */
	f->osm->books_shm->magic = f->osm->books->magic;
	f->osm->books_shm->size = f->osm->books->size;
	running = true;
	fake_restart_osm(f);
	running = false;
	close(ctl);
	for (unsigned a = 0; a < NPPS; a++)
		connect_npp(a);
}

static void spoil_any(const struct op *o)
{
	static const struct { unsigned op; size_t off, len; } part[] = { /* of host memory */
		{ I_HOST, 0, sizeof(struct npp_host) },
	};
	const struct npp_osm *m = f->osm;
	uint64_t any = ((uint64_t)o->a << 16 | (uint64_t)o->b << 8) % (f->host_region.size - 64) & ~63ull;

	switch ((enum what)o->op) {
	case I_SOCK: spoil(&words, o, &f->sock[sock_of(o->a)], sizeof(struct npp_sock)); break;
	case I_EXT: spoil_ext(o); break;
	case I_LANE: spoil_lane(o); break;
	case I_CTX: spoil(&words, o, &f->ctx[o->a & 7], sizeof(struct npp_ctx)); break;
	case I_PROC: spoil(&words, o, &f->proc[o->a & 3], sizeof(struct npp_proc)); break;
	case I_BOOKS:
		spoil(&words, o, o->a & 1 ? (void *)&m->books_shm->assoc[o->a >> 1 & 7] : o->a & 2 ? (void *)m->books_shm->extent : (void *)m->books_shm,
		      o->a & 1 ? sizeof(struct osm_assoc_rec) : 1024);
		break;
	case I_GLOBAL: spoil(&words, o, npp[o->a & 1].global.base, 4096); break;
	case I_CHUNK:
		if (m->proc[o->a & 3].chunk[0])
			spoil(&words, o, osm_at64(m, m->proc[o->a & 3].chunk[0]), OSM_CHUNK_BYTES);
		break;
	case I_ANY: spoil(&words, o, (uint8_t *)f->host + any, 64); break;
	default: spoil(&words, o, (uint8_t *)f->host + part[0].off, (uint32_t)part[0].len); break;
	}
}

static void perform(const struct op *o)
{
	switch ((enum what)o->op) {
	case O_STEP: step(o->a & 3 ? o->v % 1000 : o->v % 3000000); break;
	case O_RESTART: restart(); break;
	case O_CHECK: check(); break;
	case I_SAY: say(o); break;
	case I_READ: listens(o); break;
	case I_ACCEPT: accepted(o); break;
	case I_LOAD:
		loads_left = 1 + ((uint32_t)o->a << 8 | o->b) % 8192;
		load_value = hurt(&words, o, o->v);
		break;
	case N_SAY: nppd_says(o); break;
	case N_HANG: hang_up(o->a & 1); break;
	case N_CONN: connect_npp(o->a & 1); break;
	case P_CALL: call(o); break;
	case P_SOCK: make_sock(o); break;
	case P_FD: set_word(o); break;
	case P_REFS: atomic_store(&f->sock[sock_of(o->a)].refs, o->v & 3); break;
	case P_DIE: die(o->a & 3); break;
	case P_CONN:
		if (conn[o->a % CONNS] >= 0)
			close(conn[o->a % CONNS]);
		conn[o->a % CONNS] = -1;
		break;
	default: spoil_any(o); break;
	}
}

/* ---- from one life to the next -------------------------------------------------------------------------------- */

static void make_npp(unsigned a)
{
	MUST(npp_region_create(&npp[a].global, "fuzz-global", NPP_REGION_GLOBAL, sizeof(struct npp_global), 0,
			       npp_abi_layout_hash(), 0) == 0);
	for (unsigned i = 0; i < IOPS; i++)
		MUST(npp_region_create(&npp[a].in[i], "fuzz-inbound", NPP_REGION_INBOUND, sizeof(struct npp_inbound), 0,
				       npp_abi_layout_hash(), 0) == 0);
	npp[a].fd = -1;
}

static void renew_npp(unsigned a)
{
	struct npp_global *g = npp[a].global.base;

	memset(&g->hdr + 1, 0, 4096 - sizeof g->hdr);
	g->hdr = (struct npp_region_hdr){ .magic = NPP_REGION_MAGIC, .abi_version = NPP_ABI_VERSION, .kind = NPP_REGION_GLOBAL,
					  .layout_hash = npp_abi_layout_hash(), .size = npp[a].global.size };
	g->n_iops = IOPS;
	g->n_addrs = 1;
	npp_addr_parse(a ? "10.1.0.1" : "10.0.0.1", &g->addr[0].addr);
	for (unsigned i = 0; i < IOPS; i++) {
		struct npp_inbound *in_ = npp[a].in[i].base;

		in_->host = 3;
		in_->iop = i;
		memset(in_->lane, 0, LANES * sizeof in_->lane[0]);
		for (unsigned c = 0; c < LANES; c++)
			npp_i2oq_init(&in_->lane[c]);
	}
	memset(npp[a].prod, 0, sizeof npp[a].prod);
	memset(npp[a].cons, 0, sizeof npp[a].cons);
}

static void begin(void)
{
	struct npp_osm *o = f->osm;

	*f->host = host_copy;
	memset(f->ctx, 0, sizeof *f->ctx * NPP_MAX_CTX);
	f->ctx[0].state = NPP_CTX_OPEN;
	f->ctx[0].proc = OSM_NO_PROC;
	memset(f->proc, 0, sizeof *f->proc * NPP_MAX_PROCS);
	memset(f->sock, 0, sizeof *f->sock * FAKE_SOCKS);
	for (uint32_t i = 1; i < FAKE_SOCKS; i++)
		atomic_store_explicit(&f->sock[i].ism_handle, OSM_NO_HANDLE, memory_order_relaxed);
	memset(o->orphan, 0, sizeof *o->orphan * o->sock_count);
	memset(o->suspect, 0, sizeof *o->suspect * o->sock_count);
	o->n_orphans = 0;
	*o->books_shm = *o->books;
	restarted = checked = false;
	conn[0] = conn[1] = -1;
	for (unsigned a = 0; a < NPPS; a++) {
		renew_npp(a);
		connect_npp(a);
		nppd_reads(a, false);
		nppd_attached(a, NULL);
	}
	hello(0, 1);
	step(100);
	for (unsigned a = 0; a < NPPS; a++)
		for (unsigned i = 0; i < IOPS; i++)
			post(a, i, &(struct npp_msg){ .type = NPP_MSG_HELLO, .arg = i, .arg2 = NPP_ISM_HANDLE_BITS,
						      .flags = NPP_HELLO_FRESH });
	step(100);
}

static void end(void)
{
	static unsigned lives;

	for (unsigned a = 0; a < NPPS; a++)
		hang_up(a);
	for (unsigned i = 0; i < CONNS; i++)
		if (conn[i] >= 0)
			close(conn[i]);
	for (unsigned n = 0; n < 3; n++) /* a new OSM hears programs after a moment only */
		step(n * OSM_HOLD_US);
	for (unsigned p = 0; p < NPP_MAX_PROCS; p++)
		die(p);
	for (uint32_t i = 1; i < FAKE_SOCKS; i++) { /* what was spoilt may look like somebody's */
		atomic_fetch_add(&f->sock[i].gen, 1);
		atomic_store(&f->sock[i].refs, 0);
		atomic_store(&f->sock[i].owner, 0);
	}
	for (unsigned n = 0; n < 8; n++) /* graces, limbo, those that do not let go */
		step(n < 5 ? 2100000 : 11000000);
	for (unsigned i = 1; i < NPP_MAX_CTX; i++)
		MUST(f->osm->ctx[i].state == NPP_CTX_FREE);
	for (unsigned i = 0; i < NPP_MAX_PROCS; i++)
		MUST(f->osm->proc[i].state == NPP_PROC_FREE);
	MUST(f->osm->assoc_hi == 0 && !f->osm->deaths && f->osm->backlog == 0);
	checked = lives++ % 64 != 0;
	check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op o;
	long fds;

	if (!f) {
		f = fake_new(NPPS);
		host_copy = *f->host;
		words = (struct words){ f->host_region.size, f->osm->heap.off, true };
		bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		for (unsigned a = 0; a < NPPS; a++)
			make_npp(a);
	}
	fds = fds_open();
	begin();
	for (; size >= sizeof o; data += sizeof o, size -= sizeof o) {
		memcpy(&o, data, sizeof o);
		o.op %= OPS;
		perform(&o);
	}
	end();
	MUST(fds_open() == fds);
	return 0;
}

/* ---- seeds --------------------------------------------------------------------------------------------------------- */

static const struct op seeds[][16] = {
	{ /* a listener that serves, connections, the death of its program */
		{ P_CALL, 0, 4, 1, 0 }, { P_CALL, 0, 2, 1, 0 }, { O_STEP, 1, 0, 0, 10 }, { P_SOCK, 0, 0, 0, 2 }, { P_CALL, 0, 7, 0, 0 },
		{ O_STEP, 1, 0, 0, 10 }, { N_SAY, 0, 9, 0, 0 }, { N_SAY, 1, 9, 0, 0 }, { O_STEP, 1, 0, 0, 10 }, { P_CALL, 0, 8, 0, 9 },
		{ O_STEP, 1, 0, 0, 10 }, { I_READ, 0, 0, 0, 0 }, { I_READ, 3, 0, 0, 0 }, { O_STEP, 1, 0, 0, 10 }, { I_ACCEPT, 0, 1, 0, 1 },
		{ P_DIE, 0, 0, 0, 0 },
	},
	{ /* datagrams, a peer, a close; an ISM that goes and comes */
		{ P_CALL, 0, 4, 1, 0 }, { P_CALL, 0, 2, 1, 0 }, { O_STEP, 1, 0, 0, 10 }, { P_SOCK, 0, 1, 0, 2 }, { P_CALL, 0, 7, 0, 0x100 },
		{ O_STEP, 1, 0, 0, 10 }, { N_SAY, 0, 9, 0, 0 }, { N_SAY, 1, 9, 0, 0 }, { O_STEP, 1, 0, 0, 10 }, { I_READ, 0, 0, 0, 0 },
		{ O_STEP, 1, 0, 0, 10 }, { P_CALL, 0, 11, 0, 0 }, { N_SAY, 0, 2, 0, 0 }, { I_SAY, 0, 1, 0, 0 }, { P_REFS, 0, 0, 0, 0 },
		{ P_CALL, 0, 10, 0, 0 },
	},
	{ /* the connection to an NPP breaks; a new OSM; fork and subscribers */
		{ P_CALL, 0, 4, 1, 0 }, { P_SOCK, 0, 0, 0, 2 }, { O_STEP, 1, 0, 0, 10 }, { P_FD, 0, 5, 0, 0 }, { P_CALL, 0, 5, 0, 0 },
		{ P_CALL, 0, 12, 0, 0 }, { O_STEP, 1, 0, 0, 10 }, { N_HANG, 0, 0, 0, 0 }, { O_STEP, 1, 0, 0, 10 }, { N_CONN, 0, 0, 0, 0 },
		{ N_SAY, 0, 0, 0, 0 }, { O_STEP, 0, 0, 0, 900 }, { P_CALL, 0, 6, 0, 1 }, { O_RESTART, 0, 0, 0, 0 }, { N_SAY, 0, 0, 0, 0 },
		{ O_STEP, 0, 0, 0, 2000000 },
	},
	{ /* words change */
		{ I_SOCK, 0, 2, 8, 200 }, { I_LANE, 0, 0, 4, 70 }, { I_CTX, 1, 32, 7, 0 }, { I_PROC, 0, 6, 7, 5 }, { I_BOOKS, 1, 1, 4, 65 },
		{ I_HOST, 0, 40, 1, 0 }, { I_GLOBAL, 0, 30, 1, 0 }, { P_CALL, 0, 4, 1, 0 }, { O_STEP, 1, 0, 0, 10 }, { I_CHUNK, 0, 3, 8, 9 },
		{ I_LOAD, 0, 30, 1, 0 }, { P_DIE, 0, 0, 0, 0 }, { I_SAY, 0, 0x46, 1, 5 }, { I_SAY, 2, 7, 1, 0 }, { I_ANY, 9, 9, 1, 0 },
		{ O_CHECK, 0, 0, 0, 0 },
	},
};

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	return seed_of(seeds, sizeof seeds / sizeof *seeds, sizeof *seeds, i, buf, cap);
}
