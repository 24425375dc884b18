/* SPDX-License-Identifier: GPL-2.0-or-later
 * reass.c - putting fragments together, within bounds
 *
 * Bytes stand in chunks of 2 KB from one preallocated pool (cfg.reass_bytes), chunk k of a
 * datagram holding bytes [2048 k, 2048 (k+1)); a bitmap says which units of 8 bytes are
 * present. That takes the same memory for any number and order of fragments.
 *
 * A fragment whose bytes are all present and equal is a duplicate and harmless; any other
 * overlap poisons the datagram until its time is over (RFC 5722 in spirit). When entries
 * or chunks run out the oldest datagram goes; when one group of sources (a hash
 * bucket) holds half of either, the oldest of that group. Both are at the head of a list, so that
 * making room costs a flood no more than its fragments do.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

/* ---- layout ---------------------------------------------------------------------------- */

static uint32_t n_chunks(const struct stack_cfg *cfg)
{
	uint32_t n = cfg->reass_bytes / REASS_CHUNK;

	return n < 2 * REASS_CHUNKS_PER ? 2 * REASS_CHUNKS_PER : n > 32768 ? 32768 : n;
}

static uint32_t n_ents(const struct stack_cfg *cfg)
{
	uint32_t n = n_chunks(cfg) / 4;

	return n < 32 ? 32 : n > 512 ? 512 : n;
}

static uint32_t n_hash(const struct stack_cfg *cfg)
{
	uint32_t n = 32;

	while (n < n_ents(cfg))
		n *= 2;
	return n;
}

size_t reass_size(const struct stack_cfg *cfg)
{
	return ip_align(n_ents(cfg) * sizeof(struct reass_ent)) + ip_align(n_chunks(cfg) * 2) +
	       ip_align(n_hash(cfg) * 2) + (size_t)n_chunks(cfg) * REASS_CHUNK;
}

void reass_init(struct stack *s, uint8_t *mem)
{
	struct reass *r = &s->ip->reass;

	r->n_ents = n_ents(&s->cfg);
	r->n_chunks = n_chunks(&s->cfg);
	r->n_hash = n_hash(&s->cfg);
	r->ent = (struct reass_ent *)mem;
	mem += ip_align(r->n_ents * sizeof *r->ent);
	r->chunk_free = (uint16_t *)mem;
	mem += ip_align(r->n_chunks * 2);
	r->hash_head = (uint16_t *)mem;
	mem += ip_align(r->n_hash * 2);
	r->chunk_mem = mem;
}

/* ---- derived: chains, ages, counts ----------------------------------------------------- */

struct reass_key { union npp_addr src, dst; uint32_t id, proto; };

static uint16_t *bucket(struct stack *s, const struct reass_ent *e)
{
	struct reass_key k = { e->src, e->dst, e->id, e->proto };

	return &s->ip->reass.hash_head[npp_siphash(s->cfg.hash_key, &k, sizeof k) & (s->ip->reass.n_hash - 1)];
}

static unsigned src_bucket(struct stack *s, const union npp_addr *src)
{
	return npp_siphash(s->cfg.hash_key, src, sizeof *src) % REASS_SRC_BUCKETS;
}

/* Into chain, age lists (as the newest) and counts. */
static void ent_link(struct stack *s, struct reass_ent *e)
{
	struct reass *r = &s->ip->reass;
	uint16_t *head = bucket(s, e), i = (uint16_t)(e - r->ent);
	struct reass_src *src;

	e->hash_next = *head;
	*head = i;
	e->older = r->newest;
	e->newer = REASS_NONE;
	if (r->newest != REASS_NONE)
		r->ent[r->newest].newer = i;
	else
		r->oldest = i;
	r->newest = i;
	e->src_bucket = (uint16_t)src_bucket(s, &e->src);
	src = &r->src[e->src_bucket];
	e->src_older = src->newest;
	e->src_newer = REASS_NONE;
	if (src->newest != REASS_NONE)
		r->ent[src->newest].src_newer = i;
	else
		src->oldest = i;
	src->newest = i;
	src->ents++;
	src->chunks += (uint16_t)e->chunks;
}

