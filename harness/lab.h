/* SPDX-License-Identifier: GPL-2.0-or-later
 * lab.h - a running lab and its state file
 *
 * Everything that a lab makes carries its name, and all of it is planned before any of it
 * is made: RUNDIR/LAB/lab.json holds the plan from the first step on, and is written anew
 * before each step. So `down` needs nothing but that file, whenever the npp-lab that
 * wrote it ended. A lock (flock) on the directory RUNDIR/LAB says that an npp-lab is at
 * work on the lab; one on RUNDIR guards the choice of names.
 */
#ifndef NPP_HARNESS_LAB_H
#define NPP_HARNESS_LAB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "harness/nl.h"
#include "harness/ns.h"
#include "harness/topo.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/proc.h"

#define LAB_STATE_VERSION 1
#define LAB_STATE_FILE "lab.json"
#define LAB_DIR_CAP 160
#define LAB_PATH_CAP 256
#define LAB_MAKER_CAP 64
#define LAB_WIRE_CAP 48
#define LAB_MAX_PROCS (TOPO_MAX_NODES * (TOPO_MAX_IFS + 2))
#define LAB_MAX_FAULTS 256

struct lab_net { const char *name, *subnet, *subnet6 /* "": it has none of the family */, *ns; };
struct lab_if { const char *network, *address, *address6 /* "": none of the family */, *mac, *wire; /* NULL: it has no npp-wire */ };
struct lab_node {
	const char *name, *kind, *stack, *ns;
	const char *engine;	/* of an NPP; else "" or NULL */
	struct lab_if *ifs;
	uint32_t n_ifs;
	const char **npps;
	uint32_t n_npps;
	uint32_t iops;
};
struct lab_proc {	/* nppd: by its node's name; npp-wire: wire_name(); bird.NODE; fault.hugepages */
	const char *node;
	uint32_t pid;
	uint64_t start;	/* field 22 of /proc/PID/stat */
};

struct proc_start { pid_t pid; int go_fd, ready_fd; };	/* proc.c */
struct lab_fault { const char *fault, *what; };	/* one that stands: "memory web1"; in words */

struct lab {
	char dir[LAB_DIR_CAP];		/* RUNDIR/NAME */
	int lock;			/* descriptor of dir; -1: not held */
	/* from here on as in lab.json */
	uint32_t version;
	const char *name, *file, *boot_id, *state, *step;
	uint32_t owner_pid;		/* npp-lab that works or worked on it */
	uint64_t owner_start;
	uint32_t keeper_pid;		/* the lab is dead when this process has ended; 0: nobody's */
	uint64_t keeper_start;
	const char *maker;		/* who has made it: lab_maker() */
	struct lab_net *nets;
	uint32_t n_nets;
	struct lab_node *nodes;
	uint32_t n_nodes;
	struct lab_proc *procs;
	uint32_t n_procs, max_procs;	/* max_procs: how many there is room for */
	struct lab_fault *faults;
	uint32_t n_faults;
	struct npp_conf *conf;		/* keeps the strings */
	bool own_conf;
};

/* lab.c */
const char *lab_rundir(void);
/* Writes lab.json with STEP, which is about to be done. */
int lab_save(struct lab *l, const char *state, const char *step, struct npp_err *e);
/* Reads the lab NAME. 0; -ENOENT; -EINVAL: lab.json makes no sense. Frees with lab_free(). */
int lab_load(struct lab *l, const char *name, struct npp_err *e);
void lab_free(struct lab *l);
/* Takes the lab's lock: 0, -EWOULDBLOCK (an npp-lab is at work), -ENOENT. */
int lab_lock(struct lab *l, const char *name, bool wait, struct npp_err *e);
void lab_unlock(struct lab *l);
/* What the lab of T would be; nothing is made, or written. */
void lab_plan(struct lab *l, const struct topo *t, const char *file);
/* Plans the lab of T, takes its names and writes its first state; the lock is held then. */
int lab_create(struct lab *l, const struct topo *t, const char *file, struct npp_err *e);
/* Names of all labs there are (malloc'ed, ends with NULL). */
char **lab_list(void);
void lab_list_free(char **names);
/* Whom we work for, into TEXT: the user behind sudo, else this session. */
const char *lab_maker(char *text, size_t cap);
bool lab_other_boot(const struct lab *l);
/* Has the process that the lab was made for (NPP_LAB_KEEPER) ended? */
bool lab_orphaned(const struct lab *l);
/* It had nppds, or else wires and the like, and none of them lives. */
bool lab_deserted(const struct lab *l);
/* The next one from *I on (0 at first) that the lab began with and that lives no more; NULL: no other. */
const struct lab_proc *lab_dead_proc(const struct lab *l, uint32_t *i);

/* change.c: notes the process S, which waits, under NAME in lab.json, and only then lets it go.
 * On error it ends, and its descriptors are closed. */
int lab_note_proc(struct lab *l, const char *name, const char *step, struct proc_start *s, struct npp_err *e);
/* Locks the lab that L is, reads its lab.json again into NOW, lets FN change that, and writes it. */
typedef int lab_change_fn(struct lab *now, void *arg, struct npp_err *e);
int lab_change(const struct lab *l, lab_change_fn *fn, void *arg, struct npp_err *e);
/* FAULT stands now, WHAT in words; NULL: is over. */
int lab_note_fault(const struct lab *l, const char *fault, const char *what, struct npp_err *e);

