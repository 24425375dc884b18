/* SPDX-License-Identifier: GPL-2.0-or-later
 * layout.c - sizes of the tables in the private region
 *
 *	struct ism_region | sessions | pool | hash | chunks | lent | known | stack's arena
 */
#include "config.h"

#include "npp-ism/socket/ism.h"
#include "npp-ism/socket/layout_priv.h"

static uint64_t round64(uint64_t n)
{
	return (n + 63) & ~(uint64_t)63;
}

void ism_stack_cfg(const struct npp_ctl_start_ism *start, struct stack_cfg *cfg)
{
	*cfg = (struct stack_cfg){
		.iop = start->iop,
		.n_iops = start->n_iops,
		.max_conns = start->max_conns,
		.max_listeners = ISM_MAX_LISTENERS,
		.max_udp = ISM_MAX_UDP,
		.reass_bytes = start->reass_bytes,
	};
	for (int i = 0; i < 2; i++) {
		cfg->tfo_key[i] = start->npp_key[2 * i] | (uint64_t)start->npp_key[2 * i + 1] << 32;
		cfg->hash_key[i] = start->seed[2 * i] | (uint64_t)start->seed[2 * i + 1] << 32;
		cfg->isn_key[i] = start->seed[4 + 2 * i] | (uint64_t)start->seed[5 + 2 * i] << 32;
	}
}

uint64_t ism_layout_hash(void)
{
	uint64_t h = stack_layout_hash();

	h = NPP_ABI_MIX(h, sizeof(struct ism_layout));
	h = NPP_ABI_MIX(h, sizeof(struct ism_region));
	h = NPP_ABI_MIX(h, sizeof(struct ism_host));
	h = NPP_ABI_MIX(h, sizeof(struct ism_sess));
	h = NPP_ABI_MIX(h, sizeof(struct ism_chunk));
	h = NPP_ABI_MIX(h, ISM_CHUNKS);
	return h;
}

void ism_layout_plan(const struct npp_ctl_start_ism *start, struct ism_layout *l)
{
	struct stack_cfg cfg;
	uint64_t n, hash = 1, off = round64(sizeof(struct ism_region));

	ism_stack_cfg(start, &cfg);
	/* A session may outlive its TCB until the program closes: a quarter more. */
	n = (uint64_t)start->max_conns + start->max_conns / 4 + ISM_MAX_LISTENERS + ISM_MAX_UDP;
	if (n > 1u << NPP_ISM_HANDLE_BITS)
		n = 1u << NPP_ISM_HANDLE_BITS;
	while (hash < n)
		hash *= 2;
	l->n_sess = (uint32_t)n;
	l->sess_bytes = sizeof(struct ism_sess);
	l->sess_off = off;
	off += n * sizeof(struct ism_sess);
	l->off[ISM_T_POOL] = off;
	off += round64(n * 4);
	l->off[ISM_T_HASH] = off;
	off += round64(hash * 4);
	l->off[ISM_T_CHUNKS] = off;
	off += round64(ISM_CHUNKS * sizeof(struct ism_chunk));
	l->off[ISM_T_LENT] = off;
	off += round64((uint64_t)NPP_MAX_HOSTS * n * 4);
	l->off[ISM_T_KNOWN] = off;
	off += (uint64_t)NPP_MAX_HOSTS * ISM_MAX_SOCKS / 8;
	l->stack_off = off;
	l->stack_bytes = stack_size(&cfg);
	l->bytes = off + l->stack_bytes;
}

size_t ism_region_size(const struct npp_ctl_start_ism *start)
{
	struct ism_layout l;

	ism_layout_plan(start, &l);
	return l.bytes;
}
