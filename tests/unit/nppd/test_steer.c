/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_steer.c - does the kernel's program send each frame where net/hash.c says?
 *
 * The frames are run through the loaded program by BPF_PROG_TEST_RUN.
 */
#include "config.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/wire.h"
#include "nppd/steer.h"
#include "tests/unit/suite.h"

#define FRAMES 400	/* of each kind and program */
#define PROGRAMS 24	/* random ones for each algorithm */

static uint64_t seed = 0x9e3779b97f4a7c15u;
static uint8_t frame[256];

static uint32_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

static void rnd_fill(void *p, size_t n)
{
	for (uint8_t *b = p; n--; b++)
		*b = (uint8_t)rnd();
}

static int steered(const struct steer *s, uint32_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = len, .repeat = 1);

	ck_assert_int_eq(bpf_prog_test_run_opts(s->prog_fd, &o), 0);
	return (int)o.retval;
}

/* ---- frames ------------------------------------------------------------------------------ */

static uint32_t eth(uint16_t type)
{
	struct eth_hdr *h = (struct eth_hdr *)frame;

	rnd_fill(frame, sizeof frame);
	h->type = htons(type);
	h->dst[0] = 2;
	return ETH_HDR_LEN;
}

/* IPv4 with OPTS words of options; the transport header's first bytes are random. */
static uint32_t ip4(struct npp_flow_key *k, uint8_t proto, unsigned opts, uint16_t frag)
{
	struct ip4_hdr *ip = (struct ip4_hdr *)(frame + eth(ETH_P_IPV4));
	const uint8_t *l4 = (const uint8_t *)(ip + 1) + 4 * opts;

	ip->vhl = (uint8_t)(0x45 + opts);
	ip->frag = htons(frag);
	ip->proto = proto;
	*k = (struct npp_flow_key){ .src = npp_addr_v4(ip->src), .dst = npp_addr_v4(ip->dst), .proto = proto };
	memcpy(&k->sport, l4, 2);
	memcpy(&k->dport, l4 + 2, 2);
	return ETH_HDR_LEN + IP4_HDR_MIN + 4 * opts + 20;
}

static uint32_t ip6(struct npp_flow_key *k, uint8_t next)
{
	struct ip6_hdr_w *ip = (struct ip6_hdr_w *)(frame + eth(ETH_P_IP6));

	frame[ETH_HDR_LEN] = 0x60;
	ip->next = next;
	*k = (struct npp_flow_key){ .proto = next };
	memcpy(k->src.b, ip->src, 16);
	memcpy(k->dst.b, ip->dst, 16);
	memcpy(&k->sport, ip + 1, 2);
	memcpy(&k->dport, (uint8_t *)(ip + 1) + 2, 2);
	return ETH_HDR_LEN + sizeof *ip + 20;
}

/* ---- equality ------------------------------------------------------------------------------ */

static void check_ip4(const struct steer *s, const struct npp_hash_prog *p)
{
	for (int i = 0; i < FRAMES; i++) {
		struct npp_flow_key k;
		uint32_t len = ip4(&k, rnd() & 1 ? IPPROTO_TCP : IPPROTO_UDP, rnd() % 4 ? 0 : rnd() % 11, IP4_DF);
		const struct ip4_hdr *ip = (const struct ip4_hdr *)(frame + ETH_HDR_LEN);

		ck_assert_int_eq(steered(s, len), 1 + (int)npp_hash_iop(p, &k));
		len = ip4(&k, (uint8_t)rnd(), rnd() % 11, rnd() & 1 ? IP4_MF : (uint16_t)(1 + rnd() % IP4_OFFMASK));
		ck_assert_int_eq(steered(s, len), 1 + (int)npp_hash_frag_iop(p, &k.src, &k.dst, k.proto, ntohs(ip->id)));
	}
}

static void check_ip6(const struct steer *s, const struct npp_hash_prog *p)
{
	for (int i = 0; i < FRAMES; i++) {
		struct npp_flow_key k;
		uint32_t len = ip6(&k, rnd() & 1 ? IPPROTO_TCP : IPPROTO_UDP), id;
		uint8_t *f = frame + ETH_HDR_LEN + sizeof(struct ip6_hdr_w);

		ck_assert_int_eq(steered(s, len), 1 + (int)npp_hash_iop(p, &k));
		len = ip6(&k, IPPROTO_FRAGMENT);
		f[3] |= 1;
		memcpy(&id, f + 4, 4);
		ck_assert_int_eq(steered(s, len),
				 1 + (int)npp_hash_frag_iop(p, &k.src, &k.dst, IPPROTO_FRAGMENT, ntohl(id)));
	}
}

