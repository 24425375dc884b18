/* SPDX-License-Identifier: GPL-2.0-or-later
 * host.c - attachment of hosts: mapping, validation, greeting, lent records
 *
 * nppd passes host memory and the inbound region; once the OSM has made the lane for its
 * context 0, HELLO is posted there. The OSM answers with the range of socket records that we
 * may give to accepted connections, and with extents for byte rings.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "npp-ism/socket/ism.h"

static uint64_t *known_map(struct ism *I, unsigned h)
{
	return I->known + (size_t)h * (ISM_MAX_SOCKS / 64);
}

static uint32_t *lent_stack(struct ism *I, unsigned h)
{
	return I->lent + (size_t)h * I->lent_max;
}

void ism_proto_error(struct ism *I, unsigned h)
{
	I->r->host[h].errors++;
	npp_stat_inc(I->stats, NPP_IS_PROTO_ERRORS);
}

/* ---- attach ------------------------------------------------------------------------- */

static bool range_ok(uint64_t size, uint64_t off, uint64_t len)
{
	return off % NPP_LINE == 0 && off >= sizeof(struct npp_host) && off <= size && len <= size - off;
}

/* Copies the bounds of host memory into HS, if they make sense. */
static int bounds_check(const struct npp_region *mem, struct ism_host *hs)
{
	const volatile struct npp_host *nh = mem->base;
	uint64_t heap_size;

	if (mem->size < sizeof(struct npp_host))
		return -EBADMSG;
	hs->size = mem->size;
	hs->ctx_off = nh->ctx_off;
	hs->sock_off = nh->sock_off;
	hs->heap_off = nh->heap_off;
	heap_size = nh->heap_size;
	hs->sock_count = nh->sock_count;
	hs->prog_count = nh->sock_prog_count;
	if (hs->sock_count > ISM_MAX_SOCKS || hs->sock_count < 2 || hs->prog_count >= hs->sock_count)
		return -EPROTO;
	if (!range_ok(hs->size, hs->ctx_off, sizeof(struct npp_ctx) * NPP_MAX_CTX) ||
	    !range_ok(hs->size, hs->sock_off, (uint64_t)sizeof(struct npp_sock) * hs->sock_count) ||
	    !range_ok(hs->size, hs->heap_off, heap_size) || hs->size > 1ull << 38)
		return -EPROTO;
	hs->heap_end = hs->heap_off + heap_size;
	return 0;
}

/* Does what is remembered of host H from an earlier life belong to this memory? */
static bool same_host(const struct ism_host *a, const struct ism_host *b)
{
	return a->state != ISM_HOST_NONE && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->ctx_off == b->ctx_off && a->sock_off == b->sock_off && a->sock_count == b->sock_count &&
	       a->prog_count == b->prog_count && a->heap_off == b->heap_off && a->heap_end == b->heap_end &&
	       a->slot == b->slot;
}

static int map_all(unsigned h, struct ism_host_map *hm, int mem_fd, int in_fd)
{
	int err = npp_region_map(&hm->mem, mem_fd, true, NPP_ADDR_ISM_HOST(h), NPP_REGION_HOST,
				 npp_abi_layout_hash());

	if (err < 0)
		return err;
	err = npp_region_map(&hm->in, in_fd, true, 0, NPP_REGION_INBOUND, npp_abi_layout_hash());
	if (err == 0 && hm->in.size < sizeof(struct npp_inbound))
		err = -EBADMSG;
	hm->base = hm->mem.base;
	hm->inbound = hm->in.base;
	return err;
}

static void map_free(struct ism_host_map *hm)
{
	npp_region_unmap(&hm->mem);
	npp_region_unmap(&hm->in);
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		if (hm->bell[c] >= 0)
			close(hm->bell[c]);
	if (hm->in_bell >= 0)
		close(hm->in_bell);
	free(hm);
}

static struct ism_host_map *map_new(void)
{
	struct ism_host_map *hm = calloc(1, sizeof *hm);

	if (!hm)
		return NULL;
	hm->mem = hm->in = (struct npp_region)NPP_REGION_NULL;
	for (unsigned c = 0; c < NPP_MAX_CTX; c++)
		hm->bell[c] = -1;
	hm->in_bell = -1;
	return hm;
}

