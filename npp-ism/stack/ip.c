/* SPDX-License-Identifier: GPL-2.0-or-later
 * ip.c - IP's life in the arena, its timers, frames in by EtherType, frames to ourselves
 *
 * A packet to an address of our own never reaches the port. ip_local_out() gives it to the
 * IOP that owns its flow, over IPC; if that is us, it is queued and comes in again at the
 * next flush, so that no transport is entered while it is sending.
 */
#include "config.h"

#include "npp-ism/stack/ip_priv.h"

#define LOCAL_SKIP 0xffffffffu

/* ---- where things stand ------------------------------------------------------------- */

static uint64_t ip_layout(struct ip_state *ip, uint8_t *mem, const struct stack_cfg *cfg)
{
	uint64_t off = ip_align(sizeof *ip);

	ip->frame = (struct neigh_frame *)(mem + off);
	off += ip_align(NEIGH_FRAMES * sizeof *ip->frame);
	ip->local = mem + off;
	off += IP_LOCAL_BYTES;
	ip->reass_buf = mem + off;
	off += ip_align(NPP_FRAME_MAX);
	ip->out_buf = mem + off;
	off += ip_align(NPP_FRAME_MAX);
	(void)cfg;
	return off;
}

uint64_t ip_layout_hash(void)
{
	uint64_t h = sizeof(struct ip_state);

	h = NPP_ABI_MIX(h, offsetof(struct ip_state, reass));
	h = NPP_ABI_MIX(h, sizeof(struct reass_ent));
	h = NPP_ABI_MIX(h, sizeof(struct neigh_frame));
	h = NPP_ABI_MIX(h, sizeof(struct neigh_wait));
	h = NPP_ABI_MIX(h, sizeof(struct neigh_work));
	h = NPP_ABI_MIX(h, sizeof(struct mc_state));
	return NPP_ABI_MIX(h, IP_LOCAL_BYTES);
}

size_t ip_size(const struct stack_cfg *cfg)
{
	return ip_align(sizeof(struct ip_state)) + ip_align(NEIGH_FRAMES * sizeof(struct neigh_frame)) +
	       IP_LOCAL_BYTES + 2 * ip_align(NPP_FRAME_MAX) + reass_size(cfg);
}

void ip_init(struct stack *s, void *mem)
{
	struct ip_state *ip = mem;

	s->ip = ip;
	reass_init(s, (uint8_t *)mem + ip_layout(ip, mem, &s->cfg));
	ip->net.seq = 1;
	for (unsigned i = 0; i < IP_ID_SLOTS; i++) {
		uint64_t r = s->env->ops->random(s->env->arg);

		ip->id_frag[i] = (uint16_t)r;
		ip->id_df[i] = (uint16_t)(r >> 16);
	}
	ip->id6 = (uint32_t)s->env->ops->random(s->env->arg);
	ip->icmp_rate = (struct ip_rate){ s->now_us, ICMP_BURST };
	ip->echo_rate = (struct ip_rate){ s->now_us, ECHO_BURST };
	ip->rst_rate = (struct ip_rate){ s->now_us, RST_BURST };
	memset(ip->mc.head, 0xff, sizeof ip->mc.head);
	ip->mc.net_seq = ip->net_seq = 1;
	neigh_attach(s);
	reass_rebuild(s);
}

int ip_attach(struct stack *s)
{
	struct ip_state *ip = s->ip;

	reass_init(s, (uint8_t *)ip + ip_layout(ip, (uint8_t *)ip, &s->cfg));
	ip->net.seq = 1;
	if (ip->net.n_addrs > NPP_MAX_IF_ADDRS || ip->net.n_routes > IP_NET_ROUTES) /* read anew at the first frame */
		ip->net.n_addrs = ip->net.n_routes = 0;
	ip->role = 0;
	ip->in_flush = 0;
	memset(ip->near, 0, sizeof ip->near);	/* one may be half written */
	/* Frames to ourselves that were on their way are lost, as on any wire. */
	ip->local_head = ip->local_tail = 0;
	neigh_attach(s);
	reass_rebuild(s);
	for (unsigned i = 0; i < IPT_COUNT; i++) {
		uint64_t due = wheel_due_us(&ip->timer[i]);

		/* One that was running has left the wheel, and would have been armed at its end. */
		if (!due && ((i == IPT_NEIGH && neigh_busy(ip)) || (i == IPT_REASS && ip->reass.oldest != REASS_NONE)))
			due = s->now_us;
		ip->timer[i] = (struct wheel_timer){ .kind = TIMER_IP };
		if (due)
			ip_timer_arm(s, i, due);
	}
	return 0;
}

