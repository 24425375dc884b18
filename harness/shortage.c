/* SPDX-License-Identifier: GPL-2.0-or-later
 * shortage.c - faults that take something away: memory of a host, hugepages of the machine
 *
 * Memory of a host: its OSM holds back what it has not lent (npp-osm/daemon/hold.c). Nothing
 * is taken from those who have some; what they give back meanwhile they can have again.
 *
 * Hugepages: a process of the lab holds those that are free on this machine, and the ledger
 * says that none are to be borrowed for this lab (lib/hugepages.h), as it is where memory is in
 * pieces. The machine's number of hugepages stays as it is. Those of the lab and of others
 * that are in use stay where they are, and other labs borrow as before. Both end with that process.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/verbs.h"
#include "lib/ctl.h"
#include "lib/hugepages.h"
#include "lib/proto.h"

#define OSM_MS 5000
#define HOLD_MS 20000
#define HOLDER "fault.hugepages"
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

/* ---- memory of a host ------------------------------------------------------------------- */

/* HOST gone [PERCENT] or HOST back. */
static int parse_memory(struct lab *l, char *const words[], uint32_t *percent, struct npp_err *e)
{
	const struct lab_node *n = words[0] ? lab_find_node(l, words[0]) : NULL;
	bool gone = words[0] && words[1] && strcmp(words[1], "gone") == 0;
	unsigned long v = 100;
	char *end;

	if (!words[0] || !words[1] || (!gone && strcmp(words[1], "back") != 0) || (words[2] && (!gone || words[3])))
		return npp_err_set(e, -EINVAL, "expected memory HOST gone [PERCENT] or memory HOST back");
	if (!n)
		return npp_err_set(e, -ENOENT, "lab '%s' has no node '%s'", l->name, words[0]);
	if (strcmp(n->kind, "host") != 0 || strcmp(n->stack, "npp") != 0)
		return npp_err_set(e, -EINVAL, "'%s' is no host on NPPs", n->name);
	if (words[2]) {
		v = strtoul(words[2], &end, 10);
		if (end == words[2] || (*end && strcmp(end, "%") != 0) || v < 1 || v > 100)
			return npp_err_set(e, -EINVAL, "'%s' is no part of what is free: expected 1%% to 100%%", words[2]);
	}
	*percent = gone ? (uint32_t)v : 0;
	return 0;
}

int fault_memory_check(struct lab *l, char *const words[], struct npp_err *e)
{
	uint32_t percent;

	return parse_memory(l, words, &percent, e);
}

static int hold(const struct lab *l, const char *host, uint32_t percent, struct npp_ctl_held *h, struct npp_err *e)
{
	struct npp_ctl_hold q = { .percent = percent };
	_Alignas(16) uint8_t buf[256];
	char path[LAB_PATH_CAP];
	struct npp_ctl_msg m;
	int fd, r;

	snprintf(path, sizeof path, "%s/%s.osm.sock", l->dir, host);
	fd = npp_ctl_connect(path);
	if (fd < 0)
		return npp_err_set(e, fd, "the OSM of '%s': %s", host, strerror(-fd));
	r = npp_ctl_call(fd, NPP_CTL_HOLD, &q, sizeof q, NULL, 0, &m, buf, sizeof buf, OSM_MS);
	close(fd);
	if (r >= 0)
		npp_ctl_close_fds(&m);
	if (r == 0 && m.hdr.len != sizeof *h)
		r = -EPROTO;
	if (r < 0)
		return npp_err_set(e, r, "the OSM of '%s' %s%s", host, r == -EAGAIN ? "does not answer" : "refuses: ",
				   r == -EAGAIN ? "" : strerror(-r));
	memcpy(h, m.body, sizeof *h);
	return 0;
}

int fault_memory(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	struct npp_ctl_held h;
	uint32_t percent;
	char fault[80];
	int r = parse_memory(l, words, &percent, e);

	if (r == 0)
		r = hold(l, words[0], percent, &h, e);
	if (r < 0)
		return r;
	if (percent)
		snprintf(what, cap, "memory of %s: %llu KB and %u socket records are gone, %llu KB and %u are left", words[0],
			 (unsigned long long)h.heap_held / 1024, h.socks_held, (unsigned long long)h.heap_free / 1024,
			 h.socks_free);
	else
		snprintf(what, cap, "memory of %s: all is back, %llu KB and %u socket records are free", words[0],
			 (unsigned long long)h.heap_free / 1024, h.socks_free);
	snprintf(fault, sizeof fault, "memory %s", words[0]);
	return lab_note_fault(l, fault, percent ? what : NULL, e);
}

