/* SPDX-License-Identifier: GPL-2.0-or-later
 * nppd.h - the supervisor: what its files share
 *
 *   main.c      options, signals, start and end
 *   settings.c  the configuration
 *   child.c     start, readiness, death and end of children
 *   restart.c   successors: asked for by a tool, or after a death
 *   conn.c      connections to NAME.sock: tools, and the hosts of an NPP
 *   role_npp.c  an NPP: its regions and port (npp_regions.c, tap.c), link role, IPC rings
 *               (ipc.c), hosts (hosts.c) and the ports granted to them (grants.c)
 *               steering of the port by an eBPF program (engine.c, steer.c, steer_load.c)
 *   role_host.c a host: its memory, doorbells, its OSM and its NPPs
 */
#ifndef NPPD_NPPD_H
#define NPPD_NPPD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/proto.h"
#include "nppd/limit.h"
#include "nppd/loop.h"
#include "nppd/settings.h"
#include "shm/region.h"

#define MAX_CHILDREN (1 + NPP_MAX_IOPS)
#define READY_MS 20000		/* for a child to get ready */
#define STOP_MS 3000		/* for all children to end */

struct nppd;

enum child_state { CHILD_DOWN = 0, CHILD_STARTING, CHILD_READY, CHILD_FAILED };	/* as in struct npp_ctl_child */

struct process { pid_t pid; int pidfd, ctl; };	/* pidfd -1: none runs; ctl -1: it does not speak any more */
#define PROCESS_NONE { .pid = 0, .pidfd = -1, .ctl = -1 }

struct successor {		/* restart.c: knows no region yet */
	struct process p;
	bool fits, refused;	/* as it said */
	struct loop_fd ctl_src, pid_src;
	struct loop_timer timer;
};

struct child {
	struct nppd *d;
	enum npp_role role;
	uint32_t index;
	char name[24];		/* "npp-ism 2" */
	struct process p;
	enum child_state state;
	uint32_t restarts;
	int exit_status;
	struct loop_fd ctl_src, pid_src;
	struct loop_timer ready_timer;
	struct npp_region stats;	/* its page; outlives it */
	struct limit lines;	/* in the log, of what it says */
	/* restart.c */
	struct successor next;
	bool stop_said;		/* it was told to make way */
	bool afresh;		/* its successor gets an empty region */
	uint32_t deaths;	/* in a row */
	uint64_t healthy_ms;	/* a death after this begins a new row */
	struct loop_timer stop_timer, pause_timer, work_timer;
	uint64_t gap_us;	/* since when nobody works; 0: somebody does */
	uint64_t ready_us;	/* how long it took */
	uint32_t work_looks;
	uint64_t lost_before;
	pid_t old_pid;
	struct conn *asker;	/* a tool that waits */
	uint32_t asker_seq;
};

enum start_kind { START_FIRST, START_AGAIN, START_AFRESH };	/* AFRESH: on a region that is emptied first */

/* A connection to NAME.sock. */
struct host;
struct conn {
	struct nppd *d;
	struct loop_fd src;
	bool is_host;		/* HOST_CONN was said: no tool's requests from now on */
	char host_name[NPP_NAME_MAX];
	struct host *host;	/* hosts.c: after ATTACH */
	struct conn *next;
};

/* What differs between the roles. */
struct role_ops {
	int (*start)(struct nppd *d);			/* regions, port, children; reports its errors */
	void (*child_ready)(struct nppd *d, struct child *c, const struct npp_ctl_msg *m);
	/* Sends START and all else that the process C needs; it runs already. FIRST: spawns it. */
	int (*child_start)(struct nppd *d, struct child *c, enum start_kind kind);
	/* It is gone. Its successor comes in about PAUSE_MS; 0: at once. May be said again. */
	void (*child_died)(struct nppd *d, struct child *c, uint32_t pause_ms);
	void (*child_failed)(struct nppd *d, struct child *c);	/* there will be no successor */
	const struct npp_region_hdr *(*private_region)(struct nppd *d, const struct child *c);
	bool may_be_afresh;		/* children can do without what they knew */
	/* Anything but READY from a child. */
	void (*child_msg)(struct nppd *d, struct child *c, struct npp_ctl_msg *m);
	/* From a connection with is_host; -errno ends the connection. NULL: there are none. */
	int (*host_msg)(struct nppd *d, struct conn *c, struct npp_ctl_msg *m);
	void (*host_gone)(struct nppd *d, struct conn *c);
	int (*tool_host)(struct nppd *d, struct conn *c, const struct npp_ctl_msg *m);	/* NULL: it has none */
	void (*status)(struct nppd *d, struct npp_ctl_status *st);
	/* Read-only descriptors for tools; the caller closes them. Their number. */
	unsigned (*regions)(struct nppd *d, struct npp_ctl_regions *r, int *fds, unsigned cap);
	void (*stopping)(struct nppd *d);		/* before children are told to stop */
	void (*finish)(struct nppd *d);			/* after they ended: gives everything back */
};
extern const struct role_ops npp_role_ops, host_role_ops;