/* ---- timers ---------------------------------------------------------------------------- */

void ip_timer_arm(struct stack *s, enum ip_timer_arg which, uint64_t due_us)
{
	struct wheel_timer *t = &s->ip->timer[which];

	t->kind = TIMER_IP;
	t->arg = which & 15;
	wheel_arm(&s->wheel, t, due_us);
}

void ip_timer(struct stack *s, struct wheel_timer *t)
{
	switch (t->arg) {
	case IPT_NEIGH:
		neigh_timer(s);
		break;
	case IPT_REASS:
		reass_timer(s);
		break;
	case IPT_LOCAL:
		ip_flush(s);
		break;
	case IPT_AUTO:
		nd_auto_timer(s);
		break;
	case IPT_ANNOUNCE:
		acd_timer(s);
		break;
	case IPT_GROUP:
		mc_timer(s);
		break;
	}
}

/* Ports have lost their carrier (GONE) or have it again (CAME). */
static void ports_changed(struct stack *s, uint32_t gone, uint32_t came)
{
	for (uint8_t port = 0; port < s->ip->net.n_ports; port++)
		if (came >> port & 1 && s->env->neigh_rw)
			neigh_port_up(s, port);
	tcp_ports_changed(s, s->ip->net.up ? gone | came : came); /* with no port at all there is no hurry */
}

/* The link role came or went, addresses or routes changed, or a port's carrier. */
static void ip_look_around(struct stack *s)
{
	struct ip_state *ip = s->ip;
	bool role = s->env->neigh_rw != NULL, role_changed = role != ip->role, net_changed, ports;
	uint32_t up;

	route_sync(s);
	net_changed = ip->net.seq != ip->net_seq;
	if (!role_changed && !net_changed && ip->mc.net_seq == ip->net.seq)
		return;
	STAT_SET(s, IS_ROUTES_LEFT_OUT, role ? s->env->global->n_left_out : 0); /* of all IOPs one says it */
	up = ip->net.up;
	ports = net_changed && ip->net_seq != 1 && up != ip->up;
	if (ip->mc.net_seq != ip->net.seq)
		mc_refresh(s);
	if (role_changed) {
		ip->role = role;
		if (role) {
			neigh_take_role(s);
			nd_auto_begin(s);
		} else {
			neigh_work_drop(s);
			nd_auto_end(s);
		}
		mc_role(s, role);
	}
	if (ports)
		ports_changed(s, ip->up & ~up, up & ~ip->up);
	if (ports && role && !role_changed) {
		nd_auto_ports(s, up & ~ip->up);
		mc_ports(s, up & ~ip->up);
	}
	ip->net_seq = ip->net.seq;
	ip->up = up;
	if (role)
		acd_begin(s, role_changed || !ports);
}

/* ---- frames to ourselves ------------------------------------------------------------------ */

uint32_t ip_gather(const struct stack_tx *tx, uint8_t *buf)
{
	uint32_t len = (uint32_t)STACK_L4_OFF + tx->l4_len - tx->start;

	memcpy(buf, tx->head + tx->start, len);
	for (uint32_t i = 0; i < tx->n_slices && i < STACK_SLICES; i++) {
		memcpy(buf + len, tx->slice[i].data, tx->slice[i].len);
		len += tx->slice[i].len;
	}
	return len;
}

/* Where a record of LEN frame bytes goes in the ring, or NULL. */
static struct npp_frame_rec *local_reserve(struct ip_state *ip, uint32_t len)
{
	uint32_t need = (uint32_t)ip_align(sizeof(struct npp_frame_rec) + len);
	uint32_t pos = ip->local_head % IP_LOCAL_BYTES;
	uint32_t skip = IP_LOCAL_BYTES - pos < need ? IP_LOCAL_BYTES - pos : 0;

