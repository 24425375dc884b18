/* SPDX-License-Identifier: GPL-2.0-or-later
 * change.c - what changes in a lab's lab.json: processes that were started, faults that stand
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "harness/lab.h"

/* ---- processes -------------------------------------------------------------------------- */

static struct lab_proc *new_proc(struct lab *l)
{
	uint32_t room = l->n_procs + 4;
	struct lab_proc *more;

	if (l->n_procs >= LAB_MAX_PROCS)
		return NULL;
	if (l->n_procs >= l->max_procs) {	/* lab.json was read: room for those in it */
		more = npp_conf_alloc(l->conf, room, sizeof *more);
		if (!more)
			return NULL;
		if (l->n_procs)
			memcpy(more, l->procs, l->n_procs * sizeof *more);
		l->procs = more;
		l->max_procs = room;
	}
	return &l->procs[l->n_procs++];
}

/* First written down, then let go: whenever we are killed, `down` knows of all that runs. */
int lab_note_proc(struct lab *l, const char *name, const char *step, struct proc_start *s, struct npp_err *e)
{
	struct lab_proc *p = new_proc(l);
	int r = -ENOMEM;

	if (p) {
		p->node = npp_conf_strdup(l->conf, name);
		p->pid = (uint32_t)s->pid;
		p->start = npp_proc_start_time(s->pid);
	}
	if (p && p->node)
		r = lab_save(l, l->state, step, e);
	else
		npp_err_set(e, r, "out of memory");
	if (r < 0) {
		l->n_procs -= p != NULL;
		close(s->go_fd);	/* ends it */
		close(s->ready_fd);
		return r;
	}
	proc_release(s);
	return 0;
}

/* ---- while it is up --------------------------------------------------------------------- */

int lab_change(const struct lab *l, lab_change_fn *fn, void *arg, struct npp_err *e)
{
	struct lab now = { .lock = -1 };
	int r = lab_lock(&now, l->name, true, e);

	if (r < 0)
		return r;
	r = lab_load(&now, l->name, e);
	if (r == 0)
		r = fn(&now, arg, e);
	if (r == 0)
		r = lab_save(&now, now.state, now.step, e);
	lab_free(&now);
	lab_unlock(&now);
	return r;
}

static int change_fault(struct lab *now, void *arg, struct npp_err *e)
{
	const struct lab_fault *f = arg;
	struct lab_fault *all;
	uint32_t n = 0;

	all = npp_conf_alloc(now->conf, now->n_faults + 1, sizeof *all);
	if (!all)
		return npp_err_set(e, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < now->n_faults; i++)
		if (strcmp(now->faults[i].fault, f->fault) != 0)
			all[n++] = now->faults[i];
	if (f->what && n == LAB_MAX_FAULTS)
		return npp_err_set(e, -E2BIG, "lab '%s' has too many faults", now->name);
	if (f->what)
		all[n++] = *f;
	now->faults = all;
	now->n_faults = n;
	return 0;
}

int lab_note_fault(const struct lab *l, const char *fault, const char *what, struct npp_err *e)
{
	struct lab_fault f = { fault, what };

	return lab_change(l, change_fault, &f, e);
}
