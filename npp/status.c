/* SPDX-License-Identifier: GPL-2.0-or-later
 * status.c - npp status, npp stop: the supervisors and their children
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ctl.h"
#include "lib/proc.h"
#include "npp/npp.h"

static const char *role_name(uint32_t role)
{
	return role == NPP_ROLE_DISPATCH ? "dispatch" : role == NPP_ROLE_ISM ? "ism" : role == NPP_ROLE_OSM ? "osm" : "?";
}

static const char *state_name(uint32_t state)
{
	return state == 3 ? "given up" : state == 2 ? "ready" : state == 1 ? "starting" : "down";
}

static void join_attached(const struct target *t, char *buf, size_t cap)
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < NPP_MAX_HOSTS && n < cap; i++)
		if (t->st.attached[i][0])
			n += (size_t)snprintf(buf + n, cap - n, "%s%.31s", n ? "," : "", t->st.attached[i]);
}

static void mac_format(const uint8_t *m, char text[18])
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void conflicts_json(const struct target *t)
{
	char addr[NPP_ADDR_STRLEN], mac[18];
	bool first = true;

	for (unsigned i = 0; i < NPP_CONFLICTS; i++) {
		const struct npp_ctl_conflict *c = &t->st.conflict[i];

		if (!c->n)
			continue;
		npp_addr_format(&c->addr, addr);
		mac_format(c->mac, mac);
		printf("%s{\"address\": \"%s\", \"mac\": \"%s\", \"count\": %u, \"age_s\": %u}", first ? "" : ", ", addr, mac,
		       c->n, c->age_s);
		first = false;
	}
}

static uint32_t n_ports(const struct target *t)
{
	return t->st.n_ports < NPP_MAX_PORTS ? t->st.n_ports : NPP_MAX_PORTS;
}

static void ports_json(const struct target *t)
{
	for (uint32_t i = 0; i < n_ports(t); i++) {
		const struct npp_ctl_port_state *p = &t->st.port[i];
		char name[17], bridge[17];

		snprintf(name, sizeof name, "%.16s", p->name);
		snprintf(bridge, sizeof bridge, "%.16s", p->bridge);
		printf("%s{\"port\": %u, \"name\": ", i ? ", " : "", i);
		npp_json_string(stdout, name);
		fputs(", \"bridge\": ", stdout);
		npp_json_string(stdout, bridge);
		printf(", \"up\": %s, \"downs\": %u}", p->up ? "true" : "false", p->downs);
	}
}

static void status_json(const struct target *t, int n)
{
	fputs("[", stdout);
	for (int i = 0; i < n; i++, t++) {
		bool first = true;

		printf("%s\n {\"name\": ", i ? "," : "");
		npp_json_string(stdout, t->label);
		printf(", \"role\": \"%s\", \"pid\": %d, \"iops\": %u, \"hugepages\": %u,\n  \"%s\": [",
		       target_is_host(t) ? "host" : "npp", t->st.pid, t->st.n_iops, t->st.huge_pages,
		       target_is_host(t) ? "npps" : "hosts");
		for (unsigned k = 0; k < NPP_MAX_HOSTS; k++) {
			if (!t->st.attached[k][0])
				continue;
			fputs(first ? "" : ", ", stdout);
			npp_json_string(stdout, t->st.attached[k]);
			first = false;
		}
		fputs("],\n  \"ports\": [", stdout);
		ports_json(t);
		fputs("],\n  \"conflicts\": [", stdout);
		conflicts_json(t);
		fputs("],\n  \"children\": [", stdout);
		for (unsigned k = 0; k < t->n_children; k++)
			printf("%s\n   {\"role\": \"%s\", \"index\": %u, \"pid\": %d, \"state\": \"%s\", \"restarts\": %u, "
			       "\"exit_status\": %d}", k ? "," : "", role_name(t->child[k].role), t->child[k].index,
			       t->child[k].pid, state_name(t->child[k].state), t->child[k].restarts,
			       t->child[k].exit_status);
		fputs("]}", stdout);
	}
	fputs("\n]\n", stdout);
}

static void status_text(const struct target *t, int n)
{
	struct table tab;

	table_init(&tab, 6, 1 | 2 | 16 | 32);
	for (const char *const *h = (const char *const[]){ "NAME", "ROLE", "PID", "HUGE", "CHILDREN", "HOSTS/NPPS", NULL }; *h; h++)
		table_cell(&tab, "%s", *h);
	for (int i = 0; i < n; i++, t++) {
		char attached[NPP_MAX_HOSTS * 33];
		unsigned ready = 0;

		for (unsigned k = 0; k < t->n_children; k++)
			ready += t->child[k].state == 2;
		join_attached(t, attached, sizeof attached);
		table_cell(&tab, "%s", t->label);
		table_cell(&tab, "%s", target_is_host(t) ? "host" : "npp");
		table_cell(&tab, "%d", t->st.pid);
		table_cell(&tab, "%u", t->st.huge_pages);
		table_cell(&tab, "%u of %u ready", ready, t->n_children);
		table_cell(&tab, "%.60s", *attached ? attached : "-");
	}
	table_print(&tab, "");
}

/* Children that are down, with what became of them. */
static void status_down(const struct target *t, int n)
{
	for (int i = 0; i < n; i++, t++) {
		for (unsigned k = 0; k < t->n_children; k++) {
			char how[128];

			if (t->child[k].state == 0 || t->child[k].state == 3)
				printf("%s: %s %u %s%s\n", t->label, role_name(t->child[k].role), t->child[k].index,
				       npp_proc_describe_exit(t->child[k].exit_status, how, sizeof how),
				       t->child[k].state == 3 ? " and is given up" : "");
		}
	}
}