	if (IP_LOCAL_BYTES - (ip->local_head - ip->local_tail) < need + skip)
		return NULL;
	if (skip) {
		((struct npp_frame_rec *)(ip->local + pos))->len = LOCAL_SKIP;
		ip->local_head += skip;
	}
	return (struct npp_frame_rec *)(ip->local + ip->local_head % IP_LOCAL_BYTES);
}

static int local_queue(struct stack *s, const struct npp_frame_rec *rec, const struct stack_tx *tx)
{
	struct ip_state *ip = s->ip;
	struct npp_frame_rec *r = local_reserve(ip, rec->len);

	if (!r) {
		STAT_INC(s, IS_DROP_LOCAL_FULL);
		return -ENOBUFS;
	}
	*r = *rec;
	ip_gather(tx, (uint8_t *)(r + 1));
	ip->local_head += (uint32_t)ip_align(sizeof *r + rec->len);
	if (!wheel_armed(&ip->timer[IPT_LOCAL]))
		ip_timer_arm(s, IPT_LOCAL, s->now_us);
	return 0;
}

static const struct npp_hash_prog *program(const struct stack *s)
{
	const struct npp_global *g = s->env->global;

	return &g->prog[atomic_load_explicit(&g->prog_active, memory_order_acquire) & 1]; /* pairs with nppd's flip */
}

unsigned ip_owner(struct stack *s, const struct npp_flow_key *key)
{
	unsigned iop = npp_hash_iop(program(s), key);

	return iop < s->cfg.n_iops ? iop : s->cfg.iop;
}

unsigned ip_owner_hash(struct stack *s, uint32_t hash)
{
	unsigned iop = npp_hash_select(program(s), hash);

	return iop < s->cfg.n_iops ? iop : s->cfg.iop;
}

void ip_flow_key(struct npp_flow_key *key, const union npp_addr *src, const union npp_addr *dst,
		 uint8_t proto, const uint8_t *ports)
{
	*key = (struct npp_flow_key){ .src = *src, .dst = *dst, .proto = proto };
	memcpy(&key->sport, ports, 2);
	memcpy(&key->dport, ports + 2, 2);
}

int ip_local_out(struct stack *s, const struct ip_path *p, uint8_t proto, const struct stack_tx *tx)
{
	uint32_t head = (uint32_t)STACK_L4_OFF + tx->l4_len - tx->start;
	struct npp_frame_rec rec = { .len = head + tx->payload_len, .kind = NPP_REC_DATAGRAM,
				     .csum = NPP_CSUM_OK, .vnet = tx->vnet };
	unsigned iop = s->cfg.iop;
	struct npp_flow_key key;
	const uint8_t *data = tx->head + tx->start;

	rec.rx_us = (uint32_t)s->now_us;
	STAT_INC(s, IS_LOCAL);
	if (proto == IP_PROTO_TCP || proto == IP_PROTO_UDP) {
		ip_flow_key(&key, &p->src, &p->dst, proto, tx->head + STACK_L4_OFF);
		iop = ip_owner(s, &key);
	}
	if (iop == s->cfg.iop)
		return local_queue(s, &rec, tx);
	if (tx->payload_len) {
		ip_gather(tx, s->ip->out_buf);
		data = s->ip->out_buf;
	}
	s->env->ops->ipc(s->env->arg, iop, NPP_REC_DATAGRAM, &rec, data, rec.len);
	return 0;
}

void ip_hand_on(struct stack *s, unsigned iop, const struct ip_in *in, uint32_t len)
{
	struct npp_frame_rec rec = { .len = len, .kind = NPP_REC_DATAGRAM, .csum = NPP_CSUM_OK,
				     .port = in->port, .hash = in->hash, .rx_us = in->rx_us };

	rec.vnet.gso_size = in->gso_size;
	STAT_INC(s, IS_HANDED_ON);
	s->env->ops->ipc(s->env->arg, iop, NPP_REC_DATAGRAM, &rec, in->frame, len);
}

