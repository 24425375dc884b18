/* SPDX-License-Identifier: GPL-2.0-or-later
 * capture.c - take a capture from a link or a network, with libpcap
 *
 * A link is seen at its port on the network's bridge, a network at the bridge. The kernel
 * leaves checksums open and segments together on such links; replay.c puts that right.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/verbs.h"

#define SNAPLEN 262144
#define LOOK_MS 100
#define BLOCK_MS 50	/* after which frames are handed out that do not fill a block */

/* Where WHAT, a link or a network, can be seen. */
static int find_place(struct lab *l, const char *what, const char **ns, const char **ifname, struct npp_err *e)
{
	struct link k;
	int r;

	for (uint32_t i = 0; i < l->n_nets; i++)
		if (strcmp(l->nets[i].name, what) == 0) {
			*ns = l->nets[i].ns;
			*ifname = l->nets[i].name;
			return 0;
		}
	r = link_find(l, what, &k, e);
	if (r == 0) {
		*ns = k.net_ns;
		*ifname = k.node->name;
	}
	return r;
}

static pcap_t *open_link(const char *ifname, const char *filter, struct npp_err *e)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct bpf_program prog;
	pcap_t *p = pcap_create(ifname, text);
	int r;

	if (!p) {
		npp_err_set(e, -EIO, "%s: %s", ifname, text);
		return NULL;
	}
	pcap_set_snaplen(p, SNAPLEN);
	pcap_set_promisc(p, 1);
	pcap_set_timeout(p, BLOCK_MS);
	pcap_set_buffer_size(p, 16 << 20);
	r = pcap_activate(p);
	if (r >= 0 && filter && *filter) {
		r = pcap_compile(p, &prog, filter, 1, PCAP_NETMASK_UNKNOWN);
		if (r == 0) {
			r = pcap_setfilter(p, &prog);
			pcap_freecode(&prog);
		}
	}
	if (r < 0) {
		npp_err_set(e, -EINVAL, "%s: %s", filter && *filter ? "filter" : ifname, pcap_geterr(p));
		pcap_close(p);
		return NULL;
	}
	return p;
}

struct wanted {
	const char *what, *file, *filter;
	char path[NS_PATH_CAP];	/* of the namespace, */
	ino_t inode;		/* which is this one */
	uint64_t count;
	int64_t end_ms;
	bool json;
};

/* Our socket keeps the namespace from going with its lab: asked for now and then. */
static bool has_gone(const struct wanted *w, int64_t *next_ms)
{
	struct stat st;

	if (now_ms() < *next_ms)
		return false;
	*next_ms = now_ms() + LOOK_MS;
	return stat(w->path, &st) < 0 || st.st_ino != w->inode;
}

/* Until the end that was asked for, or what is seen cannot be written: 0 or -errno. */
static int run(pcap_t *p, pcap_dumper_t *d, const struct wanted *lim, uint64_t *frames)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	const volatile sig_atomic_t *stop = stop_on_signals();
	uint64_t n = 0, flushed = 0;
	int64_t look = 0, last = 0;
	int r;

	pcap_setnonblock(p, 1, (char[PCAP_ERRBUF_SIZE]){ "" });
	while ((!lim->count || n < lim->count) && (!last || now_ms() < last)) {
		/* What came before the end is seen when its block is full or its time is over. */
		if (!last && (*stop || (lim->end_ms && now_ms() >= lim->end_ms)))
			last = now_ms() + BLOCK_MS + BLOCK_MS / 2;
		r = pcap_next_ex(p, &h, &data);
		if (r < 0 || has_gone(lim, &look))
			return pcap_dump_flush(d) < 0 ? -errno : -ENODEV;
		if (r == 0 && flushed != n && pcap_dump_flush(d) < 0)
			return -errno;
		if (r == 0) {
			flushed = n;	/* who reads along has all of it */
			pause_ms(5);
			continue;
		}
		pcap_dump((u_char *)d, h, data);
		if (ferror(pcap_dump_file(d)))
			return -errno;
		*frames = ++n;
	}
	return pcap_dump_flush(d) < 0 ? -errno : 0;
}

/* Where frames go to standard output, figures do not. */
static void say(const struct wanted *w, uint64_t n, unsigned missed)
{
	FILE *f = strcmp(w->file, "-") == 0 ? stderr : stdout;

	if (w->json)
		fprintf(f, "{\"frames\": %llu, \"missed\": %u}\n", (unsigned long long)n, missed);
	else
		fprintf(f, "%llu frame%s from %s to %s, %u missed\n", (unsigned long long)n, n == 1 ? "" : "s", w->what,
			f == stderr ? "standard output" : w->file, missed);
}

static int capture(struct lab *l, void *arg, struct npp_err *e)
{
	struct wanted *w = arg;
	const char *ns = "", *ifname = "";
	struct stat ns_st;
	struct pcap_stat st = { 0 };
	pcap_dumper_t *d;
	pcap_t *p;
	uint64_t n = 0;
	int fd, r = find_place(l, w->what, &ns, &ifname, e), back;

	if (r < 0)
		return r;
	fd = open(ns_path(ns, w->path), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &ns_st) < 0)
		return npp_err_set(e, -errno, "cannot open %s: %s", w->path, strerror(errno));
	w->inode = ns_st.st_ino;
	back = ns_enter_fd(fd, e);
	close(fd);
	if (back < 0)
		return back;
	p = open_link(ifname, w->filter, e);
	ns_leave(back);
	if (!p)
		return -EIO;
	d = pcap_dump_open(p, w->file);
	if (!d) {
		r = npp_err_set(e, -EIO, "%s", pcap_geterr(p));
		pcap_close(p);
		return r;
	}
	fprintf(stderr, "npp-lab: capturing on %s\n", w->what);
	r = run(p, d, w, &n);
	pcap_stats(p, &st);
	if (r == -ENODEV)
		npp_err_set(e, r, "%s has gone; %llu frames were written before", w->what, (unsigned long long)n);
	else if (r < 0)
		npp_err_set(e, r, "cannot write %s: %s", w->file, strerror(-r));
	pcap_dump_close(d);
	pcap_close(p);
	if (r == 0)
		say(w, n, st.ps_drop);
	return r;
}

int lab_capture(const char *lab, const char *link, const char *file, const char *filter, uint64_t count,
		double seconds, bool json)
{
	struct wanted w = { .what = link, .file = file, .filter = filter, .count = count, .json = json,
			    .end_ms = seconds > 0 ? now_ms() + (int64_t)(seconds * 1000) : 0 };

	stop_on_signals();
	signal(SIGPIPE, SIG_IGN);
	return lab_with(lab, false, "capture", json, capture, &w) < 0;
}