static void check_prog(const struct npp_hash_prog *p, unsigned n_iops)
{
	struct steer s;
	const char *why = "";

	ck_assert_msg(npp_hash_prog_check(p, n_iops, &why) == 0, "%s", why);
	ck_assert_int_eq(steer_load(&s, p, 0), 0);
	steer_queues(s.tables, p, UINT32_MAX);
	check_ip4(&s, p);
	check_ip6(&s, p);
	steer_close(&s);
}

static void random_mask(struct npp_flow_key *m)
{
	uint8_t *b = (uint8_t *)m;

	memset(m, 0, sizeof *m);
	for (unsigned i = 0; i <= offsetof(struct npp_flow_key, proto); i++)
		b[i] = rnd() % 3 == 0 ? (uint8_t)rnd() : rnd() & 1 ? 0xff : 0;
}

static unsigned random_prog(struct npp_hash_prog *p, unsigned algorithm, bool symmetric)
{
	unsigned n = 1 + rnd() % 32, width = algorithm == NPP_HASH_XOR ? 7 : 32;

	npp_hash_prog_default(p, n);
	p->algorithm = (uint8_t)algorithm;
	p->symmetric = symmetric;
	random_mask(&p->mask);
	if (rnd() & 1)
		random_mask(&p->frag_mask);
	if (symmetric) {
		p->mask.dst = p->mask.src;
		p->mask.dport = p->mask.sport;
		p->frag_mask.dst = p->frag_mask.src;
		p->frag_mask.dport = p->frag_mask.sport;
	}
	rnd_fill(p->toeplitz_key, sizeof p->toeplitz_key);
	p->select_bits = (uint8_t)(1 + rnd() % 7);
	p->select_shift = (uint8_t)(rnd() % (width - p->select_bits + 1u));
	for (unsigned i = 0; i < NPP_INDIR_SIZE; i++)
		p->indir[i] = (uint8_t)(rnd() % n);
	return n;
}

START_TEST(default_program_steers_as_it_hashes)
{
	struct npp_hash_prog p;

	npp_hash_prog_default(&p, 4);
	check_prog(&p, 4);
	p.algorithm = (uint8_t)_i;
	p.mask = p.frag_mask;
	check_prog(&p, 4);
}
END_TEST

START_TEST(random_programs_steer_as_they_hash)
{
	for (int i = 0; i < PROGRAMS; i++) {
		struct npp_hash_prog p;

		check_prog(&p, random_prog(&p, (unsigned)_i, false));
	}
}
END_TEST

START_TEST(symmetric_programs_steer_as_they_hash)
{
	for (int i = 0; i < PROGRAMS; i++) {
		struct npp_hash_prog p;

		check_prog(&p, random_prog(&p, NPP_HASH_TOEPLITZ, true));
	}
}
END_TEST

START_TEST(ends_that_are_equal_are_ordered_by_port)
{
	struct npp_hash_prog p;
	struct steer s;

	npp_hash_prog_default(&p, 5);
	p.algorithm = NPP_HASH_TOEPLITZ;
	p.symmetric = 1;
	p.mask = p.frag_mask;
	ck_assert_int_eq(steer_load(&s, &p, 0), 0);
	steer_queues(s.tables, &p, UINT32_MAX);
	for (int i = 0; i < FRAMES; i++) {
		struct npp_flow_key k;
		uint32_t len = ip4(&k, IPPROTO_TCP, 0, 0);
		struct ip4_hdr *ip = (struct ip4_hdr *)(frame + ETH_HDR_LEN);

		ip->dst = ip->src;
		k.dst = k.src;
		ck_assert_int_eq(steered(&s, len), 1 + (int)npp_hash_iop(&p, &k));
	}
	steer_close(&s);
}
END_TEST

/* ---- what it leaves to the dispatcher ---------------------------------------------------------- */

