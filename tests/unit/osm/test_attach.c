/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_attach.c - NPPs and ISMs come, go, come back, and lie
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"
#include "tests/unit/osm/fake.h"
#include "tests/unit/suite.h"

static const unsigned sizes[] = { 1, 3, 4 };

static uint64_t errors(struct fake *f)
{
	const struct npp_stats_page *p = f->stats.base;

	return atomic_load(&p->counter[NPP_OS_PROTO_ERRORS]);
}

START_TEST(every_ism_gets_records_of_its_own_and_memory)
{
	struct fake *f = fake_new(2);
	uint8_t taken[FAKE_SOCKS] = { 0 };

	for (unsigned a = 0; a < 2; a++) {
		fake_attach(f, a, sizes[_i]);
		for (unsigned i = 0; i < sizes[_i]; i++) {
			struct fake_ism *s = &f->npp[a].ism[i];

			ck_assert_uint_eq(s->log[0].type, NPP_MSG_HOST);
			ck_assert_uint_gt(s->lent_count, 0);
			for (uint32_t k = s->lent_first; k < s->lent_first + s->lent_count; k++) {
				ck_assert_uint_gt(k, f->host->sock_prog_count);
				ck_assert_uint_lt(k, FAKE_SOCKS);
				ck_assert_uint_eq(taken[k]++, 0);
			}
			ck_assert_uint_ge(s->ext_size, 1 << 20);
			ck_assert_uint_ge(s->ext_off, f->host->heap_off);
			ck_assert_uint_le(s->ext_off + s->ext_size, f->host->heap_off + f->host->heap_size);
		}
		ck_assert_uint_eq(atomic_load(&f->host->attach[a].state), 2);
		ck_assert_uint_eq(f->host->attach[a].n_iops, sizes[_i]);
		ck_assert_uint_eq(f->host->attach[a].host_no, 3);
	}
	fake_settle(f);
	fake_free(f);
}
END_TEST

/* It reads nothing, or never says so: contexts that close would all wait for it. */
START_TEST(an_ism_that_does_not_read_cannot_use_up_the_contexts)
{
	struct fake *f = fake_new(1);
	const struct npp_stats_page *p = f->stats.base;
	uint32_t ctx[NPP_MAX_CTX], n = 0;
	struct npp_ctl_ctx c = { 0 };
	int s;

	fake_attach(f, 0, 1);
	s = fake_prog(f, NULL);
	while (n < NPP_MAX_CTX - 1)
		ctx[n++] = fake_ctx_open(f, s);
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_OPEN, &c, sizeof c, &c, sizeof c), -EMFILE);
	f->npp[0].ism[0].live = false;
	for (unsigned i = 0; i < 2; i++) {
		c.ctx = ctx[i];
		ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_CLOSE, &c, sizeof c, NULL, 0), 0);
	}
	fake_step(f, OSM_OVERDUE_US / 2);
	c = (struct npp_ctl_ctx){ 0 };
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_OPEN, &c, sizeof c, &c, sizeof c), -EMFILE);
	fake_step(f, OSM_OVERDUE_US / 2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(fake_ctx_open(f, s), ctx[i]);
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_OPEN, &c, sizeof c, &c, sizeof c), -EMFILE);
	ck_assert_uint_eq(atomic_load(&p->counter[NPP_OS_CTXS_OVERDUE]), 2);
	f->npp[0].ism[0].live = true; /* it was only late, and nothing is lost */
	fake_settle(f);
	for (unsigned i = 0; i < n; i++) {
		c.ctx = ctx[i];
		ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_CLOSE, &c, sizeof c, NULL, 0), 0);
	}
	ck_assert_uint_eq(fake_settle(f).ctxs, 0);
	close(s);
	fake_free(f);
}
END_TEST

