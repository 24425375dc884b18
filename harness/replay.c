/* SPDX-License-Identifier: GPL-2.0-or-later
 * replay.c - send a capture into a lab, as if a node of it had made it
 *
 * One side of the capture is replayed: packets to the server, which is whoever got the
 * first SYN, or else the first packet. Their source becomes the node, their destination
 * the node named by --to (or stays, if an address of the lab was captured). Both families,
 * each with the addresses that node and target have in it. MACs, lengths and checksums are made
 * anew; what was captured as one large segment is cut to the MTU. Of a node with several links
 * that one sends whose network the captured client would be on, or else the captured server.
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness/verbs.h"
#include "harness/wire/wire.h"
#include "net/checksum.h"

#define LINK_MTU 1500u

struct replay {
	struct wire_frame *in, *cut;
	int fd;				/* AF_PACKET on the node's link */
	uint8_t src_mac[6], dst_mac[6];
	union npp_addr server;		/* as captured; any: not yet known */
	union npp_addr src[2], dst[2];	/* IPv4, IPv6; any: there is none */
	bool have_dst, json;
	double speed;
	const volatile sig_atomic_t *stop;
	const char *node, *file, *to, *link;	/* what the user has named */
	uint64_t sent, other, skipped, bytes;
};

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
	return 0;
}

/* ---- the capture's side --------------------------------------------------------------------------- */

/* A packet in a frame. */
struct packet {
	bool v6;
	uint8_t proto;
	uint32_t head;		/* bytes of the IP header, and of a fragment header behind it */
	bool fragment, first;	/* first: it has the transport's header */
	union npp_addr src, dst;
};

static union npp_addr get_addr(const uint8_t *p, bool v6)
{
	union npp_addr a;
	uint32_t v4;

	if (v6) {
		memcpy(&a, p, 16);
		return a;
	}
	memcpy(&v4, p, 4);
	return npp_addr_v4(v4);
}

static void put_addr(uint8_t *p, const union npp_addr *a, bool v6)
{
	uint32_t v4 = v6 ? 0 : npp_addr_get_v4(a);

	memcpy(p, v6 ? (const void *)a : (const void *)&v4, v6 ? 16 : 4);
}

/* Where the checksum stands that covers the addresses; 0: nowhere. */
static uint32_t sum_at(const struct packet *k)
{
	return k->proto == IPPROTO_TCP ? 16 : k->proto == IPPROTO_UDP ? 6 : k->v6 && k->proto == IPPROTO_ICMPV6 ? 2 : 0;
}