static void ent_unlink(struct stack *s, struct reass_ent *e)
{
	struct reass *r = &s->ip->reass;
	struct reass_src *src = &r->src[e->src_bucket];
	uint16_t *at = bucket(s, e), i = (uint16_t)(e - r->ent);

	while (*at != i && *at != REASS_NONE)
		at = &r->ent[*at].hash_next;
	if (*at == i)
		*at = e->hash_next;
	if (e->older != REASS_NONE)
		r->ent[e->older].newer = e->newer;
	else
		r->oldest = e->newer;
	if (e->newer != REASS_NONE)
		r->ent[e->newer].older = e->older;
	else
		r->newest = e->older;
	if (e->src_older != REASS_NONE)
		r->ent[e->src_older].src_newer = e->src_newer;
	else
		src->oldest = e->src_newer;
	if (e->src_newer != REASS_NONE)
		r->ent[e->src_newer].src_older = e->src_older;
	else
		src->newest = e->src_older;
	src->ents--;
}

static void chunks_give_back(struct stack *s, struct reass_ent *e)
{
	struct reass *r = &s->ip->reass;

	for (unsigned k = 0; k < REASS_CHUNKS_PER; k++)
		if (e->chunk[k] != REASS_NONE) {
			r->chunk_free[r->n_chunks_free++] = e->chunk[k];
			e->chunk[k] = REASS_NONE;
		}
	r->src[e->src_bucket].chunks -= (uint16_t)e->chunks;
	e->chunks = 0;
}

void reass_free(struct stack *s, struct reass_ent *e)
{
	e->state = REASS_CHANGING;
	chunks_give_back(s, e);
	ent_unlink(s, e);
	e->hash_next = s->ip->reass.ent_free;
	s->ip->reass.ent_free = (uint16_t)(e - s->ip->reass.ent);
	e->state = REASS_FREE;
}

static uint32_t units_present(const struct reass_ent *e, uint32_t first, uint32_t n)
{
	uint32_t count = 0;

	while (n) {
		uint32_t bit = first % 64, take = 64 - bit < n ? 64 - bit : n;
		uint64_t mask = (take == 64 ? ~0ull : (1ull << take) - 1) << bit;

		count += (uint32_t)__builtin_popcountll(e->bits[first / 64] & mask);
		first += take;
		n -= take;
	}
	return count;
}

/* Do all bytes that E counts stand in chunks, and none but them? */
static bool bytes_sane(const struct reass_ent *e)
{
	uint32_t first = (e->first_len + 7) / 8;

	if (e->end > 65535 || e->first_len > e->end || (e->total && e->total != e->end))
		return false;
	for (uint32_t k = 0; k < REASS_CHUNKS_PER; k++)
		if (e->chunk[k] == REASS_NONE && units_present(e, k * (REASS_CHUNK / 8), REASS_CHUNK / 8))
			return false;
	return units_present(e, 0, first) == first && units_present(e, 0, (e->end + 7) / 8) == e->units &&
	       units_present(e, 0, 65536 / 8) == e->units;
}

/* Are E's chunks real and nobody else's? Notes them in TAKEN. */
static bool ent_sane(struct reass *r, struct reass_ent *e, uint8_t *taken)
{
	unsigned k;

	if (e->state != REASS_POISONED && !(e->state == REASS_LIVE && bytes_sane(e)))
		return false;
	e->chunks = 0;
	for (k = 0; k < REASS_CHUNKS_PER; k++) {
		uint16_t c = e->chunk[k];

		if (c == REASS_NONE)
			continue;
		if (c >= r->n_chunks || taken[c / 8] >> c % 8 & 1)
			break;
		taken[c / 8] |= (uint8_t)(1 << c % 8);
		e->chunks++;
	}
	if (k == REASS_CHUNKS_PER)
		return true;
	while (k-- > 0)
		if (e->chunk[k] != REASS_NONE)
			taken[e->chunk[k] / 8] &= (uint8_t)~(1 << e->chunk[k] % 8);
	return false;
}

/* The live entry with the smallest birth time after AFTER (ties by index); rebuild only. */
static struct reass_ent *next_by_age(struct reass *r, const struct reass_ent *after)
{
	struct reass_ent *best = NULL;

	for (uint32_t i = 0; i < r->n_ents; i++) {
		struct reass_ent *e = &r->ent[i];

		if (e->state == REASS_FREE ||
		    (after && (e->born_us < after->born_us || (e->born_us == after->born_us && e <= after))))
			continue;
		if (!best || e->born_us < best->born_us)
			best = e;
	}
	return best;
}

