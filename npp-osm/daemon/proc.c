/* SPDX-License-Identifier: GPL-2.0-or-later
 * proc.c - processes: who they are, their descriptor tables, fork
 *
 * A process is its pid and its start time. The OSM watches each by a pidfd. The table
 * of a process is in chunks of host memory that only the process writes while it
 * lives; a fork copies it into an embryo, which becomes the child's record whichever
 * of child and parent is heard first.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"

/* Field 22 of /proc/PID/stat. 0, -ESRCH, or -EPROTO. */
int osm_proc_start_time(int pid, uint64_t *start)
{
	char path[32], buf[1024], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = read(fd, buf, sizeof buf - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	buf[n] = 0;
	p = strrchr(buf, ')'); /* the name in field 2 may hold anything */
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p + 1, ' ');
		/* A zombie has left already, its descriptors are closed. */
		if (p && field == 2 && (p[1] == 'Z' || p[1] == 'X'))
			return -ESRCH;
	}
	if (!p)
		return -EPROTO;
	*start = strtoull(p + 1, NULL, 10);
	return 0;
}

/* Writes record P through to host memory. */
void osm_proc_save(struct npp_osm *o, unsigned p)
{
	const struct osm_proc *x = &o->proc[p];
	struct npp_proc *shm = &o->proc_shm[p];

	shm->start_time = x->start;
	shm->parent = x->parent;
	o->books_shm->proc[p] = o->books->proc[p];
	for (unsigned k = 0; k < NPP_FDTAB_CHUNKS; k++)
		atomic_store_explicit(&shm->chunk_off64[k], x->chunk[k], memory_order_release);
	if (x->pid || x->state != NPP_PROC_EMBRYO) /* the child may have written it by now */
		atomic_store_explicit(&shm->pid, (uint32_t)x->pid, memory_order_relaxed);
	atomic_store_explicit(&shm->state, x->state, memory_order_release);
}

static void set_state(struct npp_osm *o, unsigned p, uint32_t state)
{
	int64_t d = (o->proc[p].state == NPP_PROC_FREE) - (state == NPP_PROC_FREE);

	npp_stat_add(o->stat, NPP_OS_PROCS, (uint64_t)d);
	o->proc[p].state = state;
}

static int proc_new(struct npp_osm *o, uint32_t state, unsigned *p)
{
	unsigned i;

	for (i = 0; i < NPP_MAX_PROCS && o->proc[i].state != NPP_PROC_FREE; i++)
		;
	if (i == NPP_MAX_PROCS)
		return -EAGAIN;
	o->proc[i] = (struct osm_proc){ .pidfd = -1, .parent = OSM_NO_PROC, .serial = ++o->serial };
	o->books->proc[i] = (struct osm_proc_rec){ 0 };
	set_state(o, i, state);
	*p = i;
	return 0;
}

/* Frees record P and its chunks; nothing may refer to it any more. */
void osm_proc_free(struct npp_osm *o, unsigned p)
{
	struct osm_proc *x = &o->proc[p];
	uint32_t chunk[NPP_FDTAB_CHUNKS];

	if (x->pidfd >= 0)
		close(x->pidfd);
	memcpy(chunk, x->chunk, sizeof chunk);
	memset(x->chunk, 0, sizeof x->chunk);
	x->pidfd = -1;
	x->pid = 0;
	set_state(o, p, NPP_PROC_FREE);
	osm_proc_save(o, p);
	for (unsigned k = 0; k < NPP_FDTAB_CHUNKS; k++)
		if (chunk[k])
			osm_free(o, (uint64_t)chunk[k] * 64, OSM_CHUNK_BYTES);
	for (unsigned i = 0; i < NPP_MAX_PROCS; i++)
		if (o->proc[i].state == NPP_PROC_EMBRYO && o->proc[i].parent == p) {
			o->proc[i].parent = OSM_NO_PROC;
			o->proc[i].deadline = o->now + OSM_EMBRYO_US;
			osm_proc_save(o, i);
		}
}

