/* SPDX-License-Identifier: GPL-2.0-or-later
 * log.c - messages of daemons and tools
 *
 * The one library with state of its own: who we are. It is set once, in main.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"

static const char *log_name = "npp";
static bool log_verbose, log_stamp, log_tool;

void npp_log_init(const char *name, int verbose)
{
	log_name = name;
	log_verbose = verbose != 0;
	log_stamp = !isatty(STDERR_FILENO);
	log_tool = false;
}

void npp_log_init_tool(const char *name, int verbose)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	log_name = name;
	log_verbose = verbose != 0;
	log_stamp = false;
	log_tool = true;
}

bool npp_log_verbose(void)
{
	return log_verbose;
}

int npp_stdout_end(int r)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return r;
	npp_warn("cannot write to standard output");
	return r ? r : 1;
}

/* One write per line, so that lines of several processes do not mix. ERR: 0, or errno. */
static void emit(int err, const char *fmt, va_list ap)
{
	char line[1024];
	size_t n = 0, cap = sizeof line - 1;
	ssize_t rc;

	if (log_stamp) {
		struct timespec ts;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &ts);
		if (gmtime_r(&ts.tv_sec, &tm))
			n = strftime(line, cap, "%Y-%m-%dT%H:%M:%S", &tm);
		n += (size_t)snprintf(line + n, cap - n, ".%06ldZ ", ts.tv_nsec / 1000);
	}
	if (log_tool)
		n += (size_t)snprintf(line + n, cap - n, "%.64s: ", log_name);
	else
		n += (size_t)snprintf(line + n, cap - n, "%.64s[%d]: ", log_name, (int)getpid());
	n += (size_t)vsnprintf(line + n, cap - n, fmt, ap);
	if (err && n < cap)
		n += (size_t)snprintf(line + n, cap - n, ": %s", strerror(err));
	if (n > cap - 1)
		n = cap - 1; /* cut off */
	line[n++] = '\n';
	do
		rc = write(STDERR_FILENO, line, n);
	while (rc < 0 && errno == EINTR);
}

#define EMIT(err) \
	do { \
		int saved_ = errno; \
		va_list ap_; \
		va_start(ap_, fmt); \
		emit((err), fmt, ap_); \
		va_end(ap_); \
		errno = saved_; \
	} while (0)

void npp_debug(const char *fmt, ...)
{
	if (log_verbose)
		EMIT(0);
}

void npp_info(const char *fmt, ...)
{
	EMIT(0);
}

void npp_warnx(const char *fmt, ...)
{
	EMIT(0);
}

void npp_warn(const char *fmt, ...)
{
	EMIT(saved_);
}

void npp_fatal(const char *fmt, ...)
{
	EMIT(saved_);
	exit(EXIT_FAILURE);
}

void npp_fatalx(const char *fmt, ...)
{
	EMIT(0);
	exit(EXIT_FAILURE);
}

int npp_err_set(struct npp_err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof e->text, fmt, ap);
		va_end(ap);
	}
	return code;
}