/* ---- in ------------------------------------------------------------------------------------ */

static void ip_frame(struct stack *s, const struct ip_in *in)
{
	const struct eth_hdr *eth = (const struct eth_hdr *)in->frame;

	if (in->len < ETH_HDR_LEN) {
		STAT_INC(s, IS_DROP_FRAME);
		return;
	}
	if (eth->type == htons(ETH_P_IPV4))
		ip4_input(s, in);
	else if (eth->type == htons(ETH_P_IP6))
		ip6_input(s, in);
	else if (eth->type == htons(ETH_P_ARP4) && !in->local)
		arp_input(s, in);
	else
		STAT_INC(s, IS_DROP_NO_PROTO);
}

/* What the dispatcher or another IOP wrote is read here, once. */
static void in_fill(struct ip_in *in, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	*in = (struct ip_in){ .frame = data, .len = len, .hash = rec->hash, .rx_us = rec->rx_us,
			      .port = rec->port };
	in->gso_size = rec->vnet.gso_type != VNET_GSO_NONE || rec->kind == NPP_REC_DATAGRAM ?
		       rec->vnet.gso_size : 0;
	in->csum_ok = rec->csum == NPP_CSUM_OK ||
		      (rec->vnet.flags & (VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID)) != 0;
}

void ip_input(struct stack *s, const struct npp_frame_rec *rec, const uint8_t *frame, uint32_t len)
{
	struct ip_in in;

	in_fill(&in, rec, frame, len);
	route_sync(s);
	if (in.port >= s->ip->net.n_ports) {
		STAT_INC(s, IS_DROP_FRAME);
		return;
	}
	ip_frame(s, &in);
}

static void datagram_input(struct stack *s, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	struct ip_in in;

	in_fill(&in, rec, data, len);
	if (in.port >= s->ip->net.n_ports) {
		STAT_INC(s, IS_DROP_FRAME);
		return;
	}
	in.final = in.local = true;
	in.csum_ok = true;
	ip_frame(s, &in);
}

void ip_ipc_input(struct stack *s, const struct npp_frame_rec *rec, const void *data, uint32_t len)
{
	enum npp_rec_kind kind = rec->kind;
	struct npp_ipc_neigh n;

	route_sync(s);
	switch (kind) {
	case NPP_REC_DATAGRAM:
		datagram_input(s, rec, data, len);
		break;
	case NPP_REC_RESOLVE:
	case NPP_REC_CONFIRM:
	case NPP_REC_PMTU:
	case NPP_REC_RESOLVED:
		if (len < sizeof n) {
			STAT_INC(s, IS_DROP_FRAME);
			break;
		}
		memcpy(&n, data, sizeof n);
		neigh_ipc_input(s, kind, &n);
		break;
	default:
		STAT_INC(s, IS_DROP_FRAME);
	}
}

static void local_take(struct stack *s)
{
	struct ip_state *ip = s->ip;
	struct npp_frame_rec *r = (struct npp_frame_rec *)(ip->local + ip->local_tail % IP_LOCAL_BYTES);

	if (r->len == LOCAL_SKIP) {
		ip->local_tail += IP_LOCAL_BYTES - ip->local_tail % IP_LOCAL_BYTES;
		return;
	}
	datagram_input(s, r, r + 1, r->len);
	ip->local_tail += (uint32_t)ip_align(sizeof *r + r->len);
}

void ip_flush(struct stack *s)
{
	struct ip_state *ip = s->ip;

	if (ip->in_flush)
		return;
	ip->in_flush = 1;
	ip_look_around(s);
	/* Each round takes what the one before has caused; a round is bounded by the ring. */
	for (unsigned i = 0; i < IP_LOCAL_ROUNDS && ip->local_tail != ip->local_head; i++)
		for (uint32_t end = ip->local_head; ip->local_tail != end;)
			local_take(s);
	ip->in_flush = 0;
	if (ip->local_tail != ip->local_head)
		ip_timer_arm(s, IPT_LOCAL, s->now_us);
	else if (wheel_armed(&ip->timer[IPT_LOCAL]))
		wheel_cancel(&s->wheel, &ip->timer[IPT_LOCAL]);
}