/* find.c */
/* The lab that the user means: NAME, or the only one. */
int lab_pick(const char *name, char *out, size_t cap, struct npp_err *e);
/* The same for what breaks things: the only one only if it was made by whom we work for now. */
int lab_pick_own(const char *name, char *out, size_t cap, struct npp_err *e);
struct lab_node *lab_find_node(struct lab *l, const char *name);
struct lab_proc *lab_find_proc(const struct lab *l, const char *name);
/* The process that N stands or falls with: its nppd, npp-wire or bird; NULL: it has none. */
struct lab_proc *lab_node_proc(const struct lab *l, const struct lab_node *n);

/* proc.c */
static inline bool proc_alive(const struct lab_proc *p)
{
	return p->pid && npp_proc_start_time((pid_t)p->pid) == p->start;
}
/* Starts ARGV in namespace NS with output to LOG; *READY_FD is the read end of what it
 * gets as descriptor 3. It waits for proc_release() before it does anything, so that its
 * pid can be written down first. pid or -errno. */
int proc_start(struct proc_start *p, const char *ns, const char *log, char *const argv[], struct npp_err *e);
/* The same with a function in place of a program; all but descriptors 0 to 3 are closed. */
typedef int proc_fn(int ready_fd);
int proc_start_fn(struct proc_start *p, const char *ns, const char *log, proc_fn *fn, struct npp_err *e);
void proc_release(struct proc_start *p);
/* All processes in the namespaces with these inodes; at most CAP pids. Number found. */
unsigned proc_in_ns(const ino_t *inodes, unsigned n, pid_t *pids, unsigned cap);
/* Sends SIG to each and waits until all are gone or TIMEOUT_MS passed: number left. HEARD (may be NULL): how many got it. */
unsigned proc_kill(const pid_t *pids, unsigned n, int sig, int timeout_ms, unsigned *heard);
/* What SIGHUP does from now on; but it stays ignored for who was started by nohup(1). */
struct sigaction;
void on_hangup(const struct sigaction *sa);
int64_t now_ms(void);
void pause_ms(int ms);

/* up.c, down.c, exec.c, status.c: the verbs; exit status */
int lab_up(const char *file, const char *name, char *const *sets, unsigned n_sets, bool json);
/* The same without a word if all went well; if not, with OK also JSON on standard output, {OK: false, ...}. */
int lab_up_quiet(const char *file, const char *name, char *const *sets, unsigned n_sets, const char *ok);
int lab_down(const char *name, bool json);
int lab_clean(bool json);
/* Removes all that L names; L is locked. 0, or -EBUSY with what is left in E. */
int lab_teardown(struct lab *l, struct npp_err *e);
int lab_exec(const char *lab, const char *node, char *const argv[]);
int lab_status(const char *name, bool json);
int lab_print_list(bool json);

/* wires.c: npp-wire of link J of node I, or of node I itself: made with both ends, ready. */
int wire_start(struct lab *l, const struct topo *t, uint32_t i, uint32_t j, struct npp_err *e);
/* The name of its process: wire.NODE.NETWORK; of a node that is a wire wire.NODE. */
char *wire_name(const struct lab_node *n, const char *net, char name[LAB_WIRE_CAP]);
/* Sends REQUEST to the wire of N's link on NET; the answer (malloc'ed) in *ANSWER. 0 or -errno. */
int wire_ask(const struct lab *l, const struct lab_node *n, const char *net, const char *request, char **answer,
	     struct npp_err *e);

/* bird.c: bird(8) of node I, and until it has the routes. */
/* Has it routes to find out, or advertisements to send? */
bool bird_has_work(const struct topo *t, const struct topo_node *n);
int bird_start(struct lab *l, const struct topo *t, uint32_t i, struct npp_err *e);
int bird_wait(const struct lab *l, const struct topo *t, uint32_t i, struct nl_ns *nl, const volatile int *stop,
	      struct npp_err *e);
/* autoconf.c: until who has its address by autoconfiguration answers under it. 0 or -errno. */
int autoconf_wait(const struct lab *l, const struct topo *t, const volatile int *stop, struct npp_err *e);

/* program.c: what stands in `start` of node I, one after the other, each until it is ready. */
int programs_start(struct lab *l, const struct topo *t, uint32_t i, const volatile int *stop, struct npp_err *e);

/* For programs on NODE that want a place for their files: $NPP_LAB_DIR, removed with the lab; $NPP_LAB_FILES,
 * where the topology's file is; $NPP_LAB_NODE, $NPP_LAB_LOAD. 0 or -errno. */
int node_places(const struct lab *l, const char *node, struct npp_err *e);

/* exec.c: enters NODE (or the place of a network's bridge) for good, with its environment. */
int node_enter(struct lab *l, const char *node, struct npp_err *e);

/* nppconf.c: the name of the TAP of port J of N, into BUF. */
const char *npp_port_link(const struct topo_node *n, uint32_t j, char *buf, size_t cap);
/* The file for the nppd of node I of T, into the lab's directory. */
int nppconf_write(const struct lab *l, const struct topo *t, uint32_t i, char *path, size_t cap,
		  struct npp_err *e);

/* What every report here is full of. */
static inline void json_string(FILE *f, const char *text) { npp_json_string(f, text); }

#endif