/* The host was not known before: an empty row. */
static void host_fresh(struct ism *I, unsigned h, const struct ism_host *plan)
{
	struct ism_host *hs = ism_hst(I, h);

	memset(hs, 0, sizeof *hs);
	memset(known_map(I, h), 0, ISM_MAX_SOCKS / 8);
	*hs = *plan;
	hs->fresh = 1;
	hs->wait_head = hs->wait_tail = ISM_NONE;
	hs->ask_backoff_us = 0;
	ism_mem_init(&hs->heap);
}

/* The host is known from an earlier life: free records are those that no session has. What was
 * being given out when the predecessor died is the OSM's to lend again. */
static void lent_rebuild(struct ism *I, unsigned h)
{
	struct ism_host *hs = ism_hst(I, h);
	uint64_t *known = known_map(I, h);

	hs->n_lent = hs->n_known = 0;
	for (uint32_t i = hs->sock_count; i-- > 1;) {
		const struct ism_sess *s;

		if (!(known[i / 64] & 1ull << (i % 64)))
			continue;
		s = ism_sess_find(I, h, i);
		if (!s && atomic_load_explicit(&ism_rec(I, h, i)->owner, memory_order_acquire) == 0)
			lent_stack(I, h)[hs->n_lent++] = i;
		else if (!s)
			known[i / 64] &= ~(1ull << (i % 64));
		hs->n_known += (known[i / 64] >> (i % 64)) & 1;
	}
}

static void host_set(struct ism *I, unsigned h, struct ism_host_map *hm)
{
	I->host[h] = hm;
	I->host_end = NPP_MAX_HOSTS;
	while (I->host_end && !I->host[I->host_end - 1])
		I->host_end--;
}

/* Puts PLAN into effect: the host that was there comes again (its OSM or we were started anew),
 * or another one. */
static void host_install(struct ism *I, unsigned h, struct ism_host_map *hm, const struct ism_host *plan)
{
	struct ism_host *hs = ism_hst(I, h);

	if (!same_host(hs, plan)) {
		ism_host_detach(I, h); /* unmapped: nothing is written to what is mapped now */
		host_set(I, h, hm);
		host_fresh(I, h, plan);
		return;
	}
	host_set(I, h, hm);
	hs->attach = plan->attach;
	hs->state = ISM_HOST_MAPPED;
	hs->fresh = 0;
	hs->asked_us = 0;
	lent_rebuild(I, h);
	ism_host_resume(I, h);
	/* What was said while nobody listened, or to a predecessor who died over it: look at all
	 * lanes and all sessions. Doorbells are rung as they come, see ism_host_bell(). */
	memset(hm->carry, 0xff, sizeof hm->carry);
	hm->carry_words = (1u << NPP_MAX_CTX / 64) - 1;
	hm->scan_due = true;
	nk_thread_raise(&I->nk, I->th_scan);
}

int ism_host_attach(struct ism *I, unsigned h, unsigned attach, unsigned slot, int mem_fd, int in_fd)
{
	struct ism_host plan = { .attach = attach, .slot = slot, .state = ISM_HOST_MAPPED };
	struct ism_host_map *hm;
	struct stat st;
	int err;

	if (h >= NPP_MAX_HOSTS || slot >= NPP_MAX_SLOTS || attach >= NPP_MAX_ATTACH)
		return -EPROTO;
	if (fstat(mem_fd, &st) < 0)
		return -errno;
	plan.dev = st.st_dev;
	plan.ino = st.st_ino;
	hm = map_new();
	if (!hm)
		return -ENOMEM;
	ism_host_unmap(I, h); /* its address is needed */
	err = map_all(h, hm, mem_fd, in_fd);
	if (err == 0)
		err = bounds_check(&hm->mem, &plan);
	if (err < 0) {
		map_free(hm);
		ism_host_detach(I, h);
		return err;
	}
	host_install(I, h, hm, &plan);
	I->urgent = true;
	return 0;
}

