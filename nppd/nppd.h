/* SPDX-License-Identifier: GPL-2.0-or-later
 * nppd.h - the supervisor: what its files share
 *
 *   main.c      options, signals, start and end
 *   settings.c  the configuration
 *   child.c     start, readiness, death and end of children
 *   conn.c      connections to NAME.sock: tools, and the hosts of an NPP
 *   role_npp.c  an NPP: its regions and port (npp_regions.c, tap.c), link role, IPC rings
 *               (ipc.c), hosts (hosts.c) and the ports granted to them (grants.c)
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
#include "nppd/loop.h"
#include "nppd/settings.h"
#include "shm/region.h"

#define MAX_CHILDREN (1 + NPP_MAX_IOPS)
#define READY_MS 20000		/* for a child to get ready */
#define STOP_MS 3000		/* for all children to end */

struct nppd;

enum child_state { CHILD_DOWN = 0, CHILD_STARTING, CHILD_READY };	/* as in struct npp_ctl_child */

struct child {
	struct nppd *d;
	enum npp_role role;
	uint32_t index;
	char name[24];		/* "npp-ism 2" */
	pid_t pid;
	enum child_state state;
	uint32_t restarts;
	int exit_status;
	int ctl;		/* -1: not running */
	int pidfd;
	struct loop_fd ctl_src, pid_src;
	struct loop_timer ready_timer;
	struct npp_region stats;	/* its page; outlives it */
};

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
	void (*child_ready)(struct nppd *d, struct child *c);
	void (*child_died)(struct nppd *d, struct child *c);	/* state is down already */
	/* Anything but READY from a child. */
	void (*child_msg)(struct nppd *d, struct child *c, struct npp_ctl_msg *m);
	/* From a connection with is_host; -errno ends the connection. NULL: there are none. */
	int (*host_msg)(struct nppd *d, struct conn *c, struct npp_ctl_msg *m);
	void (*host_gone)(struct nppd *d, struct conn *c);
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
/* Starts it and sends its start message. 0 or -errno, logged. */
int child_start(struct child *c, uint16_t type, const void *body, size_t len, const int *fds, unsigned nfds);
/* Like nppd_send(), to a running child; one that does not take it is killed. */
int child_send(struct child *c, uint16_t type, uint32_t seq, int error, const void *body, size_t len, const int *fds,
	       unsigned nfds);
void child_kill(struct child *c, int sig);
unsigned children_running(const struct nppd *d);
unsigned children_ready(const struct nppd *d);

/* conn.c */
int conn_listen(struct nppd *d);	/* claims NAME.sock; requests wait until conn_serve() */
int conn_serve(struct nppd *d);
void conn_close(struct nppd *d, struct conn *c);
void conn_fini(struct nppd *d);

#endif
