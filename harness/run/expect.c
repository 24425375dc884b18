/* SPDX-License-Identifier: GPL-2.0-or-later
 * expect.c - what was expected against what was seen
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "harness/run/run.h"

static const struct run_action *load_of(const struct scenario *s, const char *client)
{
	for (uint32_t i = 0; i < s->n_actions; i++)
		if (s->actions[i].load && strcmp(s->actions[i].load, client) == 0)
			return &s->actions[i];
	return NULL;
}

static const struct run_client *figures_of(const struct run_figures *f, const char *client)
{
	for (unsigned i = 0; i < f->n_clients; i++)
		if (strcmp(f->client[i].name, client) == 0)
			return &f->client[i];
	return NULL;
}

static void check_one(struct run_report *r, const struct run_expect *x, enum run_metric m)
{
	const struct run_client *c = figures_of(&r->f, x->client);
	const struct run_action *a = load_of(r->s, x->client);
	struct run_check *k = &r->check[r->n_checks++];

	*k = (struct run_check){ .x = x, .metric = m, .got = NAN };
	k->from = x->n_during ? (double)x->during[0] / 1e6 : a ? (double)a->at_us / 1e6 : 0;
	k->to = x->n_during ? (double)x->during[1] / 1e6 : 1e9;
	if (c)
		k->got = figures_metric(c, m, k->from, k->to);
	/* No figure at all is never what was expected. */
	if (isnan(k->got) || run_compare(x->want[m], k->got, &k->ok) < 0)
		k->ok = false;
	r->passed = r->passed && k->ok;
}

void expect_check(struct run_report *r)
{
	const struct scenario *s = r->s;

	r->passed = !r->interrupted;
	for (uint32_t i = 0; i < s->n_actions; i++) {
		struct run_action *a = &s->actions[i];
		const struct run_client *c = a->load ? figures_of(&r->f, a->load) : NULL;

		/* load that saw errors is no failure in itself, but one that could not begin is */
		a->failed = !a->done || (!a->ok && !(c && c->n));
		r->passed = r->passed && !a->failed;
	}
	for (uint32_t i = 0; i < s->n_expect; i++)
		for (unsigned m = 0; m < RUN_METRICS; m++)
			if (s->expect[i].want[m] && r->n_checks < sizeof r->check / sizeof *r->check)
				check_one(r, &s->expect[i], m);
}