static void check_left(const struct steer *s)
{
	struct npp_flow_key k;
	uint32_t len;

	ck_assert_int_eq(steered(s, ip4(&k, IPPROTO_ICMP, 0, 0)), 0);
	ck_assert_int_eq(steered(s, ip4(&k, 132, 0, 0)), 0);
	ck_assert_int_eq(steered(s, ip6(&k, IPPROTO_ICMPV6)), 0);
	ck_assert_int_eq(steered(s, ip6(&k, IPPROTO_HOPOPTS)), 0);
	ck_assert_int_eq(steered(s, eth(ETH_P_ARP4) + 28), 0);
	ck_assert_int_eq(steered(s, eth(0x8100) + 60), 0);
	len = ip6(&k, IPPROTO_FRAGMENT); /* atomic: none */
	memset(frame + ETH_HDR_LEN + 40 + 2, 0, 2);
	ck_assert_int_eq(steered(s, len), 0);
	len = ip4(&k, IPPROTO_TCP, 0, 0);
	frame[ETH_HDR_LEN] = 0x44;
	ck_assert_int_eq(steered(s, len), 0);
	frame[ETH_HDR_LEN] = 0x65;
	ck_assert_int_eq(steered(s, len), 0);
	len = ip4(&k, IPPROTO_TCP, 10, 0); /* ends before its ports */
	ck_assert_int_eq(steered(s, len - 18), 0);
	len = ip6(&k, IPPROTO_TCP);
	frame[ETH_HDR_LEN] = 0x40;
	ck_assert_int_eq(steered(s, len), 0);
	len = ip6(&k, IPPROTO_TCP);
	ck_assert_int_eq(steered(s, len - 18), 0);
}

START_TEST(what_is_no_flow_is_left_to_the_dispatcher)
{
	struct npp_hash_prog p;
	struct steer s;

	npp_hash_prog_default(&p, 4);
	ck_assert_int_eq(steer_load(&s, &p, 0), 0);
	steer_queues(s.tables, &p, UINT32_MAX);
	for (int i = 0; i < 50; i++)
		check_left(&s);
	steer_close(&s);
}
END_TEST

START_TEST(fragments_of_an_unequal_mask_are_left_in_the_symmetric_form)
{
	struct npp_hash_prog p;
	struct npp_flow_key k;
	struct steer s;

	npp_hash_prog_default(&p, 4);
	p.algorithm = NPP_HASH_TOEPLITZ;
	p.symmetric = 1;
	p.mask = p.frag_mask;
	p.frag_mask.sport = 0;
	ck_assert_int_eq(steer_load(&s, &p, 0), 0);
	steer_queues(s.tables, &p, UINT32_MAX);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(steered(&s, ip4(&k, IPPROTO_UDP, 0, IP4_MF)), 0);
		ck_assert_int_ne(steered(&s, ip4(&k, IPPROTO_UDP, 0, 0)), 0);
	}
	steer_close(&s);
}
END_TEST

START_TEST(what_belongs_to_an_iop_that_is_down_is_left_to_the_dispatcher)
{
	struct npp_hash_prog p;
	struct steer s;

	npp_hash_prog_default(&p, 4);
	ck_assert_int_eq(steer_load(&s, &p, 0), 0);
	for (uint32_t up = 0; up < 16; up++) {
		steer_queues(s.tables, &p, up);
		for (int i = 0; i < 50; i++) {
			struct npp_flow_key k;
			uint32_t len = ip4(&k, IPPROTO_TCP, 0, 0);
			int iop = (int)npp_hash_iop(&p, &k);

			ck_assert_int_eq(steered(&s, len), up >> iop & 1 ? 1 + iop : 0);
		}
	}
	steer_close(&s);
}
END_TEST

/* ---- those who are no regulars ------------------------------------------------------------------ */

static uint64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* KEY's source has had a connection UNITS ago (1 and up: since about 70 s each); where its frame of LEN goes. */
static int goes_after(const struct steer *s, const struct npp_flow_key *key, uint32_t len, unsigned units)
{
	memset((void *)s->regulars->stamp, 0, sizeof s->regulars->stamp);
	npp_regular_mark(s->regulars, &key->src, monotonic_us() - ((uint64_t)units << NPP_REGULAR_UNIT_SHIFT) / 1000);
	return steered(s, len);
}