START_TEST(program_gets_the_descriptors_of_an_npp)
{
	struct fake *f = fake_new(1);
	struct npp_ctl_iop q = { .attach = 0 };
	struct npp_ctl_msg m;
	int s = fake_prog(f, NULL);

	ck_assert_int_eq(fake_call(f, s, NPP_CTL_GET_ATTACH, &q, sizeof q, NULL, 0), -ENETDOWN);
	fake_attach(f, 0, 3);
	ck_assert_int_eq(fake_call_fds(f, s, NPP_CTL_GET_ATTACH, &q, sizeof q, &m), 0);
	ck_assert_uint_eq(m.hdr.nfds, 7);
	npp_ctl_close_fds(&m);
	q.attach = 1;
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_GET_ATTACH, &q, sizeof q, NULL, 0), -EINVAL);
	close(s);
	fake_free(f);
}
END_TEST

START_TEST(contexts_get_lanes_of_isms_before_and_after)
{
	struct fake *f = fake_new(2);
	uint32_t c;
	int s;

	fake_attach(f, 0, 3);
	s = fake_prog(f, NULL);
	c = fake_ctx_open(f, s);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_ne(f->ctx[c].lane_off64[i], 0);
	ck_assert_uint_eq(f->ctx[c].lane_off64[NPP_MAX_IOPS], 0);
	fake_attach(f, 1, 1);
	ck_assert_uint_ne(f->ctx[c].lane_off64[NPP_MAX_IOPS], 0);
	close(s);
	fake_settle(f);
	fake_free(f);
}
END_TEST

START_TEST(closed_context_is_used_again_only_after_all_isms_know)
{
	struct fake *f = fake_new(1);
	struct npp_ctl_ctx q = { 0 };
	struct npp_ctl_check r;
	uint64_t before;
	int s;

	fake_attach(f, 0, 3);
	s = fake_prog(f, NULL);
	fake_settle(f);
	npp_osm_check(f->osm, &r, NULL);
	before = r.heap_used;
	q.ctx = fake_ctx_open(f, s);
	f->npp[0].ism[1].live = false;
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_CLOSE, &q, sizeof q, NULL, 0), 0);
	for (unsigned i = 0; i < 100; i++)
		fake_step(f, 1000);
	ck_assert_uint_eq(atomic_load(&f->ctx[q.ctx].state), NPP_CTX_CLOSING);
	ck_assert_uint_ne(fake_ctx_open(f, s), q.ctx);
	f->npp[0].ism[1].live = true;
	FAKE_UNTIL(f, atomic_load(&f->ctx[q.ctx].state) == NPP_CTX_FREE);
	ck_assert_uint_eq(fake_logged(&f->npp[0].ism[1], NPP_MSG_CTX_GONE, NULL), 1);
	ck_assert_uint_eq(fake_ctx_open(f, s), q.ctx);
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_CLOSE, &q, sizeof q, NULL, 0), 0);
	q.ctx = 2;
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_CLOSE, &q, sizeof q, NULL, 0), 0);
	q.ctx = 0;
	ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_CLOSE, &q, sizeof q, NULL, 0), -EINVAL);
	r = fake_settle(f);
	ck_assert_uint_eq(r.heap_used, before);
	close(s);
	fake_free(f);
}
END_TEST

START_TEST(memory_for_rings_is_bounded_and_comes_back)
{
	struct fake *f = fake_new(1);
	struct npp_msg m = { .type = NPP_MSG_NEED_EXTENT, .arg = 4 << 20 };
	struct npp_msg back = { .type = NPP_MSG_FREED };
	struct fake_ism *i;
	unsigned n;

	fake_attach(f, 0, 3);
	i = &f->npp[0].ism[0];
	for (n = 0; n < 64 && !i->refusals; n++) {
		unsigned had = i->n_log;

		fake_ism_post(f, i, &m);
		FAKE_UNTIL(f, i->n_log > had);
		if (!i->refusals) {
			back.off = i->ext_off;
			back.arg2 = i->ext_size;
		}
	}
	ck_assert_uint_eq(i->refusals, 1);
	ck_assert_uint_le(n * (4 << 20), f->host->heap_size / 4 * 3 / 3 * 2);
	/* Just below the bound is not enough. */
	fake_ism_post(f, i, &back);
	m.arg = 1 << 20;
	for (n = 0; n < 8 && i->refusals == 1; n++) {
		unsigned had = i->n_log;

		fake_ism_post(f, i, &m);
		FAKE_UNTIL(f, i->n_log > had);
	}
	ck_assert_uint_eq(i->refusals, 2);
	ck_assert_uint_eq(errors(f), 0);
	fake_ism_post(f, i, &back);
	FAKE_UNTIL(f, errors(f) == 1);
	fake_settle(f);
	fake_free(f);
}
END_TEST

