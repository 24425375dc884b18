/* SPDX-License-Identifier: GPL-2.0-or-later
 * replay.c - send a capture into a lab, as if a node of it had made it
 *
 * One side of the capture is replayed: packets to the server, which is whoever got the
 * first SYN, or else the first packet. Their source becomes the node, their destination
 * the node named by --to (or stays, if an address of the lab was captured). Both families,
 * each with the addresses that node and target have in it. MACs, lengths and checksums are made
 * anew, tags of VLANs and whatever else stood before the packet left out; what was captured as
 * one large segment is cut to the MTU. Of a node with several links that one sends whose network the captured client would be on, or else the captured server.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness/replay.h"
#include "harness/verbs.h"

/* ---- the lab's side ---------------------------------------------------------------------------- */

static union npp_addr addr_of(const char *text)	/* "10.0.0.1/24"; any: it is none */
{
	union npp_addr a = { .q = { 0, 0 } };
	char t[64];

	snprintf(t, sizeof t, "%.*s", (int)strcspn(text ? text : "", "/"), text ? text : "");
	return t[0] && npp_addr_parse(t, &a) == 0 ? a : (union npp_addr){ .q = { 0, 0 } };
}

/* The first link of NODE; for a host on NPPs, that of its first NPP. */
static struct lab_if *first_link(struct lab *l, const char *node)
{
	struct lab_node *n = lab_find_node(l, node);

	if (n && n->n_ifs == 0 && n->n_npps)
		n = lab_find_node(l, n->npps[0]);
	return n && n->n_ifs ? &n->ifs[0] : NULL;
}

static struct lab_if *link_by_addr(struct lab *l, const union npp_addr *addr)
{
	union npp_addr a, a6;
	struct link k;

	for (uint32_t i = 0; link_at(l, i, &k); i++) {
		a = addr_of(k.ifc->address);
		a6 = addr_of(k.ifc->address6);
		if (npp_addr_eq(&a, addr) || npp_addr_eq(&a6, addr))
			return k.ifc;
	}
	return NULL;
}

/* Who takes frames for TO on the network of FROM: itself, or the first router there that is not SELF. */
static const struct lab_if *next_hop(struct lab *l, const char *self, const struct lab_if *from, const struct lab_if *to)
{
	struct link k;

	if (strcmp(from->network, to->network) == 0)
		return to;
	for (uint32_t i = 0; link_at(l, i, &k); i++)
		if (strcmp(k.ifc->network, from->network) == 0 && strcmp(k.node->name, self) != 0 &&
		    (strcmp(k.node->kind, "router") == 0 || strcmp(k.node->kind, "firewall") == 0))
			return k.ifc;
	return NULL;
}

static int set_target(struct replay *r, struct lab *l, const struct lab_if *from, const struct lab_if *to,
		      struct npp_err *e)
{
	const struct lab_if *hop = next_hop(l, r->node, from, to);

	if (!hop || npp_conf_parse_mac(hop->mac, r->dst_mac) < 0)
		return npp_err_set(e, -EHOSTUNREACH, "there is no other router from %s to %s (--link names the network to send on)",
				   from->network, to->network);
	r->dst[0] = addr_of(to->address);
	r->dst[1] = addr_of(to->address6);
	r->have_dst = true;
	return 0;
}