void ism_host_bell(struct ism *I, unsigned h, unsigned ctx, int fd)
{
	struct ism_host_map *hm = h < NPP_MAX_HOSTS ? I->host[h] : NULL;

	if (!hm || ctx >= NPP_MAX_CTX) {
		close(fd);
		return;
	}
	if (hm->bell[ctx] >= 0)
		close(hm->bell[ctx]);
	hm->bell[ctx] = fd;
	/* We may have posted before we had it. A predecessor may have, too, and even have taken the
	 * sleep word and died before it rang. */
	hm->bell_due[ctx / 64] |= 1ull << (ctx % 64);
	hm->bell_words |= 1u << ctx / 64;
	if (!I->r->host[h].fresh && ism_ctx_open(I, h, ctx))
		npp_ringer_add(&I->ringer, fd);
}

void ism_host_in_bell(struct ism *I, unsigned h, int fd)
{
	I->host[h]->in_bell = fd;
	nk_bell_set(&I->nk, I->host_watch[h], fd);
}

void ism_host_unmap(struct ism *I, unsigned h)
{
	nk_bell_set(&I->nk, I->host_watch[h], -1);
	if (I->host[h])
		map_free(I->host[h]);
	host_set(I, h, NULL);
}

void ism_host_detach(struct ism *I, unsigned h)
{
	struct ism_host *hs = ism_hst(I, h);

	if (hs->state == ISM_HOST_NONE && !I->host[h])
		return;
	for (uint32_t i = 0; i < I->r->lay.n_sess && hs->n_sess; i++) {
		struct ism_sess *s = &I->sess[i];

		if (s->host != h)
			continue;
		if (s->kind == ISM_LISTENER)
			ism_listener_drop(I, s, false);
		else if (s->kind == ISM_DGRAM)
			ism_udp_drop(I, s);
		else if (s->kind == ISM_STREAM)
			ism_conn_drop(I, s);
	}
	ism_bells(I);
	ism_mem_drop(I->chunks, &hs->heap, h);
	ism_host_unmap(I, h);
	memset(hs, 0, sizeof *hs);
}

/* ---- memory that a host has torn ------------------------------------------------------- */