/* Addresses of an NPP that somebody else uses, too. */
static void status_conflicts(const struct target *t, int n)
{
	char addr[NPP_ADDR_STRLEN], mac[18];

	for (int i = 0; i < n; i++, t++)
		for (unsigned k = 0; k < NPP_CONFLICTS; k++) {
			const struct npp_ctl_conflict *c = &t->st.conflict[k];

			if (!c->n)
				continue;
			npp_addr_format(&c->addr, addr);
			mac_format(c->mac, mac);
			printf("%s: %s is used by %s, too: seen %u times, last %u s ago\n", t->label, addr, mac, c->n, c->age_s);
		}
}

/* Network ports that have no carrier. */
static void status_ports(const struct target *t, int n)
{
	for (int i = 0; i < n; i++, t++)
		for (uint32_t k = 0; k < n_ports(t); k++)
			if (!t->st.port[k].up)
				printf("%s: port %u (%.16s%s%.16s) has no carrier\n", t->label, k, t->st.port[k].name,
				       t->st.port[k].bridge[0] ? " on " : "", t->st.port[k].bridge);
}

int verb_status(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	struct target *t;
	bool json = false;
	int opt, n;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'j': json = out_json(); break;
		case 'h': return verb_help(argv[0]);
		default: return verb_usage(argv[0], NULL);
		}
	}
	n = targets_open(&t, argv + optind, 0, 0);
	if (n < 0)
		return 1;
	if (json) {
		status_json(t, n);
	} else {
		status_text(t, n);
		status_down(t, n);
		status_ports(t, n);
		status_conflicts(t, n);
	}
	targets_close(t, n);
	return 0;
}

/* Waits for the end of PID, at most MS. */
static int await_end(int pid, int ms)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), n;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	n = poll(&p, 1, ms);
	close(fd);
	return n > 0 ? 0 : -ETIMEDOUT;
}

/* Stops NAME; its label into LABEL. Its pid, or 0, said. */
static int stop_one(const char *name, char *label, size_t cap)
{
	struct npp_err e = { .text = "" };
	struct npp_ctl_msg m;
	struct target t;
	uint8_t buf[64];
	int r = target_open(&t, name, &e), pid;

	if (r < 0) {
		if (target_is_lab(name))
			out_failed("stop: '%s' is a lab: 'npp-lab down %s' takes it down, %s/NAME is one in it", name, name, name);
		else
			out_failed("%s", e.text);
		return 0;
	}
	pid = t.st.pid;
	snprintf(label, cap, "%s", t.label);
	r = npp_ctl_call(t.sock, NPP_CTL_TOOL_STOP, NULL, 0, NULL, 0, &m, buf, sizeof buf, 5000);
	if (r == 0) {
		npp_ctl_close_fds(&m);
		r = await_end(pid, 10000);
	}
	if (r < 0)
		out_failed("%s (pid %d) does not stop: %s", label, pid, strerror(-r));
	target_close(&t);
	return r < 0 ? 0 : pid;
}

int verb_stop(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	char label[160] = "", *list = NULL;
	size_t len = 0;
	bool json = false;
	int opt, pid, bad = 0;
	FILE *f;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'j': json = out_json(); break;
		case 'h': return verb_help(argv[0]);
		default: return verb_usage(argv[0], NULL);
		}
	}
	if (optind == argc)
		return verb_usage(argv[0], "which one?");
	f = open_memstream(&list, &len);	/* if one fails, that is the answer */
	if (!f)
		npp_fatalx("no memory");
	for (int i = optind; i < argc; i++) {
		pid = stop_one(argv[i], label, sizeof label);
		bad |= !pid;
		fputs(i > optind ? ", {\"name\": " : "{\"name\": ", f);
		npp_json_string(f, label);
		fprintf(f, ", \"pid\": %d}", pid);
	}
	fclose(f);
	if (json && !bad)
		printf("{\"ok\": true, \"stopped\": [%s]}\n", list);
	free(list);
	return bad;
}
