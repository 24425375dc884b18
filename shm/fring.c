/* SPDX-License-Identifier: GPL-2.0-or-later
 * fring.c - the packed byte ring of frame records
 *
 * Positions are byte counts mod 2^32; a record starts at position & (size - 1) and,
 * thanks to the double mapping, never wraps in address space. Both sides keep their
 * own position privately and only read the other's, which is checked each time: the
 * distance head - tail must lie in 0..size, and a position never goes backwards. The
 * worst that a lying peer reaches is a ring that stands still or is drained.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/bell.h"
#include "shm/fring.h"

#define ALIGN64(n) (((n) + 63u) & ~63u)
#define SIZE_MIN (128u << 10)
#define SIZE_MAX_RING (1u << 30)
#define HUGE_SIZE (2u << 20)

static bool size_ok(uint64_t size)
{
	return size >= SIZE_MIN && size <= SIZE_MAX_RING && (size & (size - 1)) == 0;
}

int npp_fring_create(const char *name, enum npp_region_kind kind, uint32_t owner, uint32_t size,
		     unsigned flags, int *ctl_fd, int *data_fd)
{
	struct npp_region ctl;
	size_t data_size = size;
	bool huge;
	int err, fd;

	if (!size_ok(size))
		return -EINVAL;
	if (size % HUGE_SIZE) /* a hugepage would round the size up and part the two mappings */
		flags &= ~NPP_REGION_HUGE;
	fd = npp_memfd_create(name, &data_size, flags, &huge);
	if (fd < 0)
		return fd;
	err = npp_region_create(&ctl, name, kind, sizeof(struct npp_fring), owner,
				npp_abi_layout_hash(), 0);
	if (err < 0) {
		close(fd);
		return err;
	}
	((struct npp_fring *)ctl.base)->size = size;
	*ctl_fd = ctl.fd;
	*data_fd = fd;
	ctl.fd = -1;
	npp_region_unmap(&ctl);
	return 0;
}