struct nppd {
	struct settings *s;
	const char *rundir;
	bool verbose;
	int ready_fd;		/* --ready-fd; -1: none */
	struct loop loop;
	struct loop_fd signal_src, listen_src;
	int listen_fd;
	char path[108];		/* NAME.sock */
	struct conn *conns;
	unsigned n_conns;
	struct child child[MAX_CHILDREN];
	unsigned n_children;
	bool up;		/* everything is ready, said so */
	bool stopping;
	int exit_code;
	struct loop_timer stop_timer;
	uint32_t huge_pages;	/* in use by our regions */
	uint32_t reserved;	/* of them borrowed from the system */
	const struct role_ops *ops;
	struct npp_side *npp;	/* one of the two */
	struct host_side *host;
};

/* main.c */
void nppd_stop(struct nppd *d, int exit_code);	/* begins the end; the loop goes on until children are gone */
void nppd_is_up(struct nppd *d);		/* the role is up: says so */
/* Creates a region, hugepages as configured, and counts them. 0 or -errno, logged. */
int nppd_region(struct nppd *d, struct npp_region *r, const char *what, enum npp_region_kind kind, size_t size,
		uint32_t owner, uint64_t layout_hash, bool huge);
unsigned nppd_huge_flags(struct nppd *d);
int nppd_hugepage_check(struct nppd *d, bool huge, const char *what);
/* Cpu for child number I (0 the dispatcher or OSM), -1: any. */
int nppd_cpu(const struct nppd *d, unsigned i);
/* Sends without ever waiting longer than MS for a peer that does not read. */
int nppd_send(int sock, unsigned ms, uint16_t type, uint32_t seq, int error, const void *body, size_t len,
	      const int *fds, unsigned nfds);

/* child.c */
void child_init(struct nppd *d, enum npp_role role, uint32_t index);	/* appends to d->child; stats page made later */
int child_stats_create(struct child *c);
/* A process of C's program, which waits for its first message. 0 or -errno, logged. */
int process_spawn(const struct child *c, struct process *p);
void process_kill(const struct process *p, int sig);
/* P becomes C's process. 0, or -errno and it is killed. */
int child_adopt(struct child *c, const struct process *p);
/* Sends its start message; starts it, if no process was adopted. 0 or -errno, logged. */
int child_start(struct child *c, uint16_t type, const void *body, size_t len, const int *fds, unsigned nfds);
/* Like nppd_send(), to a running child; one that does not take it is killed. */
int child_send(struct child *c, uint16_t type, uint32_t seq, int error, const void *body, size_t len, const int *fds,
	       unsigned nfds);
void child_kill(struct child *c, int sig);
/* One more line about what C says? Of many a few, and then how many more there were. */
bool child_may_log(struct child *c);
void child_unexpected(struct child *c, const struct npp_ctl_msg *m);
unsigned children_running(const struct nppd *d);
unsigned children_ready(const struct nppd *d);

/* restart.c */
int restart_ask(struct conn *conn, const struct npp_ctl_msg *m);	/* TOOL_RESTART; -errno ends the connection */
void restart_conn_gone(struct nppd *d, const struct conn *conn);
void restart_died(struct child *c);	/* C's process was reaped */
void restart_ready(struct child *c);	/* C has said READY */
void restart_step(struct child *c);	/* the successor fits, or the way is free */
void restart_give_up(struct child *c, const char *why);
void restart_stop(struct nppd *d);	/* no successors from now on */

/* conn.c */
int conn_listen(struct nppd *d);	/* claims NAME.sock; requests wait until conn_serve() */
int conn_serve(struct nppd *d);
void conn_close(struct nppd *d, struct conn *c);
void conn_fini(struct nppd *d);

#endif
