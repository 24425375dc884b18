/* SPDX-License-Identifier: GPL-2.0-or-later
 * scene.c - a stack in the middle of its work
 */
#include "config.h"

#include "npp-ism/stack/udp_priv.h"
#include "tests/fuzz/replay.h"
#include "tests/fuzz/scene.h"

static struct rig_pkt p;

static void last_seq(const struct rig *r, uint32_t *seq)
{
	for (unsigned i = r->n_frames; i-- > 0;) {
		const struct ip4_hdr *h = rig_ip(&r->frame[i]);

		if (!h || h->proto != 6)
			continue;
		*seq = ntohl(((const struct tcp_hdr *)(const void *)rig_l4(&r->frame[i]))->seq);
		return;
	}
}

struct rig *scene_new(void)
{
	struct rig *r = rig_new(1);
	struct tcp_listener l = { .port = 80, .backlog = 8 };
	struct udp_endpoint u = { .lport = 53 };
	uint32_t seq = 0;
	int err;

	r->lax = true;
	stack_listen(r->node[0].s, &l, &err);
	stack_udp_bind(r->node[0].s, &u, &err);
	rig_know(r, RIG_PEER, rig_peer_mac);
	for (uint16_t i = 0; i < 6; i++) {
		rig_tcp(&p, RIG_PEER, (uint16_t)(40000 + i), RIG_US, 80, TCPF_SYN, 1000, 0, 0);
		rig_in(r, 0, &p);
		rig_run(r);
		if (i % 3 == 0)
			continue; /* stays half open */
		last_seq(r, &seq);
		rig_tcp(&p, RIG_PEER, (uint16_t)(40000 + i), RIG_US, 80, TCPF_ACK, i % 2 ? 1001 : 1011, seq + 1, 50);
		rig_in(r, 0, &p);
		if (i % 2 == 0) { /* out of order only; and now what completes the handshake */
			rig_tcp(&p, RIG_PEER, (uint16_t)(40000 + i), RIG_US, 80, TCPF_ACK, 1001, seq + 1, 0);
			rig_in(r, 0, &p);
			rig_tcp(&p, RIG_PEER, (uint16_t)(40000 + i), RIG_US, 80, TCPF_ACK, 1011, seq + 1, 50);
			rig_in(r, 0, &p);
		}
		rig_run(r);
	}
	rig_udp(&p, RIG_PEER, 7, RIG_US, 53, 3000);
	for (unsigned i = 0; i < 2; i++) {
		static struct rig_pkt f;

		if (rig_cut(&p, 1400, i, &f))
			rig_in(r, 0, &f);
	}
	rig_echo(&p, RIG_PEER + 1, RIG_US, 100); /* its answer waits for a neighbour */
	rig_in(r, 0, &p);
	return r;
}

void scene_pools_add_up(struct stack *s)
{
	const struct ip_state *ip = s->ip;
	uint32_t frames = ip->n_frames_free, ents = 0, chunks = ip->reass.n_chunks_free, eps = 0;

	for (unsigned i = 0; i < NEIGH_WAITS; i++)
		frames += ip->wait[i].used ? ip->wait[i].n : 0;
	MUST(frames == NEIGH_FRAMES);
	for (uint32_t i = 0; i < ip->reass.n_ents; i++)
		chunks += ip->reass.ent[i].state == REASS_FREE ? 0 : ip->reass.ent[i].chunks;
	MUST(chunks == ip->reass.n_chunks);
	for (uint16_t i = ip->reass.oldest; i != REASS_NONE; i = ip->reass.ent[i].newer)
		ents++;
	for (uint16_t i = ip->reass.ent_free; i != REASS_NONE; i = ip->reass.ent[i].hash_next)
		ents++;
	MUST(ents == ip->reass.n_ents);
	for (uint32_t i = s->udp->free; i != UDP_NONE; i = s->udp->ep[i].next)
		eps++;
	MUST(eps + s->udp->used == s->udp->n_ep);
}
