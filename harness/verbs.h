/* SPDX-License-Identifier: GPL-2.0-or-later
 * verbs.h - what one does with a lab that is up
 *
 * Each verb opens the lab, does one thing, and returns an exit status: 0 done, 1 failed,
 * 2 it was asked for wrongly.
 */
#ifndef NPP_HARNESS_VERBS_H
#define NPP_HARNESS_VERBS_H

#include <signal.h>

#include "harness/lab.h"

/* exec.c: the lab NAME (NULL: the only one), which must be up; the caller must be root. */
int lab_open(struct lab *l, const char *name, struct npp_err *e);
/* The same for what breaks things: without NAME, the only one if it was made in this session. */
int lab_open_own(struct lab *l, const char *name, struct npp_err *e);

/* Opens LAB (OWN: as lab_open_own()), lets FN work on it, says what went wrong under the VERB's name. 0 or -errno. */
typedef int lab_work_fn(struct lab *l, void *arg, struct npp_err *e);
int lab_with(const char *lab, bool own, const char *verb, bool json, lab_work_fn *fn, void *arg);
/* Says what went wrong (VERB: NULL, TEXT names it), with JSON also on standard output: the answer of all verbs. */
void verb_failed(const char *verb, const char *text, bool json);
/* collect.c: the same as lab_exec(), with the command's output in an answer. */
int lab_exec_json(const char *lab, const char *node, char *const argv[]);
/* npp-load with WORDS on NODE; JSON: its report. Returns only if that failed. */
int lab_put_load(const char *lab, const char *node, char *const words[], bool json);
/* proc.c: from now on SIGINT and SIGTERM only set what this points to. */
const volatile sig_atomic_t *stop_on_signals(void);

/* links.c */
struct link { struct lab_node *node; struct lab_if *ifc; const char *net_ns; };
struct link_state {
	bool up, carrier;
	uint32_t mtu;
	/* as the node sees it */
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, drops;
};
/* TEXT is NODE.NETWORK, or NODE where it has one link. 0 or -ENOENT. */
int link_find(struct lab *l, const char *text, struct link *k, struct npp_err *e);
/* By number, for going through all of them; false after the last. */
bool link_at(struct lab *l, uint32_t n, struct link *k);
int link_state(const struct link *k, struct link_state *s, struct npp_err *e);
/* Takes the link's port on the bridge down or up. */
int link_set(const struct link *k, bool up, struct npp_err *e);
int lab_links(const char *lab, bool json);
/* WORDS: KEY=VALUE...; none, "show": nothing is changed; "clear": all off; "reset": those of the topology;
 * "zero", "seed N": as npp-wire has them. Then shows what the wire does. */
int lab_impair(const char *lab, const char *link, char *const words[], bool json);
int impair(struct lab *l, const char *link, const char *request, char **answer, struct npp_err *e);

/* roles.c: could there be such a process in the lab? 0 or -ENOENT, -EINVAL. */
int role_check(struct lab *l, const char *role, struct npp_err *e);
/* Processes by role. At most CAP pids; number found, or -errno. */
int role_pids(struct lab *l, const char *role, pid_t *pids, unsigned cap, struct npp_err *e);

/* fault.c: "kill ROLE", "stop ROLE", "cont ROLE", "link LINK down|up|flap [TIME]",
 * "partition NETWORK NODE...", "heal NETWORK", and those of shortage.c. 0 or -errno; what was
 * done in WHAT. */
int fault_check(struct lab *l, char *const words[], struct npp_err *e); /* the same, but nothing is done */
int fault_do(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e);
int lab_fault(const char *lab, char *const words[], bool json);
/* shortage.c: WORDS behind "memory": HOST gone [PERCENT], HOST back; behind "hugepages": gone, back. */
int fault_memory_check(struct lab *l, char *const words[], struct npp_err *e);
int fault_memory(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e);
int fault_hugepages_check(struct lab *l, char *const words[], struct npp_err *e);
int fault_hugepages(struct lab *l, char *const words[], char *what, size_t cap, struct npp_err *e);

/* logs.c: WHAT is a node, NODE.PROGRAM, wire.NODE.NETWORK, or NULL for all. */
int lab_logs(const char *lab, const char *what, bool json);
int lab_shell(const char *lab, const char *node);

/* capture.c: COUNT, SECONDS 0: until interrupted. */
int lab_capture(const char *lab, const char *link, const char *file, const char *filter, uint64_t count,
		double seconds, bool json);
/* replay.c: LINK NULL: that one which fits; SPEED 1 as captured, 0 as fast as can be; TO: the node that
 * plays the server. */
int lab_replay(const char *lab, const char *node, const char *link, const char *file, const char *to, double speed, bool json);

/* graph.c: OUT NULL: stdout; ends in .dot: not drawn. SECONDS > 0: again and again. */
int lab_graph(const char *lab, const char *out, double seconds, bool json);

#endif
