/* SPDX-License-Identifier: GPL-2.0-or-later
 * opts_priv.h - what the files of socket options share
 */
#ifndef NPP_LIBNPP_OPTS_PRIV_H
#define NPP_LIBNPP_OPTS_PRIV_H

#include "npp-osm/libnpp/priv.h"

/* One value as the table of opts_value.c sees it: in the record, or noted before there is one. */
enum place { P_FLAG, P_RCVBUF, P_SNDBUF, P_KEEP_IDLE, P_KEEP_INTVL, P_KEEP_CNT, P_SYN_CNT, P_LINGER2, P_DEFER, P_USER_TIMEOUT, P_PACE,
	     P_FASTOPEN, P_LOWAT, P_NOTSENT, P_CLAMP, P_TOS, P_TTL, P_PRIO, P_FLAG_NOT, P_MC_HOPS, P_SEGMENT, P_MARK, P_MAX_SEG,
	     P_PMTUDISC, P_CONST, P_IGNORE, P_REFUSE,
	     P_PLACES };

/* Refused also while the socket is the kernel's: who was told that he has it would count on it. */
#define AT_ONCE 1
#define FORCE 1		/* cannot be asked for */

struct opt {
	int level, name;
	enum place place;
	uint32_t arg;		/* P_FLAG: NPP_OPT_*; P_CONST: what get says; buffers: FORCE, or not */
	uint32_t dflt;		/* what get says for 0; P_REFUSE: AT_ONCE, or not */
	bool tell;		/* the ISM acts on it */
};

const struct opt *opt_find(int level, int name);
int opt_get(const struct so *so, const struct opt *o);
int opt_set(struct so *so, const struct opt *o, int v);	/* 0 or -errno */

/* A word of the record, or as it was noted before there is one: W or NOTED. */
uint32_t opt_word(const struct so *so, const _Atomic uint32_t *w, uint32_t noted);
/* Bits SHIFT and up, as many as are set in MASK. */
void opt_set_bits(_Atomic uint32_t *w, uint32_t *noted, unsigned shift, uint32_t mask, uint32_t v);
#define WORD(so, field, note) opt_word(so, (so)->sk ? &(so)->sk->field : NULL, (so)->opt.note)
#define SET_WORD(so, field, note, v) \
	do { \
		if ((so)->sk) \
			atomic_store_explicit(&(so)->sk->field, (v), memory_order_relaxed); \
		else \
			(so)->opt.note = (v); \
	} while (0)

#define SET_BITS(so, field, shift, mask, v) opt_set_bits((so)->sk ? &(so)->sk->field : NULL, &(so)->opt.field, shift, mask, v)


/* ---- tcp_info.c */
struct tcp_info;
const volatile struct npp_tcp_brief *brief_of(const struct so *so);	/* what its ISM says of a stream; a listener has no such thing */
uint32_t tcp_not_sent(const struct so *so);	/* bytes that were written and never sent */
void tcp_info_fill(const struct so *so, int fd, struct tcp_info *ti);

#endif