/* Of a fragment the sum covers more than is here: it follows the addresses (RFC 1624). */
static void adjust_sum(uint8_t *at, const struct packet *k, const uint8_t *addrs)
{
	const uint8_t *old[2] = { k->src.b + (k->v6 ? 0 : 12), k->dst.b + (k->v6 ? 0 : 12) };
	uint32_t n = k->v6 ? 16 : 4, sum = (uint32_t)(~((uint32_t)at[0] << 8 | at[1]) & 0xffff);

	for (uint32_t i = 0; i < n; i += 2)
		for (uint32_t j = 0; j < 2; j++) {
			const uint8_t *was = old[j] + i, *is = addrs + j * n + i;

			sum += ~((uint32_t)was[0] << 8 | was[1]) & 0xffff;
			sum += (uint32_t)is[0] << 8 | is[1];
		}
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* Makes checksums of the packet that F holds, addresses changed. */
static void fix_sums(struct wire_frame *f, const struct packet *k)
{
	uint8_t *ip = f->data + 14, *l4 = ip + k->head;
	uint32_t len = f->len - 14 - k->head, at = sum_at(k);
	uint16_t sum;

	if (!k->v6) {
		memset(ip + 10, 0, 2);
		sum = npp_csum_finish(npp_csum_add(ip, k->head, 0));
		memcpy(ip + 10, &sum, 2);
	}
	if (!at || len < at + 2 || (k->fragment && !k->first))
		return;
	if (k->fragment) {
		if (k->proto != IPPROTO_UDP || l4[at] || l4[at + 1])	/* 0: it has none */
			adjust_sum(l4 + at, k, ip + (k->v6 ? 8 : 12));
		return;
	}
	memset(l4 + at, 0, 2);
	sum = npp_csum_finish(npp_csum_add(l4, len, npp_csum_add(ip + (k->v6 ? 8 : 12), k->v6 ? 32 : 8, 0) + htons(k->proto) +
						    (uint64_t)htons((uint16_t)len)));
	if (k->proto == IPPROTO_UDP && !sum)
		sum = 0xffff;
	memcpy(l4 + at, &sum, 2);
}

static void put_out(struct replay *r, const struct wire_frame *f)
{
	if (send(r->fd, f->data, f->len, 0) == (ssize_t)f->len) {
		r->sent++;
		r->bytes += f->len;
	} else {
		r->skipped++;
	}
}

static void put_cut(struct replay *r, const struct packet *k)
{
	struct wire_frame *f = r->in;
	struct wire_shape s;

	memset(&f->vh, 0, sizeof f->vh);
	f->vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->vh.gso_type = k->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	f->vh.csum_start = (uint16_t)(14 + k->head);
	f->vh.csum_offset = 16;
	f->vh.gso_size = 1;
	if (k->proto != IPPROTO_TCP || wire_frame_shape(f, &s) < 0 || LINK_MTU + 14 <= s.head) {
		r->skipped++;
		return;
	}
	f->vh.gso_size = (uint16_t)(LINK_MTU + 14 - s.head);
	wire_frame_shape(f, &s);
	for (uint32_t i = 0; i < s.frames; i++)
		if (wire_frame_cut(f, &s, i, r->cut) == 0)
			put_out(r, r->cut);
}

/* What F holds, with its length from the IP header; false: no whole packet. */
static bool dissect(struct wire_frame *f, struct packet *k)
{
	uint8_t *ip = f->data + 14;
	uint32_t len;

	*k = (struct packet){ .v6 = f->len >= 54 && f->data[12] == 0x86 && f->data[13] == 0xdd && ip[0] >> 4 == 6 };
	if (k->v6) {
		k->head = 40;
		k->proto = ip[6];
		len = 40 + ((uint32_t)ip[4] << 8 | ip[5]);
		if (k->proto == IPPROTO_FRAGMENT && f->len >= 62) {
			k->head = 48;
			k->proto = ip[40];
			k->fragment = true;
			k->first = !ip[42] && !(ip[43] & 0xf8);
		}
	} else {
		if (f->len < 34 || f->data[12] != 8 || f->data[13] || ip[0] >> 4 != 4)
			return false;
		k->head = (ip[0] & 15) * 4u;
		k->proto = ip[9];
		k->first = !(ip[6] & 0x1f) && !ip[7];
		k->fragment = !k->first || (ip[6] & 0x20);
		len = (uint32_t)ip[2] << 8 | ip[3];
	}
	if (k->head < 20 || len < k->head || len + 14 > f->len)
		return false;	/* not all of it was captured */
	f->len = len + 14;
	k->src = get_addr(ip + (k->v6 ? 8 : 12), k->v6);
	k->dst = get_addr(ip + (k->v6 ? 24 : 16), k->v6);
	return true;
}

/* Is it a packet for the server, whom it may make known? */
static bool to_server(struct replay *r, struct packet *k)
{
	const uint8_t *l4;
	bool group, reply;

	if (!dissect(r->in, k))
		return false;
	l4 = r->in->data + 14 + k->head;
	group = k->v6 ? k->dst.b[0] == 0xff : (k->dst.b[12] & 0xf0) == 0xe0;
	if (npp_addr_is_any(&r->server) && !group && sum_at(k) != 2) {	/* ICMPv6 is for neighbours */
		reply = k->proto == IPPROTO_TCP && r->in->len >= 14 + k->head + 20 && (l4[13] & 0x12) == 0x12;
		r->server = reply ? k->src : k->dst;
	}
	return npp_addr_eq(&k->dst, &r->server);
}

static void one(struct replay *r, const struct pcap_pkthdr *h, const u_char *data)
{
	struct wire_frame *f = r->in;
	struct packet k;

	if (h->caplen < 14 || h->caplen > f->cap) {
		r->skipped++;
		return;
	}
	f->len = h->caplen;
	memcpy(f->data, data, f->len);
	if (!to_server(r, &k)) {
		r->other++;
		return;
	}
	if (npp_addr_is_any(&r->src[k.v6]) || npp_addr_is_any(&r->dst[k.v6])) {
		r->skipped++;	/* not a family of both */
		return;
	}
	memcpy(f->data, r->dst_mac, 6);
	memcpy(f->data + 6, r->src_mac, 6);
	put_addr(f->data + 14 + (k.v6 ? 8 : 12), &r->src[k.v6], k.v6);
	put_addr(f->data + 14 + (k.v6 ? 24 : 16), &r->dst[k.v6], k.v6);
	if (f->len > LINK_MTU + 14) {
		put_cut(r, &k);
		return;
	}
	fix_sums(f, &k);
	put_out(r, f);
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
	int rc, bad = 0;

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
			struct packet k;

			r->in->len = h->caplen < r->in->cap ? h->caplen : r->in->cap;
			memcpy(r->in->data, data, r->in->len);
			to_server(r, &k);
			if (npp_addr_is_any(&r->server)) {
				r->other++;
				continue;
			}
			to = link_by_addr(l, &r->server);
			if (!to)
				return npp_err_set(e, -EHOSTUNREACH, "the captured server is no node of the lab: name one by --to");
			bad = set_target(r, l, from, to, e);
		}
		if (!bad)
			one(r, h, data);
	}
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

