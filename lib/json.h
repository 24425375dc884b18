/* SPDX-License-Identifier: GPL-2.0-or-later
 * json.h - the little that is needed to write JSON
 */
#ifndef NPP_LIB_JSON_H
#define NPP_LIB_JSON_H

#include <stdio.h>

/* TEXT in quotes. */
void npp_json_string(FILE *f, const char *text);

#endif