START_TEST(iop_that_is_down_is_not_counted_on_until_it_says_hello)
{
	struct fake *f = fake_new(1);
	struct fake_ism *i;

	fake_attach(f, 0, 3);
	i = &f->npp[0].ism[1];
	i->live = false;
	fake_iop_state(f, 0, 1, false);
	FAKE_UNTIL(f, atomic_load(&f->host->attach[0].iop_up) == 5);
	fake_iop_state(f, 0, 1, true);
	fake_iop_state(f, 0, 99, true);
	FAKE_UNTIL(f, errors(f) == 1);
	ck_assert_uint_eq(atomic_load(&f->host->attach[0].iop_up), 5);
	i->live = true;
	i->hello_sent = false;
	i->n_log = 0;
	FAKE_UNTIL(f, atomic_load(&f->host->attach[0].iop_up) == 7);
	FAKE_UNTIL(f, fake_logged(i, NPP_MSG_EXTENT, NULL) == 1);
	ck_assert_uint_eq(fake_logged(i, NPP_MSG_HOST, NULL), 1);
	fake_settle(f);
	fake_free(f);
}
END_TEST

/* A connected socket of the program on ISM I with a subscriber. */
static uint32_t session(struct fake *f, struct fake_ism *i, uint32_t proc, uint32_t ctx, unsigned fd)
{
	uint32_t s = fake_accepted(f, i, 0);

	fake_fd_set(f, proc, fd, s);
	atomic_store(&f->sock[s].sub[0], (ctx + 1) | NPP_SUB_RX);
	return s;
}

static void expect_lost(struct fake *f, uint32_t s, uint32_t ctx)
{
	uint64_t rung = 0;

	ck_assert(atomic_load(&f->sock[s].rx_flags) & NPP_RXF_RESET);
	ck_assert_int_eq(atomic_load(&f->sock[s].err), ENETDOWN);
	ck_assert(atomic_load(&f->sock[s].pend_out) & NPP_OUT_ERR);
	ck_assert_int_eq(read(f->bell[ctx], &rung, sizeof rung), sizeof rung);
}

START_TEST(npp_that_goes_takes_its_sessions_along_and_comes_back)
{
	struct fake *f = fake_new(2);
	uint32_t proc, c, s, other, gen;
	struct fake_ism *i;
	int p;

	fake_attach(f, 0, 3);
	fake_attach(f, 1, 1);
	p = fake_prog(f, &proc);
	c = fake_ctx_open(f, p);
	i = &f->npp[0].ism[1];
	s = session(f, i, proc, c, 10);
	gen = atomic_load(&f->sock[s].gen);
	other = session(f, &f->npp[1].ism[0], proc, c, 11);
	npp_bell_announce(&f->ctx[c].sleeping);
	fake_npp_gone(f, 0);
	expect_lost(f, s, c);
	ck_assert_uint_eq(atomic_load(&f->sock[other].rx_flags), 0);
	ck_assert_uint_eq(atomic_load(&f->host->attach[0].iop_up), 0);
	fake_attach(f, 0, 3);
	ck_assert_uint_eq(atomic_load(&f->host->attach[0].epoch), 2);
	/* Unread data stay until the program closes; then the record is lent again. */
	ck_assert_uint_eq(atomic_load(&f->sock[s].gen), gen);
	atomic_store(fake_fd(f, proc, 10), 0);
	atomic_store(&f->sock[s].refs, 0);
	i = &f->npp[0].ism[1];
	for (unsigned n = 0; n < 4; n++)
		fake_step(f, 1000000);
	ck_assert_uint_eq(atomic_load(&f->sock[s].gen), gen + 1);
	ck_assert_uint_eq(atomic_load(&f->sock[s].owner), 0);
	ck_assert_uint_eq(fake_logged(i, NPP_MSG_HOST, NULL), 2);
	fake_settle(f);
	close(p);
	fake_free(f);
}
END_TEST