/* ---- hugepages -------------------------------------------------------------------------- */

int fault_hugepages_check(struct lab *l, char *const words[], struct npp_err *e)
{
	(void)l;
	if (words[0] && !words[1] && (strcmp(words[0], "gone") == 0 || strcmp(words[0], "back") == 0))
		return 0;
	return npp_err_set(e, -EINVAL, "expected hugepages gone or hugepages back");
}

/* The process that has them. Pages are promised to a mapping when it is made, so none need be
 * touched for nobody else to get them. */
static int hold_pages(int ready_fd)
{
	uint32_t all, unused, had = 0;
	size_t n;

	while (npp_hugepages_count(&all, &unused) == 0 && unused) {
		for (n = unused; n; n /= 2)
			if (mmap(NULL, n * NPP_HUGEPAGE_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0) != MAP_FAILED)
				break;
		if (n == 0)
			break;	/* somebody was faster */
		had += (uint32_t)n;
	}
	dprintf(ready_fd, "%u\n", had);
	close(ready_fd);
	while (pause() < 0)	/* until a signal ends us */
		;
	return 0;
}

/* How many it has, as it says. */
static int wait_held(const struct proc_start *s, uint32_t *pages, struct npp_err *e)
{
	struct pollfd p = { .fd = s->ready_fd, .events = POLLIN };
	char text[32];
	ssize_t n = 0;

	if (poll(&p, 1, HOLD_MS) > 0)
		n = read(s->ready_fd, text, sizeof text - 1);
	if (n <= 0)
		return npp_err_set(e, -ECHILD, "the process that was to hold the hugepages did not start");
	text[n] = '\0';
	*pages = (uint32_t)strtoul(text, NULL, 10);
	return 0;
}

static int end_holder(struct lab *now, void *arg, struct npp_err *e)
{
	uint32_t n = 0;
	pid_t pid;

	(void)arg;
	for (uint32_t i = 0; i < now->n_procs; i++) {
		if (strcmp(now->procs[i].node, HOLDER) != 0) {
			now->procs[n++] = now->procs[i];
			continue;
		}
		pid = (pid_t)now->procs[i].pid;
		if (proc_alive(&now->procs[i]) && proc_kill(&pid, 1, SIGKILL, HOLD_MS, NULL))
			return npp_err_set(e, -EBUSY, "process %d, which holds the hugepages, does not end", (int)pid);
	}
	if (n == now->n_procs)
		return npp_err_set(e, -ENOENT, "no hugepages are gone");
	now->n_procs = n;
	return 0;
}

static int start_holder(struct lab *now, void *arg, struct npp_err *e)
{
	const struct lab_proc *p = lab_find_proc(now, HOLDER);
	char log[LAB_PATH_CAP];
	struct proc_start s;
	int r;

	if (p && proc_alive(p))
		return npp_err_set(e, -EALREADY, "the hugepages are gone already");
	end_holder(now, NULL, NULL);	/* one that has been killed */
	snprintf(log, sizeof log, "%s/" HOLDER ".log", now->dir);
	r = proc_start_fn(&s, now->n_nets ? now->nets[0].ns : now->nodes[0].ns, log, hold_pages, e);
	if (r < 0)
		return r;
	r = npp_hugepages_close(now->dir, s.pid, e);
	if (r < 0) {
		close(s.go_fd);
		close(s.ready_fd);
		return r;
	}
	r = lab_note_proc(now, HOLDER, now->step, &s, e);
	if (r < 0)
		return r;
	r = wait_held(&s, arg, e);
	if (r < 0)
		proc_kill(&s.pid, 1, SIGKILL, HOLD_MS, NULL);
	close(s.ready_fd);
	return r;
}

int fault_hugepages(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e)
{
	bool gone = strcmp(words[0], "gone") == 0;
	uint32_t pages = 0;
	int r = gone ? lab_change(l, start_holder, &pages, e) : lab_change(l, end_holder, NULL, e);

	if (r < 0)
		return r;
	if (gone)
		snprintf(what, cap, "hugepages: %u that were free are gone, and none are to be borrowed", pages);
	else
		snprintf(what, cap, "hugepages: those that were free are back");
	return lab_note_fault(l, "hugepages", gone ? what : NULL, e);
}
