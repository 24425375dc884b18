/* SPDX-License-Identifier: GPL-2.0-or-later
 * log.h - messages of daemons and tools, never per packet
 *
 * warn: with errno; warnx: without. fatal: only in main and start-up. A library that
 * lives in someone else's process (libnpp) uses none of these.
 */
#ifndef NPP_LIB_LOG_H
#define NPP_LIB_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#define NPP_PRINTF(a, b) __attribute__((format(printf, a, b)))

/* NAME (kept by reference) is printed in front of each line; lines go to stderr with a
 * time stamp if it is not a terminal. */
void npp_log_init(const char *name, int verbose);
/* The same for what a user types: no more than the name, wherever it goes. Standard descriptors
 * that are closed lead nowhere then: no file that is opened later gets what is printed. */
void npp_log_init_tool(const char *name, int verbose);
/* At the end of a tool whose exit status would be R: what could not be printed is a failure (1), and told. */
int npp_stdout_end(int r);
bool npp_log_verbose(void);
void npp_debug(const char *fmt, ...) NPP_PRINTF(1, 2);	/* only with verbose */
void npp_info(const char *fmt, ...) NPP_PRINTF(1, 2);
void npp_warnx(const char *fmt, ...) NPP_PRINTF(1, 2);
void npp_warn(const char *fmt, ...) NPP_PRINTF(1, 2);
_Noreturn void npp_fatal(const char *fmt, ...) NPP_PRINTF(1, 2);	/* with errno; exit 1 */
_Noreturn void npp_fatalx(const char *fmt, ...) NPP_PRINTF(1, 2);

/* Why a call failed, for callers that report to a user: set with npp_err_set(). */
struct npp_err { char text[256]; };
/* Formats TEXT into E (which may be NULL) and returns CODE. */
int npp_err_set(struct npp_err *e, int code, const char *fmt, ...) NPP_PRINTF(3, 4);

#endif