START_TEST(connection_that_breaks_alone_costs_no_session)
{
	struct fake *f = fake_new(1);
	uint32_t proc, c, s;
	struct fake_ism *i;
	int p;

	fake_attach(f, 0, 3);
	p = fake_prog(f, &proc);
	c = fake_ctx_open(f, p);
	i = &f->npp[0].ism[1];
	s = session(f, i, proc, c, 10);
	fake_npp_again(f, 0);
	for (unsigned n = 0; n < 30; n++)
		fake_step(f, 100000);
	ck_assert_uint_eq(atomic_load(&f->sock[s].rx_flags), 0);
	ck_assert_uint_eq(atomic_load(&f->host->attach[0].iop_up), 7);
	ck_assert_uint_eq(atomic_load(&f->host->attach[0].epoch), 1);
	fake_settle(f);
	close(p);
	fake_free(f);
}
END_TEST

START_TEST(doorbell_that_was_made_blocking_does_not_block)
{
	struct fake *f = fake_new(1);
	struct npp_ctl_ctx q = { 0 };
	int p = fake_prog(f, NULL);

	fake_attach(f, 0, 1);
	fcntl(f->bell[0], F_SETFL, 0);
	fcntl(f->bell[1], F_SETFL, 0);
	q.ctx = fake_ctx_open(f, p);
	ck_assert_int_eq(fake_call(f, p, NPP_CTL_CTX_CLOSE, &q, sizeof q, NULL, 0), 0);
	fake_settle(f);
	ck_assert_uint_eq(fake_ctx_open(f, p), q.ctx);
	close(p);
	fake_free(f);
}
END_TEST

START_TEST(ism_that_comes_back_empty_loses_its_sessions_only)
{
	struct fake *f = fake_new(1);
	uint32_t proc, c, s, other;
	struct fake_ism *i;
	int p;

	fake_attach(f, 0, 3);
	p = fake_prog(f, &proc);
	c = fake_ctx_open(f, p);
	i = &f->npp[0].ism[1];
	s = session(f, i, proc, c, 10);
	other = session(f, &f->npp[0].ism[2], proc, c, 11);
	npp_bell_announce(&f->ctx[c].sleeping);
	i->fresh = true;
	i->hello_sent = false;
	i->n_log = 0;
	FAKE_UNTIL(f, fake_logged(i, NPP_MSG_EXTENT, NULL) == 1);
	expect_lost(f, s, c);
	ck_assert_uint_eq(atomic_load(&f->sock[other].rx_flags), 0);
	fake_settle(f);
	close(p);
	fake_free(f);
}
END_TEST

