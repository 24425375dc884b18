/* SPDX-License-Identifier: GPL-2.0-or-later
 * json.c - the little that is needed to write JSON
 */
#include "config.h"

#include "lib/json.h"

void npp_json_string(FILE *f, const char *text)
{
	fputc('"', f);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(f, "\\u%04x", *p);
		else
			fputc(*p, f);
	}
	fputc('"', f);
}

void npp_json_failed(FILE *f, const char *const texts[], unsigned n)
{
	fputs("{\"ok\": false, \"errors\": [", f);
	for (unsigned i = 0; i < n; i++) {
		fputs(i ? ",\n " : "", f);
		npp_json_string(f, texts[i]);
	}
	fputs("]}\n", f);
}
