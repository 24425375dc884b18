/* SPDX-License-Identifier: GPL-2.0-or-later
 * steer.c - makes an eBPF program out of a dispatch program
 *
 * All three algorithms are linear over GF(2): the hash of a key is the hash of the zero key,
 * xor-ed with what each of the key's nibbles adds. So the program knows no algorithm and no
 * mask. It has one table of 16 words for each nibble, which is filled here by asking
 * net/hash.c about keys in which all else is zero; nibbles that add nothing, because they
 * are masked, are left out. What is not linear, the exchange of the two ends in the symmetric
 * form, is done before.
 *
 *	IPv4                TCP, UDP: flow      fragment: addresses, protocol, identification
 *	IPv6                TCP, UDP: flow      fragment header first: the same
 *	anything else       queue 0, the dispatcher's: ARP, ICMP, other protocols, extension headers
 *
 * Nothing is validated beyond what the way to the key needs: who reads the queue does that.
 *
 * Registers: r6 the frame, r9 the tables, r8 the hash. On the stack: the IP header, above
 * it the ports.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "net/wire.h"
#include "nppd/steer.h"

#define HDR (-40)	/* IP header, from the frame pointer */
#define PORTS (-48)	/* two, or the identification as in struct npp_hash_prog.frag_mask */
#define FRAG6 (-56)	/* IPv6 fragment header */
#define MAX_JUMPS 4

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FP };

/* ---- instructions --------------------------------------------------------------------- */

static unsigned ins(struct steer_code *c, int code, int dst, int src, int off, int32_t imm)
{
	if (c->n == STEER_MAX_INSNS) {
		c->full = true;
		return 0;
	}
	c->insn[c->n] = (struct bpf_insn){ .code = (uint8_t)code, .dst_reg = (uint8_t)(dst & 15),
					   .src_reg = (uint8_t)(src & 15), .off = (int16_t)off, .imm = imm };
	return c->n++;
}