/* Everything that an ISM can say, with random and with near-right values. */
START_TEST(hostile_ism_is_counted_and_harms_nobody)
{
	struct fake *f = fake_new(1);
	uint64_t seed = 0x1234567 + (uint64_t)_i;
	uint32_t proc, l;
	struct npp_ctl_bind b;
	struct fake_ism *i;
	int p;

	fake_attach(f, 0, 3);
	p = fake_prog(f, &proc);
	l = fake_sock(f, fake_ctx_open(f, p), NPP_SOCK_STREAM);
	fake_fd_set(f, proc, 3, l);
	b = fake_bind_body(f, l, "0.0.0.0", 80, IPPROTO_TCP);
	ck_assert_int_eq(fake_call(f, p, NPP_CTL_LISTEN, &b, sizeof b, &b, sizeof b), 0);
	i = &f->npp[0].ism[0];
	for (unsigned n = 0; n < 3000; n++) {
		struct npp_msg m;
		uint8_t *raw = (uint8_t *)&m;

		for (unsigned k = 0; k < sizeof m; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			raw[k] = (uint8_t)(seed >> 56);
		}
		if (raw[40] & 3)
			m.type = (uint8_t)(NPP_MSG_HELLO + raw[1] % 9);
		if (raw[41] & 1)
			m.sock = raw[2] & 1 ? l : raw[3] * 5u;
		if (raw[42] & 1)
			m.sock_gen = atomic_load(&f->sock[l].gen);
		if (m.type == NPP_MSG_HELLO && (raw[43] & 1)) {
			m.arg = 0;
			m.arg2 = 20;
		}
		fake_ism_post(f, i, &m);
		if (n % 16 == 0)
			fake_step(f, 1000);
	}
	/* Positions and MFAs that lie. */
	atomic_store(&i->prod.q->post_head, i->prod.post_head + 1000);
	for (unsigned n = 0; n < 10; n++)
		fake_step(f, 1000);
	ck_assert_uint_gt(errors(f), 100);
	b = fake_bind_body(f, l, "0.0.0.0", 80, IPPROTO_TCP);
	atomic_store(fake_fd(f, proc, 3), 0);
	atomic_store(&f->sock[l].refs, 0);
	ck_assert_int_eq(fake_call(f, p, NPP_CTL_CLOSE, &b, sizeof b, NULL, 0), 0);
	fake_settle(f);
	close(p);
	fake_free(f);
}
END_TEST

START_TEST(inbound_lane_that_is_not_read_loses_no_message)
{
	struct fake *f = fake_new(1);
	struct npp_ctl_ctx q = { 0 };
	struct fake_ism *i;
	int s;

	fake_attach(f, 0, 1);
	i = &f->npp[0].ism[0];
	s = fake_prog(f, NULL);
	i->live = false;
	for (unsigned n = 0; n < 200; n++) {
		q.ctx = fake_ctx_open(f, s);
		ck_assert_int_eq(fake_call(f, s, NPP_CTL_CTX_CLOSE, &q, sizeof q, NULL, 0), 0);
	}
	i->live = true;
	FAKE_UNTIL(f, fake_logged(i, NPP_MSG_CTX_GONE, NULL) == 200);
	fake_settle(f);
	close(s);
	fake_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("osm/attach");
	TCase *t = tcase_create("attach");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, every_ism_gets_records_of_its_own_and_memory, 0, 3);
	tcase_add_test(t, an_ism_that_does_not_read_cannot_use_up_the_contexts);
	tcase_add_test(t, program_gets_the_descriptors_of_an_npp);
	tcase_add_test(t, contexts_get_lanes_of_isms_before_and_after);
	tcase_add_test(t, closed_context_is_used_again_only_after_all_isms_know);
	tcase_add_test(t, memory_for_rings_is_bounded_and_comes_back);
	tcase_add_test(t, iop_that_is_down_is_not_counted_on_until_it_says_hello);
	tcase_add_test(t, npp_that_goes_takes_its_sessions_along_and_comes_back);
	tcase_add_test(t, connection_that_breaks_alone_costs_no_session);
	tcase_add_test(t, doorbell_that_was_made_blocking_does_not_block);
	tcase_add_test(t, ism_that_comes_back_empty_loses_its_sessions_only);
	tcase_add_loop_test(t, hostile_ism_is_counted_and_harms_nobody, 0, 3);
	tcase_add_test(t, inbound_lane_that_is_not_read_loses_no_message);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