static int open_link(struct replay *r, const char *ns, const char *ifname, struct npp_err *e)
{
	struct sockaddr_ll sa = { .sll_family = AF_PACKET };
	struct ifreq ifr = { .ifr_mtu = 0 };
	char path[NS_PATH_CAP];
	int fd = open(ns_path(ns, path), O_RDONLY | O_CLOEXEC), back;

	if (fd < 0)
		return npp_err_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
	back = ns_enter_fd(fd, e);
	close(fd);
	if (back < 0)
		return back;
	r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	sa.sll_ifindex = (int)if_nametoindex(ifname);
	ns_leave(back);
	if (r->fd < 0 || !sa.sll_ifindex || bind(r->fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return npp_err_set(e, -EIO, "cannot open link %s: %s", ifname, strerror(errno));
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", ifname);
	if (ioctl(r->fd, SIOCGIFMTU, &ifr) < 0)
		return npp_err_set(e, -errno, "link %s: %s", ifname, strerror(errno));
	r->mtu = (uint32_t)ifr.ifr_mtu;
	return 0;
}

/* ---- the capture's side --------------------------------------------------------------------------- */

static bool send_frame(struct replay *r, const struct wire_frame *f)
{
	return send(r->fd, f->data, f->len, 0) == (ssize_t)f->len;
}

static void wait_until(const struct replay *r, const struct pcap_pkthdr *h, const struct timeval *first, int64_t start_ns)
{
	int64_t us = ((int64_t)h->ts.tv_sec - first->tv_sec) * 1000000 + (h->ts.tv_usec - first->tv_usec);
	int64_t at = start_ns + (int64_t)((double)us * 1000 / r->speed);
	struct timespec t = { .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 };

	if (us > 0)
		while (!*r->stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
			;
}

static int send_all(struct replay *r, pcap_t *p, struct lab *l, const struct lab_if *from, struct npp_err *e)
{
	struct pcap_pkthdr *h;
	struct timeval first = { 0 };
	struct timespec t;
	const u_char *data;
	int64_t start = 0;
	int rc = 0, bad = 0;

	while (!*r->stop && !bad && (rc = pcap_next_ex(p, &h, &data)) == 1) {
		if (!start) {
			clock_gettime(CLOCK_MONOTONIC, &t);
			start = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
			first = h->ts;
		} else if (r->speed > 0) {
			wait_until(r, h, &first, start);
		}
		if (!r->have_dst) {	/* the captured server, if it is one of the lab */
			struct lab_if *to;
			struct replay_packet k;

			replay_look(r, &k, data, h->caplen);
			if (npp_addr_is_any(&r->server)) {
				*(r->in->len ? &r->other : &r->skipped) += 1;
				continue;
			}
			to = link_by_addr(l, &r->server);
			if (!to)
				return npp_err_set(e, -EHOSTUNREACH, "the captured server is no node of the lab: name one by --to");
			bad = set_target(r, l, from, to, e);
		}
		if (!bad)
			replay_one(r, data, h->caplen);
	}
	if (rc == PCAP_ERROR)
		return npp_err_set(e, -EINVAL, "%s: %s; %llu frames were sent before", r->file, pcap_geterr(p),
				   (unsigned long long)r->sent);
	return bad;
}

/* ---- which link -------------------------------------------------------------------------------------- */

/* The link of N that is called TEXT: NETWORK, or NODE.NETWORK. */
static struct lab_if *named_link(const struct lab_node *n, const char *text, struct npp_err *e)
{
	size_t len = strlen(n->name);
	char all[160] = "";

	if (strncmp(text, n->name, len) == 0 && text[len] == '.')
		text += len + 1;
	for (uint32_t i = 0; i < n->n_ifs; i++) {
		if (strcmp(n->ifs[i].network, text) == 0)
			return &n->ifs[i];
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", n->ifs[i].network);
	}
	npp_err_set(e, -ENOENT, "'%s' has no link to a network '%s': it is on %s", n->name, text, all);
	return NULL;
}

static bool has_neighbour(const struct lab_if *f, const union npp_addr *a)
{
	union npp_addr own;
	unsigned len;

	return (npp_addr_parse_prefix(f->address, &own, &len) == 0 && npp_addr_in_prefix(a, &own, len)) ||
	       (npp_addr_parse_prefix(f->address6 ? f->address6 : "", &own, &len) == 0 && npp_addr_in_prefix(a, &own, len));
}

static struct lab_if *link_to(const struct lab_node *n, const union npp_addr *a)
{
	for (uint32_t i = 0; i < n->n_ifs; i++)
		if (has_neighbour(&n->ifs[i], a))
			return &n->ifs[i];
	return NULL;
}

static pcap_t *open_file(struct replay *r, struct npp_err *e)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *p = pcap_open_offline(r->file, text);
	const char *type;

	if (!p) {	/* some of its words name the file */
		bool named = strncmp(text, r->file, strlen(r->file)) == 0;

		npp_err_set(e, -EINVAL, "%s%s%s", named ? "" : r->file, named ? "" : ": ", text);
		return NULL;
	}
	r->dlt = pcap_datalink(p);
	if (replay_can(r->dlt))
		return p;
	type = pcap_datalink_val_to_name(r->dlt);
	npp_err_set(e, -EINVAL, "%s: frames of link type %s (%d) cannot be replayed, only of Ethernet, LINUX_SLL, "
		    "LINUX_SLL2, RAW, NULL and LOOP", r->file, type ? type : "?", r->dlt);
	pcap_close(p);
	return NULL;
}

/* The captured client and server, as the first packet to the server has them. */
static int captured_ends(struct replay *r, struct replay_packet *k, struct npp_err *e)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p = open_file(r, e);
	bool found = false;

	if (!p)
		return -EINVAL;
	while (!found && pcap_next_ex(p, &h, &data) == 1)
		found = replay_look(r, k, data, h->caplen);
	pcap_close(p);
	if (!found)
		*k = (struct replay_packet){ .v6 = false };
	return 0;
}

/* The link of N on which the client would be, if there is a way to TARGET (NULL: the captured server) from
 * there; or else on which the server would be; or else the first. */
static struct lab_if *fitting_link(struct replay *r, struct lab *l, const struct lab_node *n, const struct lab_if *target,
				   struct npp_err *e)
{
	struct lab_if *f;
	struct replay_packet k;

	if (n->n_ifs == 1)
		return &n->ifs[0];
	if (captured_ends(r, &k, e) < 0)
		return NULL;
	if (!target)
		target = link_by_addr(l, &k.dst);
	f = link_to(n, &k.src);
	if (f && (!target || next_hop(l, n->name, f, target)))
		return f;
	f = link_to(n, &k.dst);
	return f ? f : &n->ifs[0];
}

/* A script must not take for done what was not. */
static int report(const struct replay *r, struct npp_err *e)
{
	if (!r->sent && !*r->stop && (r->foreign[0] || r->foreign[1]))
		return npp_err_set(e, -ENODATA, "%s: nothing was sent: of IPv%d, which was captured, '%s' or where it sends to has no address",
				   r->file, r->foreign[1] ? 6 : 4, r->node);
	if (!r->sent && !*r->stop)
		return npp_err_set(e, -ENODATA, "%s: nothing was sent: %llu frames were not for the server, %llu could not be sent",
				   r->file, (unsigned long long)r->other, (unsigned long long)r->skipped);
	if (r->json)
		printf("{\"link\": \"%s.%s\", \"sent\": %llu, \"bytes\": %llu, \"other_direction\": %llu, \"skipped\": %llu}\n",
		       r->node, r->link, (unsigned long long)r->sent, (unsigned long long)r->bytes, (unsigned long long)r->other,
		       (unsigned long long)r->skipped);
	else
		printf("%llu frames sent on %s, %llu were not for the server, %llu could not be sent\n",
		       (unsigned long long)r->sent, r->link, (unsigned long long)r->other, (unsigned long long)r->skipped);
	return 0;
}

static int replay(struct lab *l, void *arg, struct npp_err *e)
{
	struct replay *r = arg;
	struct lab_node *n = lab_find_node(l, r->node);
	struct lab_if *from, *target;
	pcap_t *p;
	int rc;

	if (!n || !n->n_ifs || strcmp(n->stack, "kernel") != 0)
		return npp_err_set(e, -EINVAL, "'%s' is no node with a link of the kernel's", r->node);
	target = r->to ? first_link(l, r->to) : NULL;
	if (r->to && !target)
		return npp_err_set(e, -ENOENT, "lab '%s' has no node '%s' with a link", l->name, r->to);
	if (target && lab_find_node(l, r->to) == n)
		return npp_err_set(e, -EINVAL, "--to '%s' is the node itself: its frames go to others", r->to);
	from = r->link ? named_link(n, r->link, e) : fitting_link(r, l, n, target, e);
	if (!from)
		return -EINVAL;
	r->link = from->network;
	r->src[0] = addr_of(from->address);
	r->src[1] = addr_of(from->address6);
	npp_conf_parse_mac(from->mac, r->src_mac);
	rc = target ? set_target(r, l, from, target, e) : 0;
	if (rc == 0)
		rc = open_link(r, n->ns, from->network, e);
	if (rc < 0)
		return rc;
	p = open_file(r, e);
	if (!p)
		return -EINVAL;
	rc = send_all(r, p, l, from, e);
	pcap_close(p);
	return rc < 0 ? rc : report(r, e);
}

static struct wire_frame *buffer(void)
{
	struct wire_frame *f = calloc(1, REPLAY_FRAME_MAX + sizeof *f);

	if (!f)
		npp_fatalx("out of memory");
	f->cap = REPLAY_FRAME_MAX;
	return f;
}

int lab_replay(const char *lab, const char *node, const char *link, const char *file, const char *to, double speed, bool json)
{
	struct replay r = { .fd = -1, .out = send_frame, .speed = speed, .in = buffer(), .cut = buffer(), .json = json, .node = node,
			    .link = link, .file = file, .to = to, .stop = stop_on_signals() };
	int rc = lab_with(lab, true, "replay", json, replay, &r);

	if (r.fd >= 0)
		close(r.fd);
	free(r.in);
	free(r.cut);
	return rc < 0;
}
