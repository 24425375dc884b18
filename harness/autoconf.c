/* SPDX-License-Identifier: GPL-2.0-or-later
 * autoconf.c - until nodes have the addresses that they make of advertisements (key `autoconf`)
 *
 * Whether it is a node of the kernel or an NPP: a router of its network connects to a port that
 * nobody serves, and is refused.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/lab.h"

#define ADVERT_MS 30000		/* a lost solicitation is repeated after 4 s */
#define TRY_MS 100

/* In the namespace that the caller is in. */
static bool answers(const union npp_addr *a)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	struct pollfd p = { .fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = errno;

	if (p.fd < 0)
		return false;
	memcpy(&sa.sin6_addr, a, sizeof sa.sin6_addr);
	if (connect(p.fd, (struct sockaddr *)&sa, sizeof sa) == 0)
		err = 0;
	else
		err = errno;
	if (err == EINPROGRESS && poll(&p, 1, TRY_MS) == 1)
		getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &err, &len);
	close(p.fd);
	return err == 0 || err == ECONNREFUSED;
}

/* A router on the segment of network NET, which advertises there. */
static const struct lab_node *router_of(const struct lab *l, const struct topo *t, uint32_t net)
{
	for (uint32_t i = 0; i < t->n_nodes; i++)
		for (uint32_t j = 0; topo_forwards(&t->nodes[i]) && j < t->nodes[i].n_ifs; j++)
			if (topo_same_seg(t, t->nodes[i].ifs[j].net, net))
				return &l->nodes[i];
	return NULL;
}

static int wait_if(const struct lab *l, const struct topo *t, uint32_t i, const struct topo_if *f, int64_t end,
		   const volatile int *stop, struct npp_err *e)
{
	const struct lab_node *from = router_of(l, t, f->net);
	char path[NS_PATH_CAP], text[NPP_ADDR_STRLEN];
	int fd = from ? open(ns_path(from->ns, path), O_RDONLY | O_CLOEXEC) : -1, back, r = 0;

	if (fd < 0)
		return npp_err_set(e, -errno, "cannot open the namespace of a router of '%s'", t->nets[f->net].name);
	back = ns_enter_fd(fd, e);
	close(fd);
	if (back < 0)
		return back;
	while (r == 0 && !answers(&f->addr6)) {
		if (*stop)
			r = npp_err_set(e, -EINTR, "stopped by signal %d", *stop);
		else if (now_ms() > end)
			r = npp_err_set(e, -ETIMEDOUT, "'%s' does not answer as %s after %d s: has '%s' advertised?", t->nodes[i].name,
					npp_addr_format(&f->addr6, text), ADVERT_MS / 1000, from->name);
		else
			pause_ms(10);
	}
	ns_leave(back);
	return r;
}

int autoconf_wait(const struct lab *l, const struct topo *t, const volatile int *stop, struct npp_err *e)
{
	int64_t end = now_ms() + ADVERT_MS;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < t->n_nodes; i++)
		for (uint32_t j = 0; r == 0 && j < t->nodes[i].n_ifs; j++)
			if (t->nodes[i].ifs[j].autoconf)
				r = wait_if(l, t, i, &t->nodes[i].ifs[j], end, stop, e);
	return r;
}