/* Watches the process of record P (pid known) for its end and makes the record OPEN.
 * 0, or -ESRCH if it is gone already. */
int osm_proc_watch(struct npp_osm *o, unsigned p)
{
	struct osm_proc *x = &o->proc[p];
	uint64_t start = 0;
	int err;

	if (x->pidfd < 0)
		x->pidfd = (int)syscall(SYS_pidfd_open, x->pid, 0);
	if (x->pidfd < 0)
		return errno == ESRCH || errno == EINVAL ? -ESRCH : -errno;
	err = osm_proc_start_time(x->pid, &start);
	if (!err && x->start && x->start != start)
		err = -ESRCH;
	if (!err)
		err = osm_poll_add(o, x->pidfd, OSM_EV_PROC, p, x->serial);
	if (err)
		return err;
	x->start = start;
	x->deadline = 0;
	set_state(o, p, NPP_PROC_OPEN);
	osm_proc_save(o, p);
	return 0;
}

static int find_open(const struct npp_osm *o, int pid)
{
	for (unsigned i = 0; i < NPP_MAX_PROCS; i++)
		if (o->proc[i].state == NPP_PROC_OPEN && o->proc[i].pid == pid)
			return (int)i;
	return -1;
}

/* The embryo of the child PID: it wrote its pid into the record itself. */
static int find_embryo(const struct npp_osm *o, int pid)
{
	for (unsigned i = 0; i < NPP_MAX_PROCS; i++)
		if (o->proc[i].state == NPP_PROC_EMBRYO &&
		    (int)atomic_load_explicit(&o->proc_shm[i].pid, memory_order_acquire) == pid)
			return (int)i;
	return -1;
}

/* The record for the process behind connection C. */
int osm_proc_hello(struct npp_osm *o, struct osm_conn *c, const struct npp_ctl_hello *h, unsigned *proc)
{
	uint64_t start;
	unsigned p;
	int i, err;

	if (h->abi_version != NPP_ABI_VERSION || h->layout_hash != npp_abi_layout_hash())
		return -EPROTO;
	if (h->pid != c->pid)
		return -EPERM;
	err = osm_proc_start_time(c->pid, &start);
	if (err || (h->start_time && h->start_time != start))
		return -ESRCH;
	i = find_open(o, c->pid);
	if (i >= 0 && o->proc[i].start != start) {
		osm_proc_died(o, (unsigned)i); /* the pid is another process now */
		i = -1;
	}
	if (i >= 0) {
		p = (unsigned)i;
		if (o->books->proc[p].image && o->books->proc[p].image != h->image)
			osm_image_gone(o, p);
	} else {
		i = find_embryo(o, c->pid);
		p = (unsigned)i;
		err = i < 0 ? proc_new(o, NPP_PROC_EMBRYO, &p) : 0;
		if (err)
			return err;
		o->proc[p].pid = c->pid;
		o->proc[p].start = start;
		err = osm_proc_watch(o, p);
		if (err) {
			osm_proc_died(o, p);
			return err;
		}
	}
	o->books->proc[p].image = h->image;
	osm_proc_save(o, p);
	*proc = p;
	return 0;
}

/* Makes chunk K of the table of P. 0, -EINVAL, or -ENOMEM. */
int osm_proc_chunk(struct npp_osm *o, unsigned p, uint32_t k)
{
	uint64_t off;

	if (k >= NPP_FDTAB_CHUNKS)
		return -EINVAL;
	if (o->proc[p].chunk[k])
		return 0;
	off = osm_alloc(o, OSM_CHUNK_BYTES);
	if (!off)
		return -ENOMEM;
	o->proc[p].chunk[k] = (uint32_t)(off / 64);
	atomic_store_explicit(&o->proc_shm[p].chunk_off64[k], (uint32_t)(off / 64), memory_order_release);
	return 0;
}

/* ---- fork -------------------------------------------------------------------------- */

/* The word at SRC with one reference more on what it names, or 0. The parent is asked to
 * hold still, but a thread of it that does not must not make us count wrong: the
 * reference is raised only from above 0 and the word is read again. */
