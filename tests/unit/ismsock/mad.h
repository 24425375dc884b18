/* SPDX-License-Identifier: GPL-2.0-or-later
 * mad.h - a host gone mad: one life of an ISM, step by step, from a source of numbers
 */
#ifndef NPP_TESTS_ISM_MAD_H
#define NPP_TESTS_ISM_MAD_H

#include <stdint.h>

typedef uint32_t mad_random(void *arg);

void mad_begin(mad_random *r, void *arg);
void mad_step(void);
const char *mad_audit(void);	/* NULL: everything adds up */
void mad_end(void);		/* all is detached and must be back */
void mad_free(void);		/* after the last life: memory goes, too */

#endif
