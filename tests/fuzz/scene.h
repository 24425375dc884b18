/* SPDX-License-Identifier: GPL-2.0-or-later
 * scene.h - a stack in the middle of its work, whose arena targets spoil
 */
#ifndef NPP_TESTS_SCENE_H
#define NPP_TESTS_SCENE_H

#include "tests/unit/stack/ip_rig.h"

/* Listeners, connections, half-open ones, bytes out of order, fragments, a frame that waits for its neighbour. */
struct rig *scene_new(void);
/* What S has of frames that wait, of fragments, of endpoints, in use and not, is all that it began with. */
void scene_pools_add_up(struct stack *s);

#endif