static pcap_t *open_file(const struct replay *r, struct npp_err *e)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *p = pcap_open_offline(r->file, text);

	if (!p) {
		npp_err_set(e, -EINVAL, "%s", text);
	} else if (pcap_datalink(p) != DLT_EN10MB) {
		npp_err_set(e, -EINVAL, "%s was not captured on Ethernet", r->file);
		pcap_close(p);
		p = NULL;
	}
	return p;
}

/* The captured client and server, as the first packet to the server has them. */
static int captured_ends(struct replay *r, struct packet *k, struct npp_err *e)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p = open_file(r, e);
	bool found = false;

	if (!p)
		return -EINVAL;
	while (!found && pcap_next_ex(p, &h, &data) == 1) {
		r->in->len = h->caplen < r->in->cap ? h->caplen : r->in->cap;
		memcpy(r->in->data, data, r->in->len);
		found = to_server(r, k);
	}
	pcap_close(p);
	if (!found)
		*k = (struct packet){ .v6 = false };
	return 0;
}

/* The link of N on which the client would be, if there is a way to TARGET (NULL: the captured server) from
 * there; or else on which the server would be; or else the first. */
static struct lab_if *fitting_link(struct replay *r, struct lab *l, const struct lab_node *n, const struct lab_if *target,
				   struct npp_err *e)
{
	struct lab_if *f;
	struct packet k;

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

static void report(const struct replay *r)
{
	if (r->json)
		printf("{\"link\": \"%s.%s\", \"sent\": %llu, \"bytes\": %llu, \"other_direction\": %llu, \"skipped\": %llu}\n",
		       r->node, r->link, (unsigned long long)r->sent, (unsigned long long)r->bytes, (unsigned long long)r->other,
		       (unsigned long long)r->skipped);
	else
		printf("%llu frames sent on %s, %llu were of the other direction, %llu could not be sent\n",
		       (unsigned long long)r->sent, r->link, (unsigned long long)r->other, (unsigned long long)r->skipped);
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
	if (rc == 0)
		report(r);
	return rc;
}

static struct wire_frame *buffer(void)
{
	struct wire_frame *f = calloc(1, 262144 + sizeof *f);

	if (!f)
		npp_fatalx("out of memory");
	f->cap = 262144;
	return f;
}

int lab_replay(const char *lab, const char *node, const char *link, const char *file, const char *to, double speed, bool json)
{
	struct replay r = { .fd = -1, .speed = speed, .in = buffer(), .cut = buffer(), .json = json, .node = node,
			    .link = link, .file = file, .to = to, .stop = stop_on_signals() };
	int rc = lab_with(lab, true, "replay", json, replay, &r);

	if (r.fd >= 0)
		close(r.fd);
	free(r.in);
	free(r.cut);
	return rc < 0;
}