static uint64_t copy_word(struct npp_osm *o, npp_fdword_t *src)
{
	for (unsigned tries = 0; tries < 100; tries++) {
		uint64_t w = atomic_load_explicit(src, memory_order_acquire);
		uint32_t gen = (uint32_t)(w >> 32);
		struct npp_sock *s = w ? osm_sock(o, (uint32_t)w - 1) : NULL;

		if (!s || atomic_load_explicit(&s->gen, memory_order_acquire) != gen || !osm_ref_up(s))
			return 0;
		if (atomic_load_explicit(src, memory_order_acquire) == w &&
		    atomic_load_explicit(&s->gen, memory_order_acquire) == gen)
			return w;
		osm_ref_drop(o, (uint32_t)w - 1, gen, NULL);
	}
	return 0;
}

/* An embryo with a copy of the table of PARENT. 0, -EAGAIN, or -ENOMEM. */
int osm_proc_fork(struct npp_osm *o, unsigned parent, unsigned *embryo)
{
	unsigned p;
	int err = proc_new(o, NPP_PROC_EMBRYO, &p);

	if (err)
		return err;
	o->proc[p].parent = parent;
	o->proc_shm[p].turn = o->proc_shm[p].turn % 0xffff + 1;
	osm_proc_save(o, p);
	for (unsigned k = 0; k < NPP_FDTAB_CHUNKS; k++) {
		npp_fdword_t *src, *dst;

		if (!o->proc[parent].chunk[k])
			continue;
		err = osm_proc_chunk(o, p, k);
		if (err) {
			osm_proc_died(o, p);
			return err;
		}
		src = osm_at64(o, o->proc[parent].chunk[k]);
		dst = osm_at64(o, o->proc[p].chunk[k]);
		for (unsigned i = 0; i < NPP_FDTAB_CHUNK; i++)
			if (atomic_load_explicit(&src[i], memory_order_relaxed))
				atomic_store_explicit(&dst[i], copy_word(o, &src[i]), memory_order_release);
	}
	*embryo = p;
	return 0;
}

/* The parent says what fork returned. 0, or -EINVAL for an embryo that is not its: the child may have lived and died
 * by now, and another thread of the parent may fork with what was the child's place. */
int osm_proc_fork_done(struct npp_osm *o, unsigned parent, uint32_t said, int32_t pid)
{
	uint32_t embryo = said & 0xffff, turn = said >> 16; /* none: of a program before there were turns */
	struct osm_proc *x;
	int err;

	if (embryo >= NPP_MAX_PROCS || o->proc[embryo].parent != parent || pid < 0 ||
	    (turn && turn != o->proc_shm[embryo].turn))
		return -EINVAL;
	x = &o->proc[embryo];
	if (x->state == NPP_PROC_OPEN)
		return x->pid == pid ? 0 : -EINVAL; /* the child was faster */
	if (x->state != NPP_PROC_EMBRYO)
		return -EINVAL;
	if (pid == 0 || find_open(o, pid) >= 0) {
		osm_proc_died(o, embryo);
		return 0;
	}
	x->pid = pid;
	err = osm_proc_watch(o, embryo);
	if (err)
		osm_proc_died(o, embryo); /* the child has died already */
	return 0;
}

/* Embryos whose parent died: the child either wrote its pid or never will. And
 * processes that were found dead by a new OSM. */
void osm_embryo_tick(struct npp_osm *o)
{
	for (unsigned i = 0; i < NPP_MAX_PROCS; i++) {
		struct osm_proc *x = &o->proc[i];

		if (x->state == NPP_PROC_FREE || x->deadline == 0 || o->now < x->deadline)
			continue;
		if (x->state == NPP_PROC_OPEN) {
			osm_proc_died(o, i);
			continue;
		}
		x->pid = (int)atomic_load_explicit(&o->proc_shm[i].pid, memory_order_acquire);
		if (x->pid <= 0 || find_open(o, x->pid) >= 0 || osm_proc_watch(o, i))
			osm_proc_died(o, i);
	}
}