/* Maps SIZE bytes of FD twice in a row. */
static int map_twice(int fd, uint32_t size, bool huge, int prot, uint8_t **out)
{
	size_t align = huge ? HUGE_SIZE : (size_t)sysconf(_SC_PAGESIZE);
	size_t whole = 2 * (size_t)size, len = whole + align;
	uint8_t *area, *data;
	int err;

	area = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	data = (uint8_t *)(((uintptr_t)area + align - 1) & ~(uintptr_t)(align - 1));
	if (data > area)
		munmap(area, (size_t)(data - area));
	if (area + len > data + whole)
		munmap(data + whole, (size_t)(area + len - (data + whole)));
	if (mmap(data, size, prot, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    mmap(data + size, size, prot, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		err = -errno;
		munmap(data, whole);
		return err;
	}
	*out = data;
	return 0;
}

static int attach(struct npp_fring_map *m, int ctl_fd, int data_fd, enum npp_region_kind kind,
		  bool producer)
{
	size_t data_size;
	bool huge;
	int err;

	memset(m, 0, sizeof *m);
	m->ctl_region.fd = -1;
	err = npp_memfd_check(data_fd, &data_size, &huge);
	if (err < 0)
		return err;
	if (!size_ok(data_size))
		return -EBADMSG;
	err = npp_region_map(&m->ctl_region, ctl_fd, true, 0, kind, npp_abi_layout_hash());
	if (err < 0)
		return err;
	m->ctl = m->ctl_region.base;
	m->size = (uint32_t)data_size;
	err = -EBADMSG;
	if (m->ctl_region.size >= sizeof *m->ctl && *(volatile uint32_t *)&m->ctl->size == m->size)
		err = map_twice(data_fd, m->size, huge, producer ? PROT_READ | PROT_WRITE : PROT_READ,
				&m->data);
	if (err < 0)
		npp_fring_detach(m);
	return err;
}

/* Do the two positions, as they stand, make sense? */
static int positions(const struct npp_fring_map *m, uint32_t *head, uint32_t *tail)
{
	/* acquire: pairs with npp_fring_release() and npp_fring_publish() */
	*tail = atomic_load_explicit(&m->ctl->tail, memory_order_acquire);
	*head = atomic_load_explicit(&m->ctl->head, memory_order_acquire);
	return *head - *tail <= m->size && (*head | *tail) % 64 == 0 ? 0 : -EPROTO;
}

int npp_fring_attach_prod(struct npp_fring_prod *p, int ctl_fd, int data_fd, enum npp_region_kind kind)
{
	int err = attach(&p->m, ctl_fd, data_fd, kind, true);

	if (err < 0)
		return err;
	err = positions(&p->m, &p->head, &p->tail_seen);
	if (err < 0)
		npp_fring_detach(&p->m);
	return err;
}

int npp_fring_attach_cons(struct npp_fring_cons *c, int ctl_fd, int data_fd, enum npp_region_kind kind)
{
	int err = attach(&c->m, ctl_fd, data_fd, kind, false);

	if (err < 0)
		return err;
	c->errors = 0;
	err = positions(&c->m, &c->head_seen, &c->tail);
	if (err < 0)
		npp_fring_detach(&c->m);
	return err;
}

void npp_fring_detach(struct npp_fring_map *m)
{
	if (m->data)
		munmap(m->data, 2 * (size_t)m->size);
	npp_region_unmap(&m->ctl_region);
	m->data = NULL;
	m->ctl = NULL;
}

uint32_t npp_fring_unread(struct npp_fring_prod *p)
{
	/* acquire: pairs with npp_fring_release(); the consumer is done with those bytes */
	uint32_t tail = atomic_load_explicit(&p->m.ctl->tail, memory_order_acquire);

	if (p->head - tail <= p->head - p->tail_seen) /* else the tail went backwards or past the head: a lie */
		p->tail_seen = tail;
	return p->head - p->tail_seen;
}

uint32_t npp_fring_room(struct npp_fring_prod *p, uint32_t want)
{
	uint32_t used = p->head - p->tail_seen;

	if (p->m.size - used >= want)
		return p->m.size - used;
	return p->m.size - npp_fring_unread(p);
}

struct npp_frame_rec *npp_fring_reserve(struct npp_fring_prod *p, uint32_t bytes)
{
	if (bytes > p->m.size || npp_fring_room(p, ALIGN64(bytes)) < ALIGN64(bytes))
		return NULL;
	return (struct npp_frame_rec *)(p->m.data + (p->head & (p->m.size - 1)));
}

void npp_fring_commit(struct npp_fring_prod *p, const struct npp_frame_rec *rec)
{
	/* The record lies in memory that the consumer could write to as well. */
	uint32_t len = *(const volatile uint32_t *)&rec->len;
	uint32_t room = p->m.size - (p->head - p->tail_seen);

	if (len <= NPP_FRAME_MAX && ALIGN64((uint32_t)sizeof *rec + len) <= room)
		p->head += ALIGN64((uint32_t)sizeof *rec + len);
}

bool npp_fring_publish(struct npp_fring_prod *p)
{
	/* release: pairs with the acquire in npp_fring_peek() */
	atomic_store_explicit(&p->m.ctl->head, p->head, memory_order_release);
	return npp_bell_claim(&p->m.ctl->sleeping);
}

/* Everything published is given up: the ring makes no sense. */
static const struct npp_frame_rec *drain(struct npp_fring_cons *c)
{
	c->tail = c->head_seen;
	c->errors++;
	return NULL;
}

const struct npp_frame_rec *npp_fring_peek(struct npp_fring_cons *c, uint32_t *len)
{
	const struct npp_frame_rec *rec;
	uint32_t avail = c->head_seen - c->tail, n;

	if (avail == 0) {
		/* acquire: pairs with npp_fring_publish() */
		uint32_t head = atomic_load_explicit(&c->m.ctl->head, memory_order_acquire);

		avail = head - c->tail;
		if (avail == 0)
			return NULL;
		c->head_seen = head & ~63u;
		if (avail > c->m.size || head % 64)
			return drain(c);
	}
	rec = (const struct npp_frame_rec *)(c->m.data + (c->tail & (c->m.size - 1)));
	n = *(const volatile uint32_t *)&rec->len; /* read once: the producer could change it */
	if (n > NPP_FRAME_MAX || ALIGN64((uint32_t)sizeof *rec + n) > avail)
		return drain(c);
	*len = n;
	return rec;
}

void npp_fring_advance(struct npp_fring_cons *c, uint32_t len)
{
	c->tail += ALIGN64((uint32_t)sizeof(struct npp_frame_rec) + len);
}

void npp_fring_release(struct npp_fring_cons *c)
{
	/* release: pairs with the acquire in npp_fring_room() */
	atomic_store_explicit(&c->m.ctl->tail, c->tail, memory_order_release);
}

uint32_t npp_fring_depth(const struct npp_fring_cons *c)
{
	/* acquire: pairs with npp_fring_publish() */
	uint32_t n = atomic_load_explicit(&c->m.ctl->head, memory_order_acquire) - c->tail;

	return n <= c->m.size ? n : 0;
}
