/* SPDX-License-Identifier: GPL-2.0-or-later
 * fuzz_tools.c - npp conns, listeners, groups and stat on the regions of processes that have gone mad
 * options: -detect_leaks=0 -max_len=512
 * links with: tests/fuzz/scene.c tests/unit/stack/ip_rig.c npp/conns.c npp/groups.c npp/stat.c npp/out.c npp-ism/stack/inspect.c npp-ism/stack/group_inspect.c npp-ism/stack/udp.c
 * compiled with: -fsanitize-coverage=trace-loads
 *
 * The region of an ISM is a live stack's, with words changed, before or while it is read; so is its page
 * of statistics. What must hold: nothing outside of them is read, and the verbs come to an end.
 *
 * Input: which verb (1 byte), before which load the last change is made (2 bytes, 0: none), 1 byte, then
 * changes of 8 bytes each: where (3 bytes, of 4), how (1 byte), what (4 bytes).
 */
#include "config.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include "npp-ism/socket/layout.h"
#include "npp-ism/stack/udp_priv.h"
#include "npp/npp.h"
#include "shm/stats.h"
#include "tests/fuzz/loads.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/scene.h"

#define CHANGES_MAX 60
#define PAGE 4096u

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

static uint8_t *region, *pristine;	/* layout, the arena, a page of statistics; behind it nothing */
static size_t region_size, arena_size;
static struct npp_global global;
static struct npp_stats_page other;	/* the dispatcher's */
static uint32_t live[1 << 20], n_live;	/* words that are not 0 */
static FILE *null;

/* ---- what verbs need of the others ------------------------------------------------------------ */

int targets_open(struct target **out, char **argv, uint32_t role, uint32_t all_role)
{
	struct target *t = calloc(1, sizeof *t);

	(void)argv, (void)role, (void)all_role;
	MUST(t);
	strcpy(t->name, "acc1");
	strcpy(t->label, "lab/acc1");
	strcpy(t->st.attached[0], "web1");
	t->sock = -1;
	t->st.role = 1;
	t->st.n_iops = 1;
	t->n_children = 2;
	t->child[0] = (struct npp_ctl_child){ .role = NPP_ROLE_DISPATCH, .pid = 2, .state = 2 };
	t->child[1] = (struct npp_ctl_child){ .role = NPP_ROLE_ISM, .pid = 3, .state = 2 };
	t->global = (struct npp_region){ .base = &global, .size = sizeof global, .fd = -1 };
	t->ism[0] = (struct npp_region){ .base = region, .size = region_size - PAGE, .fd = -1 };
	t->stats[0] = (struct npp_region){ .base = &other, .size = sizeof other, .fd = -1 };
	t->stats[1] = (struct npp_region){ .base = region + region_size - PAGE, .size = PAGE, .fd = -1 };
	*out = t;
	return 1;
}

void targets_close(struct target *t, int n) { (void)n; free(t); }
int target_map(struct target *t, struct npp_err *e) { (void)t, (void)e; return 0; }
int target_refresh(struct target *t, struct npp_err *e) { (void)t, (void)e; return 0; }
void target_close(struct target *t) { (void)t; }
int verb_help(const char *argv0) { (void)argv0; return 0; }
int verb_usage(const char *argv0, const char *fmt, ...) { (void)argv0, (void)fmt; return EXIT_USAGE; }

int target_open_path(struct target *t, const char *dir, const char *name, struct npp_err *e)
{
	(void)t, (void)dir, (void)name, (void)e;
	return -1;
}

/* ---- changes -------------------------------------------------------------------------------------- */

static struct { uint32_t where, what; uint8_t how; } last;
static uint32_t loads_left;

static void change(uint8_t *at, unsigned how, uint32_t what)
{
	uint32_t w;

	memcpy(&w, at, sizeof w);
	switch (how % 6) {
	case 0: w = what; break;
	case 1: w ^= 1u << what % 32; break;
	case 2: w += what % 17 - 8; break;
	case 3: w = 0xffffffff; break;
	case 4: w = 0; break;
	default: w = what % 64; break;
	}
	memcpy(at, &w, sizeof w);
}

