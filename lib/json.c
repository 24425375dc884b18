/* SPDX-License-Identifier: GPL-2.0-or-later
 * json.c - the little that is needed to write JSON
 */
#include "config.h"

#include "lib/json.h"

size_t npp_utf8_len(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)	/* the end of the text is none of these bytes */
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* longer than it needs to be; half of a pair of UTF-16; beyond the last character */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

void npp_json_string(FILE *f, const char *text)
{
	size_t n;

	fputc('"', f);
	for (; *text; text += n ? n : 1) {
		unsigned char c = (unsigned char)*text;

		n = npp_utf8_len(text);
		if (n == 0)
			fputs("\\ufffd", f);
		else if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20)
			fprintf(f, "\\u%04x", c);
		else
			fwrite(text, 1, n, f);
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