static bool replace(const struct npp_region *r, const void *addr)
{
	const uint8_t *base = r->base, *at = addr;

	return base && at >= base && at < base + r->size &&
	       mmap(r->base, r->size, PROT_READ | PROT_WRITE,
		    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

bool ism_host_fault(struct ism *I, const void *addr)
{
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		struct ism_host_map *hm = I->host[h];

		if (!hm || !(replace(&hm->mem, addr) || replace(&hm->in, addr)))
			continue;
		/* relaxed: seen by the same thread */
		atomic_store_explicit(&hm->torn, true, memory_order_relaxed);
		atomic_store_explicit(&I->torn, true, memory_order_relaxed);
		return true;
	}
	return false;
}

void ism_hosts_mend(struct ism *I)
{
	atomic_store_explicit(&I->torn, false, memory_order_relaxed);
	for (unsigned h = 0; h < NPP_MAX_HOSTS; h++) {
		if (!I->host[h] || !atomic_load_explicit(&I->host[h]->torn, memory_order_relaxed))
			continue;
		npp_warnx("host %u has taken memory away that it had lent: its sessions are reset", h);
		ism_proto_error(I, h);
		ism_host_detach(I, h);
	}
}

/* Does the OSM say that its lanes for us stand? Those of an attachment before may still be seen until
 * it has heard of this one. */
static bool lanes_stand(struct ism *I, unsigned h)
{
	const struct npp_host *nh = (const struct npp_host *)I->host[h]->base;

	/* acquire: pairs with the OSM's release after it made the lanes */
	return atomic_load_explicit(&nh->attach[I->r->host[h].attach].state, memory_order_acquire) == 2;
}

bool ism_host_greet(struct ism *I, unsigned h)
{
	struct ism_host *hs = ism_hst(I, h);
	struct npp_msg m = {
		.type = NPP_MSG_HELLO,
		.flags = hs->fresh ? NPP_HELLO_FRESH : 0,
		.arg = I->iop,
		.arg2 = NPP_ISM_HANDLE_BITS,
		.cookie = I->r->lay.n_sess,
	};

	if (hs->state != ISM_HOST_MAPPED)
		return true;
	if (!lanes_stand(I, h) || ism_post(I, h, 0, &m) != 0)
		return false;
	hs->state = ISM_HOST_GREETED;
	return true;
}

/* ---- lent records ----------------------------------------------------------------------- */

void ism_host_lend(struct ism *I, unsigned h, uint32_t first, uint32_t count)
{
	struct ism_host *hs = ism_hst(I, h);
	uint64_t *known = known_map(I, h);

	if (first <= hs->prog_count || first >= hs->sock_count || count > hs->sock_count - first) {
		ism_proto_error(I, h);
		return;
	}
	/* The highest first: the lowest is on top. */
	for (uint32_t i = first + count; i-- > first;) {
		struct npp_sock *rec = ism_rec(I, h, i);

		if (known[i / 64] & 1ull << (i % 64))
			continue;
		/* acquire: pairs with whoever freed it */
		if (atomic_load_explicit(&rec->owner, memory_order_acquire) != 0 || hs->n_known == I->lent_max)
			continue;
		hs->n_known++;
		known[i / 64] |= 1ull << (i % 64);
		lent_stack(I, h)[hs->n_lent++] = i;
	}
	if (hs->state == ISM_HOST_GREETED)
		hs->state = ISM_HOST_UP;
}

/* Said once, until an eighth of them is free again. */
static void none_left(struct ism *I, unsigned h)
{
	npp_stat_inc(I->stats, NPP_IS_SOCKS_OUT);
	if (!I->host[h]->none_said)
		npp_warnx("host %u: all %u socket records that this IOP has of it are in use: new connections wait or are refused "
			  "('sockets' in the host's configuration)", h, ism_hst(I, h)->n_known);
	I->host[h]->none_said = true;
}

uint32_t ism_lent_get(struct ism *I, unsigned h)
{
	struct ism_host *hs = ism_hst(I, h);

	if (hs->n_lent)
		return lent_stack(I, h)[--hs->n_lent];
	none_left(I, h);
	return ISM_NONE;
}

bool ism_lent_any(struct ism *I, unsigned h)
{
	if (I->r->host[h].n_lent == 0)
		none_left(I, h);
	return I->r->host[h].n_lent > 0;
}

void ism_record_free(struct ism *I, struct ism_sess *s)
{
	unsigned h = s->host;
	uint32_t lent = s->flags & SESS_LENT;
	struct npp_msg m = { .type = NPP_MSG_FREED, .sock = s->sock, .sock_gen = s->sock_gen };
	struct npp_sock *rec;

	if (!I->host[h]) { /* the host is gone, its memory with it */
		ism_sess_free(I, s);
		return;
	}
	rec = ism_sess_rec(I, s);
	if (atomic_load_explicit(&rec->gen, memory_order_relaxed) != s->sock_gen && !lent) {
		ism_post_osm(I, h, &m); /* a predecessor has freed it; it may be another's by now */
		ism_sess_free(I, s);
		return;
	}
	rec->type = NPP_SOCK_NONE;
	rec->ext_off64 = 0;
	rec->listener = 0;
	rec->rx_ring = rec->tx_ring = (struct npp_ring_desc){ 0, 0, 0 };
	atomic_store_explicit(&rec->ism_handle, ISM_NONE, memory_order_relaxed);
	atomic_store_explicit(&rec->tcp_state, TCP_ST_CLOSED, memory_order_relaxed);
	atomic_store_explicit(&rec->pend_in, 0, memory_order_relaxed);
	atomic_store_explicit(&rec->pend_out, 0, memory_order_relaxed);
	for (unsigned i = 0; i < NPP_SOCK_SUBS; i++)
		atomic_store_explicit(&rec->sub[i], 0, memory_order_relaxed);
	atomic_store_explicit(&rec->gen, s->sock_gen + 1, memory_order_release);
	/* release: pairs with the compare-and-swap of who takes it next */
	atomic_store_explicit(&rec->owner, 0, memory_order_release);
	if (lent) {
		struct ism_host *hs = ism_hst(I, h);

		lent_stack(I, h)[hs->n_lent++] = s->sock;
		if (hs->n_lent >= hs->n_known / 8)
			I->host[h]->none_said = false;
	} else {
		ism_post_osm(I, h, &m);
	}
	ism_sess_free(I, s);
}