static uint8_t *word_at(uint32_t where)
{
	const struct stack *s = (const struct stack *)(const void *)(pristine + PAGE);
	size_t at;

	switch (where >> 21 & 7) {
	case 0: at = (where & 0x3f) * 4; break;						/* the layout */
	case 1: at = PAGE + (where & 0xffff) * 4 % sizeof *s; break;
	case 2: at = PAGE + s->tcp_off + (where & 0xffff) * 4 % 4096; break;
	case 3: at = PAGE + s->udp_off + (where & 0xffff) * 4 % 4096; break;
	case 4: at = region_size - PAGE + (where & 0x3ff) * 4; break;
	default: at = live[where % n_live]; break;
	}
	return region + (at & ~(size_t)3);
}

#ifdef NPP_FUZZING
UNSEEN static void loaded(const void *at, unsigned len)
{
	const uint8_t *p = at;

	if (!loads_left || p < region || p >= region + region_size || --loads_left)
		return;
	if (last.how & 64)
		memcpy((void *)(uintptr_t)at, &last.what, len < sizeof last.what ? len : sizeof last.what);
	else
		change(word_at(last.where), last.how, last.what);
}
#endif

/* ---- an input ---------------------------------------------------------------------------------------- */

static void once(void)
{
	struct rig *r = scene_new();
	struct ism_layout *l;
	uint8_t *p;

	arena_size = (r->node[0].s->size + PAGE - 1) / PAGE * PAGE;
	region_size = PAGE + arena_size + PAGE;
	p = mmap(NULL, region_size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pristine = calloc(1, region_size);
	MUST(p != MAP_FAILED && pristine && mprotect(p + PAGE, region_size, PROT_READ | PROT_WRITE) == 0);
	region = p + PAGE;
	l = (struct ism_layout *)(void *)pristine;
	l->magic = ISM_LAYOUT_MAGIC;
	l->stack_off = PAGE;
	l->stack_bytes = r->node[0].s->size;
	memcpy(pristine + PAGE, r->node[0].arena, r->node[0].s->size);
	for (size_t at = 0; at + 4 <= region_size && n_live < sizeof live / sizeof live[0]; at += 4)
		if (memcmp(pristine + at, "\0\0\0\0", 4) != 0)
			live[n_live++] = (uint32_t)at;
	global.n_ports = 1;
	memcpy(global.port[0].ifname, "npp0", 5);
	null = fopen("/dev/null", "w");
	MUST(null);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct { const char *name; int (*fn)(int, char **); bool json; } verb[] = {
		{ "conns", verb_conns, false }, { "conns", verb_conns, true }, { "listeners", verb_listeners, false },
		{ "listeners", verb_listeners, true }, { "groups", verb_groups, false }, { "groups", verb_groups, true },
		{ "stat", verb_stat, false }, { "stat", verb_stat, true },
	};
	FILE *out = stdout;
	char name[16], json[] = "--json", *argv[] = { name, NULL, NULL };
	unsigned v, load;

	if (!region)
		once();
	if (size < 4)
		return 0;
	v = data[0] % (sizeof verb / sizeof *verb);
	load = data[1] | (unsigned)data[2] << 8;
	memcpy(region, pristine, region_size);
	data += 4;
	size -= 4;
	for (unsigned i = 0; i < CHANGES_MAX && size >= 8; i++, data += 8, size -= 8) {
		last.where = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16;
		last.how = data[3];
		memcpy(&last.what, data + 4, 4);
		if (size >= 16 || !load)
			change(word_at(last.where), last.how, last.what);
	}
	strcpy(name, verb[v].name);
	argv[1] = verb[v].json ? json : NULL;
	optind = 0;
	loads_left = load;
	stdout = null;
	verb[v].fn(verb[v].json ? 2 : 1, argv);
	stdout = out;
	loads_left = 0;
	return 0;
}

size_t npp_fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	uint64_t r = (i + 1) * 0x9e3779b97f4a7c15ull;
	size_t n = 4 + 8u * (i / 8);

	if (i >= 48 || n > cap)
		return 0;
	for (size_t k = 0; k < n; k++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		buf[k] = (uint8_t)(r >> 24);
	}
	buf[0] = (uint8_t)i;
	buf[1] = (uint8_t)(i % 3 ? buf[1] : 0);
	buf[2] = 0;
	return n;
}
