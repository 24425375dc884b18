/* SPDX-License-Identifier: GPL-2.0-or-later
 * pass.c - sockets on their way from process to process in SCM_RIGHTS
 *
 * What travels in the message of a program is one end of a pair of sockets, the ticket; the other
 * end is here, and stands for one reference. The kernel tells when nobody has the ticket any
 * more, whatever became of it: taken (the receiver has a descriptor word with a reference
 * of its own by then), thrown away with a message that nobody read, or closed by a
 * receiver that died. The references stand in the books; the ends do not outlive an
 * OSM, so its successor drops them after OSM_PASS_LOST_US. One process has a quarter of the
 * tickets at most, so that none can keep all others from passing sockets.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "npp-osm/daemon/priv.h"

static void save(struct npp_osm *o, unsigned k)
{
	o->books_shm->pass[k] = o->books->pass[k];
}

/* A free ticket for the process of serial SENDER; OSM_MAX_PASS: none, or it has its share under way. */
static unsigned find_free(const struct npp_osm *o, uint32_t sender)
{
	unsigned mine = 0, k = OSM_MAX_PASS;

	for (unsigned i = 0; i < OSM_MAX_PASS; i++) {
		if (!o->books->pass[i].sock)
			k = i;
		else
			mine += o->pass[i].sender == sender;
	}
	return mine < OSM_MAX_PASS_PROC ? k : OSM_MAX_PASS;
}

/**
 * osm_pass() - a reference on record I for whoever has the other end of FD
 * @p: the record of the process that sends it
 * @fd: ours from now on, if this succeeds
 *
 * Return: 0, -ESTALE, -ETOOMANYREFS, or -errno
 */
int osm_pass(struct npp_osm *o, unsigned p, uint32_t i, uint32_t gen, int fd)
{
	struct npp_sock *s = osm_sock(o, i);
	unsigned k;
	int err;

	if (!s || atomic_load_explicit(&s->gen, memory_order_acquire) != gen)
		return -ESTALE;
	k = find_free(o, o->proc[p].serial);
	if (k == OSM_MAX_PASS)
		return -ETOOMANYREFS;
	if (!osm_ref_up(s))
		return -ESTALE;
	o->pass[k] = (struct osm_pass){ .fd = fd, .serial = ++o->serial, .sender = o->proc[p].serial };
	err = osm_poll_add(o, fd, OSM_EV_PASS, k, o->serial);
	if (err) {
		o->pass[k].fd = -1;
		osm_ref_drop(o, i, gen, NULL);
		return err;
	}
	o->books->pass[k] = (struct osm_ref){ i, gen };
	save(o, k);
	return 0;
}

/* Nobody has ticket K any more. */
void osm_pass_end(struct npp_osm *o, unsigned k)
{
	struct osm_ref r = o->books->pass[k];

	if (o->pass[k].fd >= 0) {
		osm_poll_del(o, o->pass[k].fd); /* the program may have it too, or a child of it: then this is not its end */
		close(o->pass[k].fd);
	}
	o->pass[k] = (struct osm_pass){ .fd = -1 };
	o->books->pass[k] = (struct osm_ref){ 0 };
	save(o, k);
	osm_ref_drop(o, r.sock, r.gen, NULL);
}

/* Is record I under way? */
bool osm_passing(const struct npp_osm *o, uint32_t i, uint32_t gen)
{
	for (unsigned k = 0; k < OSM_MAX_PASS; k++)
		if (o->books->pass[k].sock == i && o->books->pass[k].gen == gen)
			return true;
	return false;
}

/* Adds what is under way to COUNT, by record. */
void osm_pass_count(const struct npp_osm *o, uint32_t *count)
{
	for (unsigned k = 0; k < OSM_MAX_PASS; k++) {
		struct osm_ref r = o->books->pass[k];
		struct npp_sock *s = osm_sock(o, r.sock);

		if (s && atomic_load_explicit(&s->gen, memory_order_acquire) == r.gen)
			count[r.sock]++;
	}
}

/* What our predecessor had under way: we cannot see the end of it. */
void osm_pass_rebuild(struct npp_osm *o)
{
	for (unsigned k = 0; k < OSM_MAX_PASS; k++) {
		o->pass[k] = (struct osm_pass){ .fd = -1 };
		if (!osm_sock(o, o->books->pass[k].sock))
			o->books->pass[k] = (struct osm_ref){ 0 };
		else
			o->pass[k].deadline = o->now + OSM_PASS_LOST_US;
		save(o, k);
	}
}

void osm_pass_tick(struct npp_osm *o)
{
	for (unsigned k = 0; k < OSM_MAX_PASS; k++)
		if (o->pass[k].deadline && o->now >= o->pass[k].deadline)
			osm_pass_end(o, k);
}