void reass_rebuild(struct stack *s)
{
	struct reass *r = &s->ip->reass;
	uint8_t taken[32768 / 8] = { 0 };

	r->ent_free = r->oldest = r->newest = REASS_NONE;
	r->n_chunks_free = 0;
	for (uint32_t i = 0; i < REASS_SRC_BUCKETS; i++)
		r->src[i] = (struct reass_src){ .oldest = REASS_NONE, .newest = REASS_NONE };
	for (uint32_t i = 0; i < r->n_hash; i++)
		r->hash_head[i] = REASS_NONE;
	for (uint32_t i = r->n_ents; i-- > 0;) {
		struct reass_ent *e = &r->ent[i];

		if (ent_sane(r, e, taken))
			continue;
		e->state = REASS_FREE;
		memset(e->chunk, 0xff, sizeof e->chunk);
		e->chunks = 0;
		e->hash_next = r->ent_free;
		r->ent_free = (uint16_t)i;
	}
	for (struct reass_ent *e = next_by_age(r, NULL); e; e = next_by_age(r, e))
		ent_link(s, e);
	for (uint32_t c = r->n_chunks; c-- > 0;)
		if (!(taken[c / 8] >> c % 8 & 1))
			r->chunk_free[r->n_chunks_free++] = (uint16_t)c;
}

/* ---- making room ------------------------------------------------------------------------- */

/* Drops the oldest datagram of source bucket SB (any if SB is REASS_SRC_BUCKETS) but KEEP: that is the
 * first or the second of a list, however many are held. */
static bool evict(struct stack *s, unsigned sb, const struct reass_ent *keep)
{
	struct reass *r = &s->ip->reass;
	bool any = sb == REASS_SRC_BUCKETS;
	uint16_t i = any ? r->oldest : r->src[sb].oldest;

	if (i != REASS_NONE && &r->ent[i] == keep)
		i = any ? keep->newer : keep->src_newer;
	if (i == REASS_NONE)
		return false;
	STAT_INC(s, IS_DROP_REASS_FULL);
	reass_free(s, &r->ent[i]);
	return true;
}

static struct reass_ent *ent_find(struct stack *s, const struct reass_frag *f)
{
	struct reass *r = &s->ip->reass;
	struct reass_ent key = { .src = f->src, .dst = f->dst, .id = f->id, .proto = f->proto };

	for (uint16_t i = *bucket(s, &key); i != REASS_NONE; i = r->ent[i].hash_next) {
		struct reass_ent *e = &r->ent[i];

		if (e->id == f->id && e->proto == f->proto && npp_addr_eq(&e->src, &f->src) &&
		    npp_addr_eq(&e->dst, &f->dst))
			return e;
	}
	return NULL;
}

static struct reass_ent *ent_make(struct stack *s, const struct reass_frag *f)
{
	struct reass *r = &s->ip->reass;
	unsigned sb = src_bucket(s, &f->src);
	struct reass_ent *e;

	if (r->src[sb].ents >= r->n_ents / 2)
		evict(s, sb, NULL);
	if (r->ent_free == REASS_NONE && !evict(s, REASS_SRC_BUCKETS, NULL))
		return NULL;
	e = &r->ent[r->ent_free];
	r->ent_free = e->hash_next;
	memset(e, 0, sizeof *e);
	e->state = REASS_CHANGING;
	memset(e->chunk, 0xff, sizeof e->chunk);
	e->src = f->src;
	e->dst = f->dst;
	e->id = f->id;
	e->proto = f->proto;
	e->next = f->next;
	e->port = f->port;
	e->tos = f->tos;
	e->ttl = f->ttl;
	e->l2_bcast = f->l2_bcast;
	memcpy(e->eth_src, f->eth_src, 6);
	e->born_us = s->now_us;
	ent_link(s, e);
	e->state = REASS_LIVE;
	if (!wheel_armed(&s->ip->timer[IPT_REASS]))
		ip_timer_arm(s, IPT_REASS, s->now_us + REASS_TIMEOUT_US);
	return e;
}

