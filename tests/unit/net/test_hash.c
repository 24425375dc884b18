/* SPDX-License-Identifier: GPL-2.0-or-later
 * test_hash.c - dispatch programs, and the published vectors of what they are made of
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>

#include "net/hash.h"
#include "net/priv.h"
#include "tests/unit/suite.h"

static union npp_addr addr(const char *s)
{
	union npp_addr a;

	ck_assert_int_eq(npp_addr_parse(s, &a), 0);
	return a;
}

static struct npp_flow_key flow(const char *src, unsigned sport, const char *dst, unsigned dport)
{
	struct npp_flow_key k = { .src = addr(src), .dst = addr(dst), .proto = 6 };

	k.sport = htons((uint16_t)sport);
	k.dport = htons((uint16_t)dport);
	return k;
}

START_TEST(siphash_published_vectors)
{
	static const struct { size_t len; uint64_t want; } v[] = {
		{ 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd }, { 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 }, { 15, 0xa129ca6149be45e5 },
	};
	uint64_t key[2];
	uint8_t in[16];

	for (uint8_t i = 0; i < 16; i++)
		((uint8_t *)key)[i] = in[i] = i;
	for (unsigned i = 0; i < sizeof v / sizeof *v; i++)
		ck_assert(npp_siphash(key, in, v[i].len) == v[i].want);
}
END_TEST

START_TEST(crc32c_vectors_of_rfc3720)
{
	uint8_t b[32];

	memset(b, 0, 32);
	ck_assert_uint_eq(npp_crc32c(b, 32), 0x8a9136aa);
	memset(b, 0xff, 32);
	ck_assert_uint_eq(npp_crc32c(b, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	ck_assert_uint_eq(npp_crc32c(b, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)(31 - i);
	ck_assert_uint_eq(npp_crc32c(b, 32), 0x113fdb5c);
	ck_assert_uint_eq(npp_crc32c("123456789", 9), 0xe3069283);
}
END_TEST

START_TEST(crc32c_by_table_and_by_instruction_agree)
{
	uint8_t b[77];

	for (unsigned i = 0; i < sizeof b; i++)
		b[i] = (uint8_t)(i * 37 + 11);
	for (size_t n = 0; n <= sizeof b; n++) {
		ck_assert_uint_eq(~npp_crc32c_table(~0u, b, n), npp_crc32c(b, n));
		if (npp_cpu_has_crc32())
			ck_assert_uint_eq(npp_crc32c_table(5, b, n), npp_crc32c_hw(5, b, n));
	}
}
END_TEST

static const struct {
	const char *dst;
	unsigned dport;
	const char *src;
	unsigned sport;
	uint32_t with_ports, without;
} rss[] = { /* from the RSS specification */
	{ "161.142.100.80", 1766, "66.9.149.187", 2794, 0x51ccc178, 0x323e8fc2 },
	{ "65.69.140.83", 4739, "199.92.111.2", 14230, 0xc626b0ea, 0xd718262a },
	{ "12.22.207.184", 38024, "24.19.198.95", 12898, 0x5c2b394a, 0xd2d0a5de },
	{ "209.142.163.6", 2217, "38.27.205.30", 48228, 0xafc7327f, 0x82989176 },
	{ "202.188.127.2", 1303, "153.39.163.191", 44251, 0x10e828a2, 0x5d1809c5 },
	{ "3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x40207d3d, 0x2cc18cd5 },
	{ "ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0xdde51bbf, 0x0f0c461c },
	{ "fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x02d1feef,
	  0x4b61e985 },
};

static struct npp_hash_prog toeplitz_prog(void)
{
	struct npp_hash_prog p;

	npp_hash_prog_default(&p, 4);
	p.algorithm = NPP_HASH_TOEPLITZ;
	memset(&p.mask.dst, 0xff, sizeof p.mask.dst);
	return p;
}

START_TEST(toeplitz_vectors_of_the_rss_specification)
{
	struct npp_hash_prog p = toeplitz_prog();

	for (unsigned i = 0; i < sizeof rss / sizeof *rss; i++) {
		struct npp_flow_key k = flow(rss[i].src, rss[i].sport, rss[i].dst, rss[i].dport);

		p.mask.sport = p.mask.dport = 0xffff;
		ck_assert_uint_eq(npp_hash_flow(&p, &k), rss[i].with_ports);
		p.mask.sport = p.mask.dport = 0;
		ck_assert_uint_eq(npp_hash_flow(&p, &k), rss[i].without);
	}
}
END_TEST

START_TEST(symmetric_toeplitz_is_the_same_both_ways)
{
	struct npp_hash_prog p = toeplitz_prog();
	unsigned differ = 0;

	for (unsigned i = 0; i < sizeof rss / sizeof *rss; i++) {
		struct npp_flow_key k = flow(rss[i].src, rss[i].sport, rss[i].dst, rss[i].dport);
		struct npp_flow_key r = flow(rss[i].dst, rss[i].dport, rss[i].src, rss[i].sport);

		p.symmetric = 1;
		ck_assert_uint_eq(npp_hash_flow(&p, &k), npp_hash_flow(&p, &r));
		p.symmetric = 0;
		differ += npp_hash_flow(&p, &k) != npp_hash_flow(&p, &r);
	}
	ck_assert_uint_gt(differ, 0);
	p.symmetric = 1; /* equal addresses: the ports decide */
	ck_assert_uint_eq(npp_hash_flow(&p, &(struct npp_flow_key){ .sport = htons(1), .dport = htons(256) }),
			  npp_hash_flow(&p, &(struct npp_flow_key){ .sport = htons(256), .dport = htons(1) }));
}
END_TEST

START_TEST(masked_bits_do_not_matter)
{
	for (unsigned alg = 0; alg < NPP_HASH_ALGORITHMS; alg++) {
		struct npp_flow_key a = flow("10.0.0.1", 1000, "10.0.0.2", 80);
		struct npp_flow_key b = flow("10.0.0.1", 1000, "10.9.9.9", 80);
		struct npp_flow_key c = flow("10.0.0.1", 1002, "10.0.0.2", 80);
		struct npp_hash_prog p;

		npp_hash_prog_default(&p, 4);
		p.algorithm = (uint8_t)alg;
		b.proto = 17;
		ck_assert_uint_eq(npp_hash_flow(&p, &a), npp_hash_flow(&p, &b));
		ck_assert_uint_ne(npp_hash_flow(&p, &a), npp_hash_flow(&p, &c));
	}
}
END_TEST

/* What a Linux client does: even source ports only, one after the other. */
static void spread(unsigned alg, unsigned n, unsigned ports, double bound)
{
	unsigned hit[32] = { 0 };
	struct npp_hash_prog p;

	npp_hash_prog_default(&p, n);
	p.algorithm = (uint8_t)alg;
	ck_assert_int_eq(npp_hash_prog_check(&p, n, NULL), 0);
	for (unsigned i = 0; i < ports; i++) {
		struct npp_flow_key k = flow("10.0.0.7", 32768 + 2 * i, "10.0.0.1", 80);
		unsigned iop = npp_hash_iop(&p, &k);

		ck_assert_uint_lt(iop, n);
		hit[iop]++;
	}
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(hit[i] > ports / (bound * n) && hit[i] < bound * ports / n,
			      "algorithm %u, %u IOPs: IOP %u got %u of %u", alg, n, i, hit[i], ports);
}

START_TEST(even_source_ports_spread_over_any_number_of_iops)
{
	for (unsigned n = 1; n <= 32; n++) {
		spread(NPP_HASH_XOR, n, 128, 1.35); /* 128 entries over n: at worst 4 and 5 */
		spread(NPP_HASH_XOR, n, 14000, 1.35);
		spread(NPP_HASH_TOEPLITZ, n, 14000, 1.5);
		spread(NPP_HASH_CRC32C, n, 14000, 1.5);
	}
}
END_TEST

START_TEST(clients_of_one_port_spread_by_address)
{
	for (unsigned n = 1; n <= 32; n++) {
		unsigned hit[32] = { 0 };
		struct npp_hash_prog p;

		npp_hash_prog_default(&p, n);
		for (unsigned i = 0; i < 12800; i++) {
			struct npp_flow_key k = flow("0.0.0.0", 40000, "10.0.0.1", 80);

			k.src = npp_addr_v4(htonl(0x0a000001 + i));
			hit[npp_hash_iop(&p, &k)]++;
		}
		for (unsigned i = 0; i < n; i++)
			ck_assert(hit[i] > 12800 / (1.4 * n) && hit[i] < 1.4 * 12800 / n);
	}
}
END_TEST

START_TEST(fragments_spread_by_identification_and_keep_together)
{
	union npp_addr a = addr("10.0.0.7"), b = addr("10.0.0.1"), a6 = addr("fe80::7"), b6 = addr("fe80::1");

	for (unsigned n = 1; n <= 32; n++) {
		unsigned hit[32] = { 0 }, hit6[32] = { 0 };
		struct npp_hash_prog p;

		npp_hash_prog_default(&p, n);
		for (unsigned id = 0; id < 6400; id++) {
			hit[npp_hash_frag_iop(&p, &a, &b, 17, id)]++;
			hit6[npp_hash_frag_iop(&p, &a6, &b6, 17, id)]++;
			ck_assert_uint_eq(npp_hash_frag_iop(&p, &a, &b, 17, id),
					  npp_hash_frag_iop(&p, &a, &b, 17, id));
		}
		for (unsigned i = 0; i < n; i++)
			ck_assert(hit[i] > 6400 / (1.5 * n) && hit6[i] > 6400 / (1.5 * n));
	}
}
END_TEST

START_TEST(select_is_the_two_halves_of_iop)
{
	struct npp_flow_key k = flow("10.0.0.1", 1000, "10.0.0.2", 80);
	struct npp_hash_prog p;

	npp_hash_prog_default(&p, 5);
	p.algorithm = NPP_HASH_CRC32C;
	p.select_shift = 25;
	ck_assert_int_eq(npp_hash_prog_check(&p, 5, NULL), 0);
	ck_assert_uint_eq(npp_hash_iop(&p, &k), npp_hash_select(&p, npp_hash_flow(&p, &k)));
	ck_assert_uint_eq(npp_hash_iop(&p, &k), p.indir[npp_hash_flow(&p, &k) >> 25]);
}
END_TEST

#define REFUSED(n, change) \
	do { \
		struct npp_hash_prog p_; \
		npp_hash_prog_default(&p_, 4); \
		p_.change; \
		why = NULL; \
		ck_assert_int_eq(npp_hash_prog_check(&p_, (n), &why), -EINVAL); \
		ck_assert_ptr_nonnull(why); \
	} while (0)

START_TEST(programs_that_cannot_run_are_refused)
{
	const char *why = "";
	struct npp_hash_prog p;

	npp_hash_prog_default(&p, 4);
	ck_assert_int_eq(npp_hash_prog_check(&p, 4, &why), 0);
	ck_assert_ptr_null(why);
	REFUSED(0, generation = 1);
	REFUSED(33, generation = 1);
	REFUSED(3, generation = 1); /* the table names IOP 3 */
	REFUSED(4, algorithm = NPP_HASH_ALGORITHMS);
	REFUSED(4, symmetric = 1);
	REFUSED(4, select_bits = 0);
	REFUSED(4, select_bits = 8);
	REFUSED(4, select_shift = 1); /* xor makes 7 bits only */
	REFUSED(4, select_shift = 255);
	REFUSED(4, indir[127] = 4);
	p = toeplitz_prog();
	p.symmetric = 1;
	ck_assert_int_eq(npp_hash_prog_check(&p, 4, &why), 0);
	memset(&p.mask.dst, 0, sizeof p.mask.dst);
	ck_assert_int_eq(npp_hash_prog_check(&p, 4, &why), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net/hash");
	TCase *t = tcase_create("hash");

	tcase_add_test(t, siphash_published_vectors);
	tcase_add_test(t, crc32c_vectors_of_rfc3720);
	tcase_add_test(t, crc32c_by_table_and_by_instruction_agree);
	tcase_add_test(t, toeplitz_vectors_of_the_rss_specification);
	tcase_add_test(t, symmetric_toeplitz_is_the_same_both_ways);
	tcase_add_test(t, masked_bits_do_not_matter);
	tcase_add_test(t, even_source_ports_spread_over_any_number_of_iops);
	tcase_add_test(t, clients_of_one_port_spread_by_address);
	tcase_add_test(t, fragments_spread_by_identification_and_keep_together);
	tcase_add_test(t, select_is_the_two_halves_of_iop);
	tcase_add_test(t, programs_that_cannot_run_are_refused);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return npp_suite_run(s);
}
