/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_net.c - the subnets of networks, of either family or both
 *
 * A network with neither `subnet` nor `subnet6` has those of another one, or none: topo_join.c.
 */
#include "config.h"

#include <arpa/inet.h>

#include "harness/topo.h"

void topo_number_ip6(const struct topo *t, struct topo_net *n)
{
	uint32_t i = (uint32_t)(n - t->nets) + 1;

	n->subnet6 = (struct npp_conf_prefix){ .len = 64, .addr.b = { 0xfd, [6] = (uint8_t)(i >> 8), [7] = (uint8_t)i } };
}

static void check_net6(struct topo *t, struct topo_net *n)
{
	if (!npp_conf_get(n->at, "subnet6") || npp_conf_in_doubt(n->at, "subnet6"))
		return;
	if (!topo_has_ip6(n) || npp_addr_is_v4(&n->subnet6.addr) || n->subnet6.addr.b[0] == 0xff ||
	    (n->subnet6.addr.b[0] == 0xfe && (n->subnet6.addr.b[1] & 0xc0) == 0x80)) {	/* group, link-local */
		npp_conf_error_key(t->conf, n->at, "subnet6", "is no IPv6 subnet");
		return;
	}
	if (n->subnet6.len < 16 || n->subnet6.len > 96)
		npp_conf_error_key(t->conf, n->at, "subnet6", "/%u is outside /16../96", n->subnet6.len);
	for (unsigned b = n->subnet6.len; b < 128; b++)
		if (n->subnet6.addr.b[b / 8] & 0x80 >> b % 8) {
			npp_conf_error_key(t->conf, n->at, "subnet6", "has bits set after the prefix");
			break;
		}
}

/* With the lab's key `ipv6` it has an IPv6 subnet unless it says otherwise. */
void topo_check_net(struct topo *t, struct topo_net *n)
{
	char text[NPP_ADDR_STRLEN];

	check_net6(t, n);
	if (npp_conf_in_doubt(n->at, "subnet") || !npp_conf_get(n->at, "subnet"))
		return;
	if (!npp_addr_is_v4(&n->subnet.addr)) {
		npp_conf_error_key(t->conf, n->at, "subnet", "is IPv6: that is key 'subnet6'");
		return;
	}
	if (topo_plen(n) < 8 || topo_plen(n) > 30) {
		npp_conf_error_key(t->conf, n->at, "subnet", "/%u is outside /8../30", topo_plen(n));
		return;
	}
	n->mask = ~0u << (32 - topo_plen(n));
	n->base = ntohl(npp_addr_get_v4(&n->subnet.addr));
	if (n->base & ~n->mask)
		npp_conf_error_key(t->conf, n->at, "subnet", "has bits set after the prefix (%s/%u?)",
				   topo_addr_text(n->base & n->mask, text), topo_plen(n));
	n->base &= n->mask;
	if (n->base >> 24 == 0 || n->base >> 24 == 127 || n->base >> 24 >= 224)
		npp_conf_error_key(t->conf, n->at, "subnet", "%s/%u has no addresses for nodes", topo_addr_text(n->base, text), topo_plen(n));
	if (t->ipv6 && !topo_has_ip6(n) && !npp_conf_in_doubt(n->at, "subnet6"))
		topo_number_ip6(t, n);
}

static bool overlap6(const struct topo_net *a, const struct topo_net *b)
{
	return topo_has_ip6(a) && topo_has_ip6(b) &&
	       npp_addr_in_prefix(&a->subnet6.addr, &b->subnet6.addr, a->subnet6.len < b->subnet6.len ? a->subnet6.len : b->subnet6.len);
}

void topo_check_overlaps(struct topo *t)
{
	uint32_t i, j, m;

	for (i = 0; i < t->n_nets; i++)
		for (j = 0; j < i; j++) {
			if (t->nets[i].seg != i || t->nets[j].seg != j)
				continue;
			m = t->nets[i].mask & t->nets[j].mask;
			if (m && (t->nets[i].base & m) == (t->nets[j].base & m))
				npp_conf_error_key(t->conf, t->nets[i].at, "subnet",
						   "overlaps that of network '%s'", t->nets[j].name);
			if (overlap6(&t->nets[i], &t->nets[j]))
				npp_conf_error_key(t->conf, t->nets[i].at, "subnet6",
						   "overlaps that of network '%s'", t->nets[j].name);
		}
}