/* Chunk K of E; false: no room even after others went. */
static bool chunk_want(struct stack *s, struct reass_ent *e, uint32_t k)
{
	struct reass *r = &s->ip->reass;
	unsigned sb = e->src_bucket;

	if (e->chunk[k] != REASS_NONE)
		return true;
	if (r->src[sb].chunks >= r->n_chunks / 2 && !evict(s, sb, e))
		return false;
	if (!r->n_chunks_free && !evict(s, REASS_SRC_BUCKETS, e))
		return false;
	if (!r->n_chunks_free)	/* what went held none */
		return false;
	e->chunk[k] = r->chunk_free[--r->n_chunks_free];
	e->chunks++;
	r->src[sb].chunks++;
	return true;
}

/* ---- bytes and units ------------------------------------------------------------------------ */

static void units_set(struct reass_ent *e, uint32_t first, uint32_t n)
{
	e->units += n;
	while (n) {
		uint32_t bit = first % 64, take = 64 - bit < n ? 64 - bit : n;

		e->bits[first / 64] |= (take == 64 ? ~0ull : (1ull << take) - 1) << bit;
		first += take;
		n -= take;
	}
}

static uint8_t *byte_at(struct stack *s, const struct reass_ent *e, uint32_t off)
{
	return s->ip->reass.chunk_mem + (size_t)e->chunk[off / REASS_CHUNK] * REASS_CHUNK + off % REASS_CHUNK;
}

/* Are the bytes of F, all present, those that E has? */
static bool bytes_equal(struct stack *s, const struct reass_ent *e, const struct reass_frag *f)
{
	for (uint32_t i = 0, n; i < f->len; i += n) {
		n = REASS_CHUNK - (f->off + i) % REASS_CHUNK;
		if (n > f->len - i)
			n = f->len - i;
		if (memcmp(byte_at(s, e, f->off + i), f->data + i, n) != 0)
			return false;
	}
	return true;
}

static bool bytes_store(struct stack *s, struct reass_ent *e, const struct reass_frag *f)
{
	for (uint32_t i = 0, n; i < f->len; i += n) {
		n = REASS_CHUNK - (f->off + i) % REASS_CHUNK;
		if (n > f->len - i)
			n = f->len - i;
		if (!chunk_want(s, e, (f->off + i) / REASS_CHUNK))
			return false;
		memcpy(byte_at(s, e, f->off + i), f->data + i, n);
	}
	return true;
}

void reass_copy(struct stack *s, const struct reass_ent *e, uint8_t *to, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += REASS_CHUNK)
		memcpy(to + i, byte_at(s, e, i), len - i < REASS_CHUNK ? len - i : REASS_CHUNK);
}

/* ---- a fragment -------------------------------------------------------------------------------- */

static bool frag_sane(const struct reass_frag *f)
{
	if (f->len == 0 || (f->more && f->len % 8) ||
	    f->off + f->len > (f->proto == IP_PROTO_FRAGMENT ? 65535u : 65535u - IP4_HDR_MIN))
		return false;
	if (f->proto == IP_PROTO_FRAGMENT)
		return f->off || f->len >= f->first_min;
	/* The first one holds the transport header (RFC 1858, RFC 3128): that of UDP or ICMP is no longer than the least
	 * fragment. */
	if (f->off == 0)
		return f->proto != IP_PROTO_TCP || f->len >= TCP_HDR_MIN;
	return f->proto != IP_PROTO_TCP || f->off >= TCP_HDR_MIN;
}

/* Two fragments that say differently where the datagram ends. */
static bool frag_end_lies(const struct reass_ent *e, const struct reass_frag *f)
{
	uint32_t end = f->off + f->len;

	if (f->more)
		return e->total && end >= e->total;
	return (e->total && e->total != end) || e->end > end;
}

static void poison(struct stack *s, struct reass_ent *e)
{
	STAT_INC(s, IS_DROP_REASS_OVERLAP);
	e->state = REASS_CHANGING;
	chunks_give_back(s, e);
	e->first_len = 0;
	e->state = REASS_POISONED;
}

