/* SPDX-License-Identifier: GPL-2.0-or-later
 * json.h - the little that is needed to write JSON
 */
#ifndef NPP_LIB_JSON_H
#define NPP_LIB_JSON_H

#include <stdio.h>

/* Bytes of the character of UTF-8 that TEXT, not empty, begins with; 0: it is none. */
size_t npp_utf8_len(const char *text);

/* TEXT in quotes. Of what is no UTF-8 each byte becomes the replacement character. */
void npp_json_string(FILE *f, const char *text);
/* What a tool answers that could not do what it was asked for: {"ok": false, "errors": [...]}, with the N TEXTS. */
void npp_json_failed(FILE *f, const char *const texts[], unsigned n);

#endif
