/* SPDX-License-Identifier: GPL-2.0-or-later
 * lab.c - a lab's plan and state: lab.json, the lock, the list of labs
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/lab.h"
#include "lib/rundir.h"

/* ---- lab.json ------------------------------------------------------------------------- */

/* Another version of npp-lab may have written the file: what `down` cannot do without is
 * required, the rest is read if it is there, and what is not known is passed over. */
#define STR(type, member) { #member, NPP_CONF_STR, offsetof(type, member), .flags = NPP_CONF_REQUIRED }
#define OPT(type, member) { #member, NPP_CONF_STR, offsetof(type, member), .dflt = "" }
#define OTHERS { .type = NPP_CONF_OTHERS }
#define REQ NPP_CONF_REQUIRED

static const struct npp_conf_field net_fields[] = {
	STR(struct lab_net, name), OPT(struct lab_net, subnet), STR(struct lab_net, ns), OTHERS,
	{ "subnet6", NPP_CONF_STR, offsetof(struct lab_net, subnet6), .flags = 0, .dflt = "" },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema net_schema = { sizeof(struct lab_net), net_fields, NULL };
static const struct npp_conf_field net_item = { .type = NPP_CONF_MAP, .sub = &net_schema, .size = sizeof(struct lab_net) };

static const struct npp_conf_field if_fields[] = {
	OPT(struct lab_if, network), OPT(struct lab_if, address), OPT(struct lab_if, mac), OTHERS,
	{ "address6", NPP_CONF_STR, offsetof(struct lab_if, address6), .flags = 0, .dflt = "" },
	{ "wire", NPP_CONF_STR, offsetof(struct lab_if, wire), .flags = 0 },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema if_schema = { sizeof(struct lab_if), if_fields, NULL };
static const struct npp_conf_field if_item = { .type = NPP_CONF_MAP, .sub = &if_schema, .size = sizeof(struct lab_if) };
static const struct npp_conf_field name_item = { .type = NPP_CONF_STR, .size = sizeof(const char *) };

static const struct npp_conf_field node_fields[] = {
	STR(struct lab_node, name), OPT(struct lab_node, kind), OPT(struct lab_node, stack),
	STR(struct lab_node, ns), OTHERS,
	{ "networks", NPP_CONF_LIST, offsetof(struct lab_node, ifs), .max = TOPO_MAX_IFS,
	  .count_off = offsetof(struct lab_node, n_ifs), .item = &if_item },
	{ "npps", NPP_CONF_LIST, offsetof(struct lab_node, npps), .max = TOPO_MAX_NPPS,
	  .count_off = offsetof(struct lab_node, n_npps), .item = &name_item },
	{ "iops", NPP_CONF_U32, offsetof(struct lab_node, iops), .flags = 0 },
	{ "engine", NPP_CONF_STR, offsetof(struct lab_node, engine), .flags = 0 },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema node_schema = { sizeof(struct lab_node), node_fields, NULL };
static const struct npp_conf_field node_item = { .type = NPP_CONF_MAP, .sub = &node_schema, .size = sizeof(struct lab_node) };

static const struct npp_conf_field proc_fields[] = {
	OPT(struct lab_proc, node), OTHERS,
	{ "pid", NPP_CONF_U32, offsetof(struct lab_proc, pid), .flags = REQ, .min = 2, .max = 1 << 30 },
	{ "start", NPP_CONF_U64, offsetof(struct lab_proc, start), .flags = REQ },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema proc_schema = { sizeof(struct lab_proc), proc_fields, NULL };
static const struct npp_conf_field proc_item = { .type = NPP_CONF_MAP, .sub = &proc_schema, .size = sizeof(struct lab_proc) };

static const struct npp_conf_field fault_fields[] = {
	STR(struct lab_fault, fault), OPT(struct lab_fault, what), OTHERS,
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema fault_schema = { sizeof(struct lab_fault), fault_fields, NULL };
static const struct npp_conf_field fault_item = { .type = NPP_CONF_MAP, .sub = &fault_schema, .size = sizeof(struct lab_fault) };

static const struct npp_conf_field lab_fields[] = {
	{ "version", NPP_CONF_U32, offsetof(struct lab, version), .flags = 0 },
	STR(struct lab, name), OPT(struct lab, file), STR(struct lab, boot_id), OPT(struct lab, state),
	OPT(struct lab, step), OTHERS,
	{ "owner_pid", NPP_CONF_U32, offsetof(struct lab, owner_pid), .flags = 0 },
	{ "owner_start", NPP_CONF_U64, offsetof(struct lab, owner_start), .flags = 0 },
	{ "keeper_pid", NPP_CONF_U32, offsetof(struct lab, keeper_pid), .flags = 0 },
	{ "keeper_start", NPP_CONF_U64, offsetof(struct lab, keeper_start), .flags = 0 },
	{ "maker", NPP_CONF_STR, offsetof(struct lab, maker), .flags = 0, .dflt = "" },
	{ "networks", NPP_CONF_LIST, offsetof(struct lab, nets), .flags = REQ, .max = TOPO_MAX_NETS,
	  .count_off = offsetof(struct lab, n_nets), .item = &net_item },
	{ "nodes", NPP_CONF_LIST, offsetof(struct lab, nodes), .flags = REQ, .max = TOPO_MAX_NODES,
	  .count_off = offsetof(struct lab, n_nodes), .item = &node_item },
	{ "processes", NPP_CONF_LIST, offsetof(struct lab, procs), .flags = REQ, .max = LAB_MAX_PROCS,
	  .count_off = offsetof(struct lab, n_procs), .item = &proc_item },
	{ "faults", NPP_CONF_LIST, offsetof(struct lab, faults), .flags = 0, .max = LAB_MAX_FAULTS,
	  .count_off = offsetof(struct lab, n_faults), .item = &fault_item },
	{ .type = NPP_CONF_END }
};
static const struct npp_conf_schema lab_schema = { sizeof(struct lab), lab_fields, NULL };

static void put(FILE *f, const char *before, const char *key, const char *value)
{
	fprintf(f, "%s\"%s\": ", before, key);
	json_string(f, value);
}

static void write_node(FILE *f, const struct lab_node *n)
{
	uint32_t j;

	put(f, "  {", "name", n->name);
	put(f, ", ", "kind", n->kind);
	put(f, ", ", "stack", n->stack);
	put(f, ", ", "ns", n->ns);
	put(f, ", ", "engine", n->engine ? n->engine : "");
	fprintf(f, ", \"iops\": %u,\n   \"networks\": [", n->iops);
	for (j = 0; j < n->n_ifs; j++) {
		put(f, j ? ", {" : "{", "network", n->ifs[j].network);
		put(f, ", ", "address", n->ifs[j].address);
		put(f, ", ", "address6", n->ifs[j].address6);
		put(f, ", ", "mac", n->ifs[j].mac);
		if (n->ifs[j].wire)
			put(f, ", ", "wire", n->ifs[j].wire);
		fputc('}', f);
	}
	fputs("], \"npps\": [", f);
	for (j = 0; j < n->n_npps; j++) {
		fputs(j ? ", " : "", f);
		json_string(f, n->npps[j]);
	}
	fputs("]}", f);
}

static void write_state(FILE *f, const struct lab *l)
{
	uint32_t i;

	fprintf(f, "{\"version\": %d,\n", LAB_STATE_VERSION);
	put(f, " ", "name", l->name);
	put(f, ", ", "file", l->file);
	put(f, ", ", "maker", l->maker);
	put(f, ",\n ", "boot_id", l->boot_id);
	put(f, ",\n ", "state", l->state);
	put(f, ", ", "step", l->step);
	fprintf(f, ", \"owner_pid\": %u, \"owner_start\": %llu,\n \"keeper_pid\": %u, \"keeper_start\": %llu,\n"
		" \"networks\": [\n", l->owner_pid, (unsigned long long)l->owner_start, l->keeper_pid,
		(unsigned long long)l->keeper_start);
	for (i = 0; i < l->n_nets; i++) {
		put(f, i ? ",\n  {" : "  {", "name", l->nets[i].name);
		put(f, ", ", "subnet", l->nets[i].subnet);
		put(f, ", ", "subnet6", l->nets[i].subnet6);
		put(f, ", ", "ns", l->nets[i].ns);
		fputc('}', f);
	}
	fputs("],\n \"nodes\": [\n", f);
	for (i = 0; i < l->n_nodes; i++) {
		fputs(i ? ",\n" : "", f);
		write_node(f, &l->nodes[i]);
	}
	fputs("],\n \"processes\": [\n", f);
	for (i = 0; i < l->n_procs; i++) {
		put(f, i ? ",\n  {" : "  {", "node", l->procs[i].node);
		fprintf(f, ", \"pid\": %u, \"start\": %llu}", l->procs[i].pid,
			(unsigned long long)l->procs[i].start);
	}
	fputs("],\n \"faults\": [", f);
	for (i = 0; i < l->n_faults; i++) {
		put(f, i ? ",\n  {" : "\n  {", "fault", l->faults[i].fault);
		put(f, ", ", "what", l->faults[i].what);
		fputc('}', f);
	}
	fputs("]}\n", f);
}

int lab_save(struct lab *l, const char *state, const char *step, struct npp_err *e)
{
	char path[LAB_PATH_CAP], tmp[LAB_PATH_CAP];
	FILE *f;
	int bad;

	l->state = state;
	l->step = step;
	snprintf(path, sizeof path, "%s/" LAB_STATE_FILE, l->dir);
	snprintf(tmp, sizeof tmp, "%s/" LAB_STATE_FILE ".new", l->dir);
	f = fopen(tmp, "we");
	if (!f)
		return npp_err_set(e, -errno, "cannot make %s: %s", tmp, strerror(errno));
	write_state(f, l);
	bad = ferror(f);
	if (fclose(f) != 0 || bad || rename(tmp, path) < 0)
		return npp_err_set(e, -EIO, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

int lab_load(struct lab *l, const char *name, struct npp_err *e)
{
	char path[LAB_PATH_CAP], dir[LAB_DIR_CAP];
	int lock = l->lock, r;
	struct npp_conf *c = NULL;

	snprintf(dir, sizeof dir, "%s/%s", lab_rundir(), name);
	snprintf(path, sizeof path, "%s/" LAB_STATE_FILE, dir);
	if (access(path, F_OK) < 0)
		return npp_err_set(e, -ENOENT, "there is no lab '%s'", name);
	r = npp_conf_load(&c, path);
	if (r == 0)
		r = npp_conf_bind(c, npp_conf_root(c), &lab_schema, l);
	snprintf(l->dir, sizeof l->dir, "%s", dir);	/* binding has zeroed it all */
	l->lock = lock;
	if (r < 0) {
		npp_err_set(e, r, "%s", c && npp_conf_error_count(c) ? npp_conf_error_text(c, 0) : strerror(-r));
		npp_conf_free(c);
		return r;
	}
	l->conf = c;
	l->own_conf = true;
	return 0;
}

void lab_free(struct lab *l)
{
	if (l->own_conf)
		npp_conf_free(l->conf);
	l->own_conf = false;
	l->conf = NULL;
}

/* ---- lock ------------------------------------------------------------------------------- */

const char *lab_rundir(void)
{
	return npp_rundir();
}

/* A directory may go away and come again while we wait for its lock. */
static int lock_dir(const char *dir, bool wait)
{
	struct stat a, b;
	int fd, r;

	for (;;) {
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		do
			r = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
		while (r < 0 && errno == EINTR);
		if (r < 0) {
			r = -errno;
			close(fd);
			return r;
		}
		if (fstat(fd, &a) == 0 && stat(dir, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
			return fd;
		close(fd);
	}
}

int lab_lock(struct lab *l, const char *name, bool wait, struct npp_err *e)
{
	int fd;

	memset(l, 0, sizeof *l);
	l->lock = -1;
	snprintf(l->dir, sizeof l->dir, "%s/%s", lab_rundir(), name);
	fd = lock_dir(l->dir, wait);
	if (fd == -EWOULDBLOCK)
		return npp_err_set(e, fd, "another npp-lab is at work on lab '%s'", name);
	if (fd < 0)
		return npp_err_set(e, fd, fd == -ENOENT ? "there is no lab '%s'" : "cannot lock lab '%s'", name);
	l->lock = fd;
	return 0;
}

void lab_unlock(struct lab *l)
{
	if (l->lock >= 0)
		close(l->lock);
	l->lock = -1;
}

/* ---- the labs there are, and whose ------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Directories of RUNDIR with a lab.json. */
char **lab_list(void)
{
	char **names = calloc(1, sizeof *names), **more, path[LAB_PATH_CAP];
	struct dirent *d;
	size_t n = 0;
	DIR *dp;

	dp = opendir(lab_rundir());
	while (names && dp && (d = readdir(dp))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%.40s/" LAB_STATE_FILE, lab_rundir(), d->d_name);
		if (strlen(d->d_name) > TOPO_LAB_LEN || access(path, F_OK) < 0)
			continue;
		more = realloc(names, (n + 2) * sizeof *names);
		if (!more)
			break;
		names = more;
		names[n] = strdup(d->d_name);
		if (!names[n])
			break;
		names[++n] = NULL;
	}
	if (dp)
		closedir(dp);
	if (names)
		qsort(names, n, sizeof *names, by_name);
	return names;
}

void lab_list_free(char **names)
{
	size_t i;

	for (i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}

const char *lab_maker(char *text, size_t cap)
{
	const char *sudo = getenv("SUDO_UID");
	pid_t sid = getsid(0);

	/* sudo may give each command a session of its own. */
	if (sudo && *sudo)
		snprintf(text, cap, "user %.20s", sudo);
	else
		snprintf(text, cap, "session %d of %" PRIu64, (int)sid, npp_proc_start_time(sid));
	return text;
}

/* ---- plan ------------------------------------------------------------------------------- */

static const char *keep(struct lab *l, const char *fmt, ...) NPP_PRINTF(2, 3);
static const char *keep(struct lab *l, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	const char *s;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	s = npp_conf_strdup(l->conf, text);
	if (!s)
		npp_fatalx("out of memory");
	return s;
}

static void *keep_array(struct lab *l, size_t n, size_t size)
{
	void *p = npp_conf_alloc(l->conf, n ? n : 1, size);

	if (!p)
		npp_fatalx("out of memory");
	return p;
}

static const char *boot_id(struct lab *l)
{
	char text[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (f) {
		if (!fgets(text, sizeof text, f))
			text[0] = '\0';
		fclose(f);
	}
	text[strcspn(text, "\n")] = '\0';
	return keep(l, "%s", text[0] ? text : "unknown");
}

bool lab_other_boot(const struct lab *l)
{
	char text[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f)
		return false;
	if (!fgets(text, sizeof text, f))
		text[0] = '\0';
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return text[0] && strcmp(text, l->boot_id) != 0;
}

bool lab_orphaned(const struct lab *l)
{
	return l->keeper_pid && npp_proc_start_time((pid_t)l->keeper_pid) != l->keeper_start;
}

static bool is_nppd(const struct lab *l, const struct lab_proc *p)
{
	for (uint32_t i = 0; i < l->n_nodes; i++)
		if (strcmp(l->nodes[i].name, p->node) == 0)
			return strcmp(l->nodes[i].stack, "npp") == 0;
	return false;
}

/* What ends when its fault is over is not missed then. */
static bool is_of_fault(const struct lab_proc *p)
{
	return strncmp(p->node, "fault.", 6) == 0;
}

bool lab_deserted(const struct lab *l)
{
	bool alive[2] = { false, false }, had[2] = { false, false };

	for (uint32_t i = 0; i < l->n_procs; i++) {
		bool nppd = is_nppd(l, &l->procs[i]);

		if (is_of_fault(&l->procs[i]))
			continue;
		had[nppd] = true;
		alive[nppd] |= proc_alive(&l->procs[i]);
	}
	return had[true] ? !alive[true] : had[false] && !alive[false];
}

const struct lab_proc *lab_dead_proc(const struct lab *l, uint32_t *i)
{
	for (; *i < l->n_procs; (*i)++)
		if (!is_of_fault(&l->procs[*i]) && !proc_alive(&l->procs[*i]))
			return &l->procs[(*i)++];
	return NULL;
}

/* A test says for whom it makes its labs, so that they are known to be dead if it is killed. */
static void plan_keeper(struct lab *l)
{
	const char *text = getenv("NPP_LAB_KEEPER");
	uint64_t pid;

	if (!text || npp_conf_parse_u64(text, &pid) < 0 || pid < 2 || pid > 1 << 30)
		return;
	l->keeper_start = npp_proc_start_time((pid_t)pid);
	l->keeper_pid = l->keeper_start ? (uint32_t)pid : 0;
}

/* "": A is none. */
static const char *keep_prefix6(struct lab *l, const union npp_addr *a, const struct topo_net *net)
{
	char text[NPP_ADDR_STRLEN];

	return npp_addr_is_any(a) ? "" : keep(l, "%s/%u", npp_addr_format(a, text), net->subnet6.len);
}

static void plan_node(struct lab *l, const struct topo *t, const struct topo_node *n, struct lab_node *out)
{
	char text[NPP_ADDR_STRLEN];
	uint32_t j;

	out->name = n->name;
	out->kind = topo_kind_name(n->kind);
	out->stack = n->kind == TOPO_NPP || n->stack == TOPO_STACK_NPP ? "npp" : "kernel";
	out->ns = keep(l, "%s-%s", t->lab, n->name);
	out->iops = n->kind == TOPO_NPP ? n->iops : 0;
	out->engine = n->kind == TOPO_NPP ? topo_engine_name(n->engine) : "";
	out->n_ifs = n->n_ifs;
	out->ifs = keep_array(l, n->n_ifs, sizeof *out->ifs);
	for (j = 0; j < n->n_ifs; j++) {
		const struct topo_if *f = &n->ifs[j];

		out->ifs[j].network = t->nets[f->net].name;
		out->ifs[j].wire = n->wire ? n->wire : f->wire;
		out->ifs[j].address = f->addr ? keep(l, "%s/%u", topo_addr_text(f->addr, text), topo_plen(&t->nets[f->net])) : "";
		out->ifs[j].address6 = keep_prefix6(l, &f->addr6, &t->nets[f->net]);
		out->ifs[j].mac = keep(l, "%02x:%02x:%02x:%02x:%02x:%02x", f->mac[0], f->mac[1], f->mac[2],
				       f->mac[3], f->mac[4], f->mac[5]);
	}
	out->n_npps = n->n_npps;
	out->npps = keep_array(l, n->n_npps, sizeof *out->npps);
	for (j = 0; j < n->n_npps; j++)
		out->npps[j] = t->nodes[n->npps[j]].name;
}

static void plan(struct lab *l, const struct topo *t, const char *file)
{
	char text[NPP_ADDR_STRLEN], who[LAB_MAKER_CAP];
	uint32_t i, j, n_procs = t->n_nodes;	/* an nppd, npp-wire or bird each */

	l->version = LAB_STATE_VERSION;
	l->conf = t->conf;
	l->name = t->lab;
	l->file = keep(l, "%s", file);
	l->boot_id = boot_id(l);
	l->owner_pid = (uint32_t)getpid();
	l->owner_start = npp_proc_start_time(getpid());
	plan_keeper(l);
	l->maker = keep(l, "%s", lab_maker(who, sizeof who));
	l->n_nets = t->n_nets;
	l->nets = keep_array(l, t->n_nets, sizeof *l->nets);
	for (i = 0; i < t->n_nets; i++) {
		l->nets[i].name = t->nets[i].name;
		l->nets[i].ns = keep(l, "%s-net-%s", t->lab, t->nets[i].name);
		l->nets[i].subnet = !topo_has_ip4(&t->nets[i]) ? "" :
			keep(l, "%s/%u", topo_addr_text(t->nets[i].base, text), topo_plen(&t->nets[i]));
		l->nets[i].subnet6 = keep_prefix6(l, &t->nets[i].subnet6.addr, &t->nets[i]);
	}
	l->n_nodes = t->n_nodes;
	l->nodes = keep_array(l, t->n_nodes, sizeof *l->nodes);
	for (i = 0; i < t->n_nodes; i++)
		plan_node(l, t, &t->nodes[i], &l->nodes[i]);
	for (i = 0; i < t->n_nodes; i++)
		for (j = 0; j < t->nodes[i].n_ifs; j++)	/* and wires of links */
			n_procs += t->nodes[i].ifs[j].wire != NULL;
	l->procs = keep_array(l, n_procs, sizeof *l->procs);
	l->max_procs = n_procs;
}

/* Does lab L use namespace NS? */
static bool lab_has_ns(const struct lab *l, const char *ns)
{
	uint32_t i;

	for (i = 0; i < l->n_nets; i++)
		if (strcmp(l->nets[i].ns, ns) == 0)
			return true;
	for (i = 0; i < l->n_nodes; i++)
		if (strcmp(l->nodes[i].ns, ns) == 0)
			return true;
	return false;
}

static int check_ns_free(const struct lab *l, const char *ns, const struct lab *others, unsigned n_others,
			 struct npp_err *e)
{
	unsigned i;

	for (i = 0; i < n_others; i++)
		if (strcmp(others[i].name, l->name) != 0 && lab_has_ns(&others[i], ns))
			return npp_err_set(e, -EEXIST, "namespace %s belongs to lab '%s': choose another --name",
					   ns, others[i].name);
	if (ns_exists(ns) || ns_etc_exists(ns))
		return npp_err_set(e, -EEXIST, "namespace %s (" NS_DIR "/%s, " NS_ETC_DIR "/%s) is there already "
				   "and belongs to no lab", ns, ns, ns);
	return 0;
}

/* Under the lock of the run directory: nobody else plans now, so what is free stays free
 * until our plan is written. */
static int check_plan(struct lab *l, struct npp_err *e)
{
	char **names = lab_list();
	struct lab *others;
	unsigned n = 0, i;
	int r = 0;

	for (i = 0; names && names[i]; i++)
		;
	others = calloc(i + 1, sizeof *others);
	if (!names || !others)
		r = npp_err_set(e, -ENOMEM, "out of memory");
	for (i = 0; r == 0 && names[i]; i++)
		if (lab_load(&others[n], names[i], NULL) == 0)
			n++;
	for (i = 0; r == 0 && i < l->n_nets; i++)
		r = check_ns_free(l, l->nets[i].ns, others, n, e);
	for (i = 0; r == 0 && i < l->n_nodes; i++)
		r = check_ns_free(l, l->nodes[i].ns, others, n, e);
	for (i = 0; i < n; i++)
		lab_free(&others[i]);
	free(others);
	lab_list_free(names);
	return r;
}

static int take_dir(struct lab *l, struct npp_err *e)
{
	char path[LAB_PATH_CAP];

	if (mkdir(l->dir, 0755) < 0 && errno != EEXIST)
		return npp_err_set(e, -errno, "cannot make %s: %s", l->dir, strerror(errno));
	l->lock = lock_dir(l->dir, false);
	if (l->lock < 0)
		return npp_err_set(e, l->lock, l->lock == -EWOULDBLOCK ? "another npp-lab is at work on lab '%s'" :
				   "cannot lock lab '%s'", l->name);
	snprintf(path, sizeof path, "%s/" LAB_STATE_FILE, l->dir);
	if (access(path, F_OK) == 0) {
		lab_unlock(l);
		return npp_err_set(e, -EEXIST, "lab '%s' is up already, or is left half made: "
				   "'npp-lab down %s' removes it", l->name, l->name);
	}
	return 0;
}

void lab_plan(struct lab *l, const struct topo *t, const char *file)
{
	memset(l, 0, sizeof *l);
	l->lock = -1;
	plan(l, t, file);
}

int lab_create(struct lab *l, const struct topo *t, const char *file, struct npp_err *e)
{
	int global, r;

	lab_plan(l, t, file);
	snprintf(l->dir, sizeof l->dir, "%s/%s", lab_rundir(), l->name);
	do {	/* the last lab to go takes the run directory with it */
		if (mkdir(lab_rundir(), 0755) < 0 && errno != EEXIST)
			return npp_err_set(e, -errno, "cannot make %s: %s", lab_rundir(), strerror(errno));
		global = lock_dir(lab_rundir(), true);
	} while (global == -ENOENT);
	if (global < 0)
		return npp_err_set(e, global, "cannot lock %s: %s", lab_rundir(), strerror(-global));
	r = take_dir(l, e);
	if (r == 0) {
		r = check_plan(l, e);
		if (r == 0)
			r = lab_save(l, "starting", "plan", e);
		if (r < 0) {
			rmdir(l->dir);
			lab_unlock(l);
		}
	}
	close(global);
	return r;
}
