/* SPDX-License-Identifier: GPL-2.0-or-later
 * kaddr.c - is this IPv4 address one of the kernel's own here?
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

struct found { uint32_t n, addr[KADDR_MAX]; };

static void take_message(const struct nlmsghdr *h, struct found *f)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA(h);
	const struct rtattr *a = IFA_RTA(ifa);
	int len = (int)IFA_PAYLOAD(h);
	uint32_t addr = 0, local = 0;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof *ifa) || ifa->ifa_family != AF_INET)
		return;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFA_LOCAL && RTA_PAYLOAD(a) >= 4)
			memcpy(&local, RTA_DATA(a), 4);
		else if (a->rta_type == IFA_ADDRESS && RTA_PAYLOAD(a) >= 4)
			memcpy(&addr, RTA_DATA(a), 4);
	}
	if (f->n < KADDR_MAX && (local || addr))
		f->addr[f->n++] = local ? local : addr;
}

static void refresh(void)
{
	struct { struct nlmsghdr h; struct ifaddrmsg a; } q = {
		.h = { .nlmsg_len = sizeof q, .nlmsg_type = RTM_GETADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.a = { .ifa_family = AF_INET },
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
	R->close(fd);
	for (uint32_t i = 0; i < f.n; i++)
		atomic_store_explicit(&npp_lib.kaddr.addr[i], f.addr[i], memory_order_relaxed);
	/* release: pairs with the acquire in kaddr_is_local() */
	atomic_store_explicit(&npp_lib.kaddr.n, f.n, memory_order_release);
}

bool kaddr_is_local(const union npp_addr *addr)
{
	uint64_t now = lib_now_us();
	uint32_t want = npp_addr_get_v4(addr), n;

	if (atomic_load_explicit(&npp_lib.kaddr.until_us, memory_order_relaxed) < now) {
		int saved = errno;

		atomic_store_explicit(&npp_lib.kaddr.until_us, now + KEEP_US, memory_order_relaxed);
		refresh();
		errno = saved;
	}
	n = atomic_load_explicit(&npp_lib.kaddr.n, memory_order_acquire);
	for (uint32_t i = 0; i < n && i < KADDR_MAX; i++)
		if (atomic_load_explicit(&npp_lib.kaddr.addr[i], memory_order_relaxed) == want)
			return true;
	return false;
}
