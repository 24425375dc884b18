/* SPDX-License-Identifier: GPL-2.0-or-later
 * restart.c - npp restart: a new process takes the place of a running one
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/conf.h"
#include "lib/ctl.h"
#include "npp/npp.h"

#define RESTART_MS 30000
_Static_assert(NPP_MAX_IOPS == 32, "said below");
#define BUSY_MS 3000		/* while it is being replaced already */

static const char *why(int error)
{
	switch (error) {
	case -EPROTO: return "its program has another layout than the memory it should go on from; the running one goes on";
	case -ENOENT: return "there is no such process (npp status shows those there are)";
	case -EBUSY: return "it is being replaced already";
	case -ECHILD: return "its successor died";
	case -ESHUTDOWN: return "it is being stopped";
	case -ENOTSUP: return "its supervisor cannot do that";
	default: return strerror(-error);
	}
}

/* Asks T; 0 and *DONE, or -errno. */
static int ask(struct target *t, const struct npp_ctl_restart *what, struct npp_ctl_restarted *done)
{
	struct npp_ctl_msg m;
	uint8_t buf[256] __attribute__((aligned(8)));
	int r, waited = 0;

	for (;;) {
		r = npp_ctl_call(t->sock, NPP_CTL_TOOL_RESTART, what, sizeof *what, NULL, 0, &m, buf, sizeof buf,
				 RESTART_MS);
		if (r != -EBUSY || waited >= BUSY_MS)
			break;
		waited += 10;
		usleep(10000);
	}
	if (r < 0)
		return r;
	npp_ctl_close_fds(&m);
	if (m.hdr.len != sizeof *done)
		return -EBADMSG;
	memcpy(done, buf, sizeof *done);
	return 0;
}

static void print_ms(const char *text, uint64_t us)
{
	printf("%s%" PRIu64 ".%03u ms", text, us / 1000, (unsigned)(us % 1000));
}

static void report(const struct target *t, const char *what, const struct npp_ctl_restarted *d, bool json)
{
	if (json) {
		fputs("{\"name\": ", stdout);
		npp_json_string(stdout, t->label);
		printf(", \"process\": \"%s\", \"old_pid\": %d, \"pid\": %d, \"ready_us\": %" PRIu64 ", \"work_us\": %" PRIu64
		       ", \"lost\": %" PRIu64 "}\n", what, d->old_pid, d->pid, d->ready_us, d->work_us, d->lost);
		return;
	}
	printf("%s: %s: pid %d took over from %d; ", t->label, what, d->pid, d->old_pid);
	print_ms("ready after ", d->ready_us);
	if (d->work_us)
		print_ms(", at work after ", d->work_us);
	else
		fputs(", nothing to do yet", stdout);
	if (d->lost)
		printf("; %" PRIu64 " connections lost", d->lost);
	puts("");
}

/* One must be named: which there are. */
static void of_which(const char *name, const struct target *t, int n)
{
	char all[256] = "";

	for (int i = 0; i < n; i++)
		if (strlen(all) + strlen(t[i].label) + 3 < sizeof all) {
			strcat(all, *all ? ", " : "");
			strcat(all, t[i].label);
		}
	out_failed("%s: of which? Say one of %s", name, all);
}

/* "dispatch", "ism N", "osm" from ARGV into WHAT; how many words, or 0 and *WRONG. */
static int parse(char **argv, struct npp_ctl_restart *what, const char **wrong)
{
	uint64_t n;

	*what = (struct npp_ctl_restart){ 0 };
	*wrong = "which process: dispatch, ism N, or osm?";
	if (!argv[0])
		return 0;
	if (strcmp(argv[0], "dispatch") == 0) {
		what->role = NPP_ROLE_DISPATCH;
		return 1;
	}
	if (strcmp(argv[0], "osm") == 0) {
		what->role = NPP_ROLE_OSM;
		return 1;
	}
	if (strcmp(argv[0], "ism") != 0)
		return 0;
	*wrong = "which ism: the number of an IOP, 0 or more?";
	if (!argv[1] || npp_conf_parse_u64(argv[1], &n) < 0)
		return 0;
	if (n >= NPP_MAX_IOPS) {
		*wrong = "there is no such ism: an NPP has at most 32 IOPs, numbered from 0";
		return 0;
	}
	what->role = NPP_ROLE_ISM;
	what->index = (uint32_t)n;
	return 2;
}

int verb_restart(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	struct npp_ctl_restarted done;
	struct npp_ctl_restart what;
	struct target *t;
	const char *wrong;
	bool json = false;
	int opt, n, r;
	char name[32];

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'j': json = out_json(); break;
		case 'h': return verb_help(argv[0]);
		default: return verb_usage(argv[0], NULL);
		}
	}
	n = parse(argv + optind, &what, &wrong);
	if (!n)
		return verb_usage(argv[0], "%s", wrong);
	n = targets_open(&t, argv + optind + n, what.role == NPP_ROLE_OSM ? 2 : 1, what.role == NPP_ROLE_OSM ? 2 : 1);
	if (n < 0)
		return 1;
	if (what.role == NPP_ROLE_ISM)
		snprintf(name, sizeof name, "ism %u", what.index);
	else
		snprintf(name, sizeof name, "%s", what.role == NPP_ROLE_OSM ? "osm" : "dispatch");
	if (n > 1) {
		of_which(name, t, n);
		targets_close(t, n);
		return EXIT_USAGE;
	}
	r = ask(t, &what, &done);
	if (r < 0)
		out_failed("%s: %s: %s", t->label, name, why(r));
	else
		report(t, name, &done, json);
	targets_close(t, n);
	return r < 0;
}
