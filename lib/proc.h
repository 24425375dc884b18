/* SPDX-License-Identifier: GPL-2.0-or-later
 * proc.h - start of a child process with less than its parent may do
 *
 * For supervisors. The child gets one socket as descriptor 3 and nothing else beside
 * stdin, stdout and stderr; it dies with its parent; before exec it has given up uid,
 * groups, capabilities and the right to gain any, and a system call filter is in place.
 */
#ifndef NPP_LIB_PROC_H
#define NPP_LIB_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/log.h"

struct npp_proc_spec {
	const char *path;	/* program; opened before the uid changes, so that it may stand where the
				   new uid cannot look */
	char *const *argv;
	int ctl_fd;		/* becomes descriptor 3 */
	bool drop;		/* give up privileges: needs root; false: run as we are */
	bool keep_uid;		/* with drop: all but the uid, where no other exists (npp_proc_id_exists()) */
	uint32_t uid, gid;	/* with drop */
	bool seccomp;		/* put on the filter (never in a build with sanitizers) */
};

/* Starts it. 0 and *PID, *PIDFD (close-on-exec); or -errno with the step that failed in E:
 * also when it failed in the child, before exec. */
int npp_proc_spawn(const struct npp_proc_spec *spec, pid_t *pid, int *pidfd, struct npp_err *e);

/* Is there a uid and a gid ID in our user namespace? */
bool npp_proc_id_exists(uint32_t id);

/* Installs the filter of NPP's children on the calling process. 0 or -errno. */
int npp_proc_seccomp(void);

/* Raises RLIMIT_NOFILE to its hard limit; the limit now. */
uint64_t npp_proc_raise_nofile(void);

/* "exited with status 1", "was killed by signal 9 (Killed)", from a wait(2) status. */
const char *npp_proc_describe_exit(int status, char *buf, size_t cap);

/* Start time of PID (field 22 of /proc/PID/stat); 0: there is no such process, or it is
 * a zombie. */
uint64_t npp_proc_start_time(pid_t pid);

#endif