static void mov(struct steer_code *c, int dst, int src)
{
	ins(c, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void set(struct steer_code *c, int dst, uint32_t value)
{
	ins(c, BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)value);
}

static void alu(struct steer_code *c, int op, int dst, uint32_t value)
{
	ins(c, BPF_ALU | op | BPF_K, dst, 0, 0, (int32_t)value);
}

/* SIZE: BPF_B, BPF_H, BPF_W or BPF_DW. */
static void load(struct steer_code *c, int size, int dst, int base, int off)
{
	ins(c, BPF_LDX | BPF_MEM | size, dst, base, off, 0);
}

static void store(struct steer_code *c, int size, int base, int off, int src)
{
	ins(c, BPF_STX | BPF_MEM | size, base, src, off, 0);
}

/* Forward, to where land() says; 64 bits are compared. */
static unsigned jump(struct steer_code *c, int op, int dst, int32_t value)
{
	return ins(c, BPF_JMP | op | BPF_K, dst, 0, 0, value);
}

static unsigned jump_reg(struct steer_code *c, int op, int dst, int src)
{
	return ins(c, BPF_JMP | op | BPF_X, dst, src, 0, 0);
}

static void land(struct steer_code *c, unsigned at)
{
	c->insn[at].off = (int16_t)(c->n - at - 1);
}

/* Back to where the dispatcher's queue is returned. */
static void leave_if(struct steer_code *c, int op, int dst, int32_t value, unsigned to)
{
	ins(c, BPF_JMP | op | BPF_K, dst, 0, (int)to - (int)c->n - 1, value);
}

/* BYTES at the offset in r2 of the frame to STACK; leaves if they are not there. */
static void take(struct steer_code *c, int stack, uint32_t bytes, unsigned out)
{
	mov(c, R1, R6);
	mov(c, R3, FP);
	ins(c, BPF_ALU64 | BPF_ADD | BPF_K, R3, 0, 0, stack);
	set(c, R4, bytes);
	ins(c, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
	leave_if(c, BPF_JNE, R0, 0, out);
}

/* ---- hash ----------------------------------------------------------------------------- */

struct set_desc {
	bool v6, fragment;
	unsigned first_row, n_bytes;
};

static const struct set_desc set_desc[STEER_SETS] = {
	[STEER_FLOW4] = { false, false, 0, STEER_BYTES4 },
	[STEER_FRAG4] = { false, true, STEER_BYTES4, STEER_BYTES4 },
	[STEER_FLOW6] = { true, false, 2 * STEER_BYTES4, STEER_BYTES6 },
	[STEER_FRAG6] = { true, true, 2 * STEER_BYTES4 + STEER_BYTES6, STEER_BYTES6 },
};

/* Byte number I of a set: its place in struct npp_flow_key, and on the stack. */
static unsigned place(const struct set_desc *d, unsigned i, int *stack)
{
	unsigned alen = d->v6 ? 16 : 4;
	int src = HDR + (d->v6 ? 8 : 12);

	*stack = i < 2 * alen ? src + (int)i : i < 2 * alen + 4 ? PORTS + (int)(i - 2 * alen) : HDR + (d->v6 ? 6 : 9);
	if (i < alen)
		return 16 - alen + i;
	if (i < 2 * alen)
		return 32 - alen + i - alen;
	return 32 + i - 2 * alen;
}

/* PROG for the keys of D, in which the ends are in order already. */
static struct npp_hash_prog plain(const struct npp_hash_prog *prog, const struct set_desc *d)
{
	struct npp_hash_prog p = *prog;

	p.symmetric = 0;
	if (d->fragment)
		p.mask = p.frag_mask;
	return p;
}

static struct npp_flow_key zero_key(const struct set_desc *d)
{
	struct npp_flow_key k = { .proto = 0 };

	if (!d->v6)
		k.src = k.dst = npp_addr_v4(0);
	return k;
}

static void fill_rows(struct steer_tables *t, const struct npp_hash_prog *prog, const struct set_desc *d)
{
	struct npp_hash_prog p = plain(prog, d);
	struct npp_flow_key k = zero_key(d);
	uint32_t zero = npp_hash_flow(&p, &k);

	for (unsigned i = 0; i < d->n_bytes; i++) {
		int stack;
		uint8_t *byte = (uint8_t *)&k + place(d, i, &stack);

		for (unsigned v = 0; v < 16; v++) {
			*byte = (uint8_t)v;
			t->row[d->first_row + i][0][v] = npp_hash_flow(&p, &k) ^ zero;
			*byte = (uint8_t)(v << 4);
			t->row[d->first_row + i][1][v] = npp_hash_flow(&p, &k) ^ zero;
		}
		*byte = 0;
	}
}

static bool adds(const uint32_t row[16])
{
	for (unsigned v = 1; v < 16; v++)
		if (row[v])
			return true;
	return false;
}

/* The nibble of the byte in r1 that SHIFT leads to. */
static void add_nibble(struct steer_code *c, int op, uint32_t shift, unsigned row, unsigned nibble)
{
	size_t off = offsetof(struct steer_tables, row) + (row * 2 + nibble) * sizeof(uint32_t[16]);

	mov(c, R2, R1);
	alu(c, op, R2, shift);
	alu(c, BPF_AND, R2, 0x3c); /* index of a word */
	ins(c, BPF_ALU64 | BPF_ADD | BPF_X, R2, R9, 0, 0);
	load(c, BPF_W, R2, R2, (int)off);
	ins(c, BPF_ALU | BPF_XOR | BPF_X, R8, R2, 0, 0);
}

_Static_assert(sizeof(struct steer_tables) <= INT16_MAX, "rows are reached by an instruction's offset");

/* The hash in r8, by the rows of D; then the queue. */
static void hash(struct steer_code *c, const struct steer_tables *t, const struct npp_hash_prog *prog,
		 const struct set_desc *d)
{
	struct npp_hash_prog p = plain(prog, d);
	struct npp_flow_key k = zero_key(d);

	set(c, R8, npp_hash_flow(&p, &k));
	for (unsigned i = 0; i < d->n_bytes; i++) {
		unsigned row = d->first_row + i;
		int stack;

		if (!adds(t->row[row][0]) && !adds(t->row[row][1]))
			continue;
		place(d, i, &stack);
		load(c, BPF_B, R1, FP, stack);
		if (adds(t->row[row][0]))
			add_nibble(c, BPF_LSH, 2, row, 0);
		if (adds(t->row[row][1]))
			add_nibble(c, BPF_RSH, 2, row, 1);
	}
	alu(c, BPF_RSH, R8, prog->select_shift & 31);
	alu(c, BPF_AND, R8, (1u << (prog->select_bits & 7)) - 1);
	ins(c, BPF_ALU64 | BPF_ADD | BPF_X, R9, R8, 0, 0);
	load(c, BPF_B, R0, R9, offsetof(struct steer_tables, queue));
	ins(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* ---- the symmetric form: the smaller end first ------------------------------------------- */

static void swap(struct steer_code *c, int size, int a, int b)
{
	load(c, size, R1, FP, a);
	load(c, size, R2, FP, b);
	store(c, size, FP, a, R2);
	store(c, size, FP, b, R1);
}

/* Loads what lies at A and B as numbers into r1 and r2, masked by the BYTES at MASK. */
static void load_masked(struct steer_code *c, int a, int b, const void *mask, unsigned bytes)
{
	int size = bytes == 8 ? BPF_DW : bytes == 4 ? BPF_W : BPF_H;
	uint64_t m = 0;

	memcpy(&m, mask, bytes); /* as it lies in memory, like the frame */
	ins(c, BPF_LD | BPF_DW | BPF_IMM, R3, 0, 0, (int32_t)(uint32_t)m);
	ins(c, 0, 0, 0, 0, (int32_t)(uint32_t)(m >> 32));
	load(c, size, R1, FP, a);
	load(c, size, R2, FP, b);
	for (int r = R1; r <= R2; r++) {
		ins(c, BPF_ALU64 | BPF_AND | BPF_X, r, R3, 0, 0);
		ins(c, BPF_ALU | BPF_END | BPF_TO_BE, r, 0, 0, (int32_t)bytes * 8);
	}
}

static void order_ends(struct steer_code *c, const struct npp_flow_key *mask, const struct set_desc *d)
{
	unsigned swaps[MAX_JUMPS], n_swaps = 0, keeps[MAX_JUMPS], n_keeps = 0, alen = d->v6 ? 16 : 4;
	unsigned step = d->v6 ? 8 : 4;
	int src = HDR + (d->v6 ? 8 : 12), dst = src + (int)alen;

	for (unsigned i = 0; i < alen; i += step) {
		load_masked(c, src + (int)i, dst + (int)i, mask->src.b + 16 - alen + i, step);
		swaps[n_swaps++] = jump_reg(c, BPF_JGT, R1, R2);
		keeps[n_keeps++] = jump_reg(c, BPF_JLT, R1, R2);
	}
	load_masked(c, PORTS, PORTS + 2, &mask->sport, 2);
	keeps[n_keeps++] = jump_reg(c, BPF_JLE, R1, R2);
	for (unsigned i = 0; i < n_swaps; i++)
		land(c, swaps[i]);
	for (unsigned i = 0; i < alen; i += 4)
		swap(c, BPF_W, src + (int)i, dst + (int)i);
	swap(c, BPF_H, PORTS, PORTS + 2);
	for (unsigned i = 0; i < n_keeps; i++)
		land(c, keeps[i]);
}

/* Everything from the key on the stack on. */
static void finish(struct steer_code *c, struct steer_tables *t, const struct npp_hash_prog *prog, enum steer_set set)
{
	const struct set_desc *d = &set_desc[set];
	const struct npp_flow_key *m = d->fragment ? &prog->frag_mask : &prog->mask;

	fill_rows(t, prog, d);
	if (prog->symmetric)
		order_ends(c, m, d);
	hash(c, t, prog, d);
}

/* Can the rows say it, when the ends may be exchanged behind the mask? */
static bool expressible(const struct npp_hash_prog *prog, const struct npp_flow_key *m)
{
	return !prog->symmetric || (npp_addr_eq(&m->src, &m->dst) && m->sport == m->dport);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void ip4(struct steer_code *c, struct steer_tables *t, const struct npp_hash_prog *prog, unsigned ip_off,
		unsigned out)
{
	unsigned fragment, tcp;

	set(c, R2, ip_off);
	take(c, HDR, IP4_HDR_MIN, out);
	load(c, BPF_B, R7, FP, HDR);
	leave_if(c, BPF_JLT, R7, 0x45, out);
	leave_if(c, BPF_JGT, R7, 0x4f, out);
	load(c, BPF_H, R1, FP, HDR + 6);
	fragment = jump(c, BPF_JSET, R1, htons(IP4_MF | IP4_OFFMASK));
	load(c, BPF_B, R1, FP, HDR + 9);
	tcp = jump(c, BPF_JEQ, R1, IPPROTO_TCP);
	leave_if(c, BPF_JNE, R1, IPPROTO_UDP, out);
	land(c, tcp);
	alu(c, BPF_AND, R7, 15);
	alu(c, BPF_LSH, R7, 2);
	alu(c, BPF_ADD, R7, ip_off);
	mov(c, R2, R7);
	take(c, PORTS, 4, out);
	finish(c, t, prog, STEER_FLOW4);

	land(c, fragment);
	if (!expressible(prog, &prog->frag_mask)) {
		leave_if(c, BPF_JA, 0, 0, out);
		return;
	}
	load(c, BPF_H, R1, FP, HDR + 4); /* identification */
	set(c, R2, 0);
	store(c, BPF_H, FP, PORTS, R2);
	store(c, BPF_H, FP, PORTS + 2, R1);
	finish(c, t, prog, STEER_FRAG4);
}

static void ip6(struct steer_code *c, struct steer_tables *t, const struct npp_hash_prog *prog, unsigned ip_off,
		unsigned out)
{
	unsigned ip_len = sizeof(struct ip6_hdr_w), tcp, fragment;

	set(c, R2, ip_off);
	take(c, HDR, ip_len, out);
	load(c, BPF_B, R1, FP, HDR);
	alu(c, BPF_RSH, R1, 4);
	leave_if(c, BPF_JNE, R1, 6, out);
	load(c, BPF_B, R1, FP, HDR + 6);
	fragment = jump(c, BPF_JEQ, R1, IPPROTO_FRAGMENT);
	tcp = jump(c, BPF_JEQ, R1, IPPROTO_TCP);
	leave_if(c, BPF_JNE, R1, IPPROTO_UDP, out);
	land(c, tcp);
	set(c, R2, ip_off + ip_len);
	take(c, PORTS, 4, out);
	finish(c, t, prog, STEER_FLOW6);

	land(c, fragment);
	if (!expressible(prog, &prog->frag_mask)) {
		leave_if(c, BPF_JA, 0, 0, out);
		return;
	}
	set(c, R2, ip_off + ip_len);
	take(c, FRAG6, 8, out);
	load(c, BPF_H, R1, FP, FRAG6 + 2);
	alu(c, BPF_AND, R1, htons(0xfff9)); /* offset, more: else it is none (RFC 6946) */
	leave_if(c, BPF_JEQ, R1, 0, out);
	load(c, BPF_W, R1, FP, FRAG6 + 4);
	store(c, BPF_W, FP, PORTS, R1);
	finish(c, t, prog, STEER_FRAG6);
}

/* An empty program: the context in r6, the value of the map in r9, and what is IP goes on where *V4 and *V6 land.
 * Where queue 0 is the answer, as it is for all others. */
static unsigned begin(struct steer_code *c, int map_fd, unsigned *v4, unsigned *v6)
{
	unsigned out;

	memset(c, 0, sizeof *c);
	mov(c, R6, R1);
	ins(c, BPF_LD | BPF_DW | BPF_IMM, R9, BPF_PSEUDO_MAP_VALUE, 0, map_fd);
	ins(c, 0, 0, 0, 0, 0);
	load(c, BPF_W, R7, R6, offsetof(struct __sk_buff, protocol));
	*v4 = jump(c, BPF_JEQ, R7, htons(ETH_P_IPV4));
	*v6 = jump(c, BPF_JEQ, R7, htons(ETH_P_IP6));
	out = c->n;
	set(c, R0, 0);
	ins(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return out;
}

int steer_generate(struct steer_code *c, struct steer_tables *t, const struct npp_hash_prog *prog, int map_fd,
		   unsigned ip_off)
{
	unsigned v4, v6, out;

	memset(t, 0, sizeof *t);
	out = begin(c, map_fd, &v4, &v6);
	land(c, v4);
	ip4(c, t, prog, ip_off, out);
	land(c, v6);
	ip6(c, t, prog, ip_off, out);
	return c->full ? -E2BIG : 0;
}

/* The slot of the key in r8 decides. */
static void regular(struct steer_code *c, unsigned out)
{
	unsigned never;

	load(c, BPF_DW, R1, R9, offsetof(struct npp_regulars, mul));
	ins(c, BPF_ALU64 | BPF_MUL | BPF_X, R8, R1, 0, 0);
	ins(c, BPF_ALU64 | BPF_RSH | BPF_K, R8, 0, 0, 64 - NPP_REGULAR_BITS);
	ins(c, BPF_ALU64 | BPF_LSH | BPF_K, R8, 0, 0, 1);
	ins(c, BPF_ALU64 | BPF_ADD | BPF_X, R9, R8, 0, 0);
	load(c, BPF_H, R8, R9, offsetof(struct npp_regulars, stamp));
	never = jump(c, BPF_JEQ, R8, 0);
	ins(c, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns);
	ins(c, BPF_ALU64 | BPF_RSH | BPF_K, R0, 0, 0, NPP_REGULAR_UNIT_SHIFT);
	alu(c, BPF_ADD, R0, 1);
	ins(c, BPF_ALU | BPF_SUB | BPF_X, R0, R8, 0, 0);
	alu(c, BPF_AND, R0, 0xffff);
	leave_if(c, BPF_JLE, R0, NPP_REGULAR_UNITS, out);
	land(c, never);
	set(c, R0, 1);
	ins(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

int steer_generate_aside(struct steer_code *c, int map_fd, unsigned ip_off)
{
	unsigned v4, v6, out, found;

	out = begin(c, map_fd, &v4, &v6);
	land(c, v4);
	set(c, R2, ip_off);
	take(c, HDR, IP4_HDR_MIN, out);
	load(c, BPF_B, R1, FP, HDR + 9);
	leave_if(c, BPF_JEQ, R1, IPPROTO_IGMP, out);
	load(c, BPF_W, R8, FP, HDR + 12);
	found = jump(c, BPF_JA, 0, 0);
	land(c, v6);
	set(c, R2, ip_off);
	take(c, HDR, sizeof(struct ip6_hdr_w), out);
	load(c, BPF_B, R1, FP, HDR + 6);
	leave_if(c, BPF_JEQ, R1, IPPROTO_ICMPV6, out);
	leave_if(c, BPF_JEQ, R1, IPPROTO_HOPOPTS, out);
	load(c, BPF_DW, R8, FP, HDR + 8);
	land(c, found);
	regular(c, out);
	return c->full ? -E2BIG : 0;
}

void steer_queues(struct steer_tables *t, const struct npp_hash_prog *prog, uint32_t up)
{
	for (unsigned i = 0; i < NPP_INDIR_SIZE; i++) {
		unsigned iop = prog->indir[i] & 31u;

		/* volatile: the kernel's program reads it at the same time; a byte is never torn */
		*(volatile uint8_t *)&t->queue[i] = up >> iop & 1 ? (uint8_t)(1 + iop) : 0;
	}
}