START_TEST(who_had_a_connection_lately_is_not_put_aside)
{
	uint64_t units = monotonic_us() * 1000 >> NPP_REGULAR_UNIT_SHIFT;
	struct npp_flow_key k;
	struct steer s;
	uint32_t len;

	ck_assert_int_eq(steer_load_aside(&s, 0), 0);
	for (int i = 0; i < 200; i++) {
		len = i % 2 ? ip6(&k, IPPROTO_TCP) : ip4(&k, i % 4 ? IPPROTO_TCP : IPPROTO_UDP, 0, 0);
		memset((void *)s.regulars->stamp, 0, sizeof s.regulars->stamp);
		ck_assert_int_eq(steered(&s, len), 1);
		ck_assert_int_eq(goes_after(&s, &k, len, 0), 0);
		if (units > NPP_REGULAR_UNITS + 3) { /* else the machine was started just now */
			ck_assert_int_eq(goes_after(&s, &k, len, NPP_REGULAR_UNITS - 1), 0);
			ck_assert_int_eq(goes_after(&s, &k, len, NPP_REGULAR_UNITS + 2), 1);
		}
	}
	steer_close(&s);
}
END_TEST

START_TEST(no_unit_is_the_mark_of_none)
{
	for (uint64_t u = 0; u < 3 * 65536; u++) {
		uint64_t us = ((u << NPP_REGULAR_UNIT_SHIFT) + 999) / 1000;

		ck_assert_uint_ne(npp_regular_unit(us), 0);
		ck_assert_uint_le((uint16_t)((uint16_t)(u + 1) - npp_regular_unit(us)), 1); /* as old as the program takes it for */
	}
}
END_TEST

START_TEST(another_address_is_another_slot_mostly)
{
	unsigned same = 0;
	struct steer s;

	ck_assert_int_eq(steer_load_aside(&s, 0), 0);
	for (int i = 0; i < 1000; i++) {
		union npp_addr a, b;

		rnd_fill(&a, sizeof a);
		b = a;
		b.b[7] ^= (uint8_t)(1 + rnd() % 255);
		same += npp_regular_slot(&s.regulars[0], &a) == npp_regular_slot(&s.regulars[0], &b);
		a = npp_addr_v4(rnd());
		b = npp_addr_v4(a.w[3] ^ (1u << rnd() % 32));
		same += npp_regular_slot(&s.regulars[0], &a) == npp_regular_slot(&s.regulars[0], &b);
	}
	ck_assert_uint_lt(same, 20);
	steer_close(&s);
}
END_TEST

START_TEST(what_a_link_needs_is_never_put_aside)
{
	struct npp_flow_key k;
	struct steer s;

	ck_assert_int_eq(steer_load_aside(&s, 0), 0);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(steered(&s, eth(ETH_P_ARP4) + 28), 0);
		ck_assert_int_eq(steered(&s, eth(0x8100) + 60), 0);
		ck_assert_int_eq(steered(&s, ip4(&k, IPPROTO_IGMP, 0, 0)), 0);
		ck_assert_int_eq(steered(&s, ip6(&k, IPPROTO_ICMPV6)), 0);
		ck_assert_int_eq(steered(&s, ip6(&k, IPPROTO_HOPOPTS)), 0);
		ck_assert_int_eq(steered(&s, ip4(&k, IPPROTO_TCP, 0, 0)), 1);
	}
	steer_close(&s);
}
END_TEST

static bool permitted(void)
{
	struct steer s;
	int r = steer_load_fixed(&s, 0);

	if (r == 0)
		steer_close(&s);
	return r != -EPERM && r != -ENOSYS;
}

int main(void)
{
	Suite *suite = suite_create("nppd/steer");
	TCase *tc = tcase_create("steer");

	if (!permitted()) {
		puts("1..0 # SKIP this machine does not permit eBPF programs");
		return 0;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, default_program_steers_as_it_hashes, 0, NPP_HASH_ALGORITHMS);
	tcase_add_loop_test(tc, random_programs_steer_as_they_hash, 0, NPP_HASH_ALGORITHMS);
	tcase_add_test(tc, symmetric_programs_steer_as_they_hash);
	tcase_add_test(tc, ends_that_are_equal_are_ordered_by_port);
	tcase_add_test(tc, what_is_no_flow_is_left_to_the_dispatcher);
	tcase_add_test(tc, fragments_of_an_unequal_mask_are_left_in_the_symmetric_form);
	tcase_add_test(tc, what_belongs_to_an_iop_that_is_down_is_left_to_the_dispatcher);
	tcase_add_test(tc, who_had_a_connection_lately_is_not_put_aside);
	tcase_add_test(tc, no_unit_is_the_mark_of_none);
	tcase_add_test(tc, another_address_is_another_slot_mostly);
	tcase_add_test(tc, what_a_link_needs_is_never_put_aside);
	suite_add_tcase(suite, tc);
	return npp_suite_run(suite);
}
