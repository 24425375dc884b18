/* SPDX-License-Identifier: GPL-2.0-or-later
 * kaddr.c - is this address one of the kernel's own here?
 *
 * Connections to an address of this network namespace stay the kernel's even if an NPP
 * has a route there. The list is asked of rtnetlink and kept for two seconds.
 */
#include "config.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "npp-osm/libnpp/priv.h"

#define KEEP_US 2000000

struct found { uint32_t n; union npp_addr addr[KADDR_MAX]; };

static void take_message(const struct nlmsghdr *h, struct found *f)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA(h);
	const struct rtattr *a = IFA_RTA(ifa);
	int len = (int)IFA_PAYLOAD(h);
	bool local = false, v4;
	union npp_addr addr = { .q = { 0, 0 } };

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof *ifa) || (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return;
	v4 = ifa->ifa_family == AF_INET;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		uint32_t four;

		if ((a->rta_type != IFA_LOCAL && a->rta_type != IFA_ADDRESS) || local ||
		    RTA_PAYLOAD(a) < (v4 ? sizeof four : sizeof addr))
			continue;
		local = a->rta_type == IFA_LOCAL; /* of a pair this is our end */
		if (v4) {
			memcpy(&four, RTA_DATA(a), sizeof four);
			addr = npp_addr_v4(four);
		} else {
			memcpy(addr.b, RTA_DATA(a), sizeof addr);
		}
	}
	if (f->n < KADDR_MAX && !npp_addr_is_any(&addr))
		f->addr[f->n++] = addr;
}

static void refresh(void)
{
	struct { struct nlmsghdr h; struct ifaddrmsg a; } q = {
		.h = { .nlmsg_len = sizeof q, .nlmsg_type = RTM_GETADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.a = { .ifa_family = AF_UNSPEC },
	};
	union { struct nlmsghdr h; char b[8192]; } buf;
	int fd = R->socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct found f = { .n = 0 };
	bool done = false;

	if (fd < 0)
		return;
	if (R->send(fd, &q, sizeof q, 0) < 0)
		done = true;
	while (!done) {
		ssize_t n = R->recv(fd, &buf, sizeof buf, 0);
		unsigned left = n > 0 ? (unsigned)n : 0;

		if (n <= 0)
			break;
		for (struct nlmsghdr *h = &buf.h; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == RTM_NEWADDR)
				take_message(h, &f);
			else
				done = true;
		}
	}
	lib_close(fd);
	for (uint32_t i = 0; i < f.n; i++)
		for (unsigned k = 0; k < 2; k++)
			atomic_store_explicit(&npp_lib.kaddr.addr[i][k], f.addr[i].q[k], memory_order_relaxed);
	/* release: pairs with the acquire in kaddr_is_local() */
	atomic_store_explicit(&npp_lib.kaddr.n, f.n, memory_order_release);
}

bool kaddr_is_local(const union npp_addr *addr)
{
	uint64_t now = lib_now_us();
	uint32_t n;

	if (atomic_load_explicit(&npp_lib.kaddr.until_us, memory_order_relaxed) < now) {
		int saved = errno;

		atomic_store_explicit(&npp_lib.kaddr.until_us, now + KEEP_US, memory_order_relaxed);
		refresh();
		errno = saved;
	}
	n = atomic_load_explicit(&npp_lib.kaddr.n, memory_order_acquire);
	for (uint32_t i = 0; i < n && i < KADDR_MAX; i++)
		if (atomic_load_explicit(&npp_lib.kaddr.addr[i][0], memory_order_relaxed) == addr->q[0] &&
		    atomic_load_explicit(&npp_lib.kaddr.addr[i][1], memory_order_relaxed) == addr->q[1])
			return true;
	return false;
}
