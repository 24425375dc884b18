/* SPDX-License-Identifier: GPL-2.0-or-later
 * limit.c - how many lines the log gets about what one process says
 */
#include "config.h"

#include "nppd/limit.h"

bool limit_passes(struct limit *l, uint64_t now_ms, uint32_t *hidden)
{
	*hidden = 0;
	if (l->n && now_ms - l->since_ms >= LIMIT_MS) {
		*hidden = l->hidden;
		*l = (struct limit){ 0 };
	}
	if (!l->n)
		l->since_ms = now_ms;
	if (l->n == LIMIT_LINES) {
		l->hidden += l->hidden < UINT32_MAX;
		return false;
	}
	l->n++;
	return true;
}
