/* SPDX-License-Identifier: GPL-2.0-or-later
 * tap.c - an end of a wire: a TAP with virtio headers, so that GSO frames stay whole
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness/nl.h"
#include "harness/ns.h"
#include "harness/wire/tap.h"
#include "lib/conf.h"

#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

static int copy_text(char *to, size_t cap, const char *text)
{
	if (!*text || strlen(text) >= cap)
		return -EINVAL;
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static int parse_word(struct wire_end *e, const char *key, const char *value)
{
	uint64_t v;

	if (strcmp(key, "netns") == 0)
		return copy_text(e->netns, sizeof e->netns, value);
	if (strcmp(key, "name") == 0)
		return copy_text(e->name, sizeof e->name, value);
	if (strcmp(key, "bridge") == 0)
		return copy_text(e->bridge, sizeof e->bridge, value);
	if (strcmp(key, "port") == 0)
		return copy_text(e->port, sizeof e->port, value);
	if (strcmp(key, "mac") == 0) {
		e->has_mac = true;
		return npp_conf_parse_mac(value, e->mac);
	}
	if (strcmp(key, "mtu") == 0) {
		if (npp_conf_parse_u64(value, &v) < 0 || v < 68 || v > 65521)
			return -EINVAL;
		e->mtu = (uint32_t)v;
		return 0;
	}
	return -EINVAL;
}

int wire_end_parse(struct wire_end *e, const char *spec, struct npp_err *err)
{
	char text[512], *save = NULL, *word, *eq;

	memset(e, 0, sizeof *e);
	e->fd = e->events = -1;
	if (strlen(spec) >= sizeof text)
		return npp_err_set(err, -EINVAL, "an end with more than %zu characters", sizeof text - 1);
	strcpy(text, spec);
	for (word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		eq = strchr(word, '=');
		if (eq)
			*eq = '\0';
		if (!eq || parse_word(e, word, eq + 1) < 0)
			return npp_err_set(err, -EINVAL, "end '%s': '%s' is wrong; expected netns=PATH, name=NAME, "
					   "mac=MAC, mtu=68..65521, bridge=NAME or port=NAME", spec, word);
	}
	return e->name[0] ? 0 : npp_err_set(err, -EINVAL, "end '%s' has no name=", spec);
}

static int make_tap(struct wire_end *e, struct npp_err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0)
		return npp_err_set(err, -errno, "cannot open /dev/net/tun: %s%s", strerror(errno),
				   errno == EACCES ? " (others than root can have wires where its mode is 0666)" : "");
	memcpy(ifr.ifr_name, e->name, sizeof e->name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETOFFLOAD, (unsigned long)OFFLOADS) < 0) {
		r = -errno;
		close(fd);
		return npp_err_set(err, r, "cannot make TAP %s: %s", e->name, strerror(-r));
	}
	e->fd = fd;
	return 0;
}

int wire_end_open(struct wire_end *e, struct npp_err *err)
{
	const char *path = e->netns[0] ? e->netns : "/proc/self/ns/net";
	struct nl_link_info i;
	int r = nl_ns_open(&e->nl, path, path, err), back;

	if (r < 0)
		return r;
	e->events = nl_watch_links(&e->nl, err);
	if (e->events < 0)
		return e->events;
	back = ns_enter_fd(e->nl.fd, err);
	if (back < 0) {
		r = back;
	} else {
		r = make_tap(e, err);
		ns_leave(back);
	}
	if (r == 0)
		r = nl_setup_link(&e->nl, e->name, e->has_mac ? e->mac : NULL, e->mtu, e->bridge[0] ? e->bridge : NULL, err);
	if (r == 0)
		r = nl_link_info(&e->nl, e->name, &i, err);
	if (r == 0)
		e->index = i.index;
	return r;
}

int wire_end_read(const struct wire_end *e, struct wire_frame *f)
{
	ssize_t n = read(e->fd, (uint8_t *)f + offsetof(struct wire_frame, vh), f->cap + sizeof f->vh);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n < (ssize_t)sizeof f->vh)
		return -EPROTO;
	f->len = (uint32_t)((size_t)n - sizeof f->vh);
	return (int)n;
}

int wire_end_write(const struct wire_end *e, const struct wire_frame *f)
{
	ssize_t n;

	do
		n = write(e->fd, (const uint8_t *)f + offsetof(struct wire_frame, vh), f->len + sizeof f->vh);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}