/* Puts F, which overlaps nothing, into E. False: E had to go. */
static bool frag_store(struct stack *s, struct reass_ent *e, const struct reass_frag *f)
{
	e->state = REASS_CHANGING;
	if (!bytes_store(s, e, f)) {
		STAT_INC(s, IS_DROP_REASS_FULL);
		reass_free(s, e);
		return false;
	}
	units_set(e, f->off / 8, (f->len + 7) / 8);
	if (!f->more)
		e->total = f->off + f->len;
	if (f->off + f->len > e->end)
		e->end = f->off + f->len;
	if (f->off == 0) {
		e->first_len = f->len;
		e->next = f->next;	/* the others' does not count (RFC 8200, 4.5) */
		e->tos = f->tos;
		e->ttl = f->ttl;
		memcpy(e->eth_src, f->eth_src, 6);
	}
	e->ecn |= (uint8_t)(1 << (f->tos & 3));
	e->rx_us = f->rx_us;
	e->state = REASS_LIVE;
	return true;
}

struct reass_ent *reass_add(struct stack *s, const struct reass_frag *f)
{
	struct reass_ent *e;
	uint32_t there;

	if (!frag_sane(f)) {
		STAT_INC(s, IS_DROP_REASS_BAD);
		return NULL;
	}
	e = ent_find(s, f);
	if (!e)
		e = ent_make(s, f);
	if (!e || e->state == REASS_POISONED) {
		if (!e)
			STAT_INC(s, IS_DROP_REASS_FULL);
		return NULL;
	}
	there = units_present(e, f->off / 8, (f->len + 7) / 8);
	if (there == (f->len + 7) / 8 && f->off + f->len <= e->end && bytes_equal(s, e, f) &&
	    (f->more || e->total) && !frag_end_lies(e, f))
		return NULL;	/* a duplicate */
	if (there || frag_end_lies(e, f)) {
		poison(s, e);
		return NULL;
	}
	if (!frag_store(s, e, f))
		return NULL;
	return e->total && e->units == (e->total + 7) / 8 ? e : NULL;
}

/* ---- time ------------------------------------------------------------------------------------------ */

/* Tells the sender, if the first fragment was there (RFC 792, RFC 1122 3.3.2; RFC 8200, 4.5). */
static void time_exceeded(struct stack *s, struct reass_ent *e)
{
	uint8_t buf[IP6_MTU_MIN];	/* as much as fits (RFC 4443, 2.4 (c)); icmp?_error() knows how much that is */
	bool v4 = npp_addr_is_v4(&e->src);
	uint32_t hlen = v4 ? IP4_HDR_MIN : (uint32_t)(IP6_HDR_LEN + sizeof(struct ip6_frag_hdr));
	uint32_t room = (uint32_t)sizeof buf - hlen, n = e->first_len < room ? e->first_len : room;
	struct pkt pkt = { .ip = buf, .l4 = buf + hlen, .l4_len = n, .src = e->src, .dst = e->dst,
			   .proto = e->next, .l2_bcast = e->l2_bcast };

	if (!n)
		return;
	reass_copy(s, e, buf + hlen, n);
	if (v4) {
		ip4_put_header((struct ip4_hdr *)buf, IP4_HDR_MIN + e->first_len, (uint16_t)e->id, IP4_MF, e->tos,
			       e->ttl, e->proto, &e->src, &e->dst);
		icmp4_error(s, &pkt, 11, 1, 0);
		return;
	}
	ip6_put_header((struct ip6_hdr_w *)buf, (uint32_t)sizeof(struct ip6_frag_hdr) + e->first_len, e->tos, e->ttl,
		       IP_PROTO_FRAGMENT, &e->src, &e->dst);
	*(struct ip6_frag_hdr *)(buf + IP6_HDR_LEN) = (struct ip6_frag_hdr){ .next = e->next, .off = htons(1),
									     .id = htonl(e->id) };
	icmp6_error(s, &pkt, ICMP6_TIME_EXCEEDED, 1, 0, false);
}

void reass_timer(struct stack *s)
{
	struct reass *r = &s->ip->reass;

	while (r->oldest != REASS_NONE) {
		struct reass_ent *e = &r->ent[r->oldest];

		if (e->born_us + REASS_TIMEOUT_US > s->now_us) {
			ip_timer_arm(s, IPT_REASS, e->born_us + REASS_TIMEOUT_US);
			return;
		}
		if (e->state == REASS_LIVE) {
			STAT_INC(s, IS_DROP_REASS_TIME);
			time_exceeded(s, e);
		}
		reass_free(s, e);
	}
}
