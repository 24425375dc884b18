/* SPDX-License-Identifier: GPL-2.0-or-later
 * conf_value.c - single values of configuration files and command lines
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/conf_priv.h"

int npp_conf_parse_u64(const char *text, uint64_t *out)
{
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	char *end;

	if (!isdigit((unsigned char)text[0]) || (base == 16 && !isxdigit((unsigned char)text[2])))
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, base);
	if (*end)
		return -EINVAL;
	return errno == ERANGE ? -ERANGE : 0;
}

int npp_conf_parse_i64(const char *text, int64_t *out)
{
	bool minus = *text == '-';
	uint64_t u;
	int r = npp_conf_parse_u64(text + minus, &u);

	if (r < 0)
		return r;
	if (u > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		return -ERANGE;
	*out = minus ? (int64_t)(0 - u) : (int64_t)u;
	return 0;
}

struct unit { const char *name; double factor; };

/* A number (decimals allowed) and one of UNITS. BARE: a number without unit is fine. */
static int parse_with_unit(const char *text, const struct unit *units, bool bare, uint64_t *out)
{
	size_t digits = strspn(text, "0123456789.");
	const char *unit = text + digits;
	double v, factor = 0;
	char *end;

	if (!isdigit((unsigned char)text[0]) || digits > 30)
		return -EINVAL;
	v = strtod(text, &end);
	if (end != unit)
		return -EINVAL;
	for (; units->name; units++)
		if (strcasecmp(unit, units->name) == 0)
			factor = units->factor;
	if (!*unit && (bare || v == 0))
		factor = 1;
	if (factor == 0)
		return -EINVAL;
	v *= factor;
	if (v >= 9e18)
		return -ERANGE;
	*out = (uint64_t)(v + 0.5);
	return 0;
}

int npp_conf_parse_size(const char *text, uint64_t *out)
{
	static const struct unit units[] = {
		{ "B", 1 }, { "K", 1024 }, { "KB", 1024 }, { "KiB", 1024 },
		{ "M", 1048576 }, { "MB", 1048576 }, { "MiB", 1048576 },
		{ "G", 1073741824 }, { "GB", 1073741824 }, { "GiB", 1073741824 }, { NULL, 0 }
	};

	return parse_with_unit(text, units, true, out);
}

int npp_conf_parse_time(const char *text, uint64_t *us)
{
	static const struct unit units[] = {
		{ "us", 1 }, { "ms", 1e3 }, { "s", 1e6 }, { "min", 60e6 }, { "h", 3600e6 }, { NULL, 0 }
	};

	return parse_with_unit(text, units, false, us);
}

int npp_conf_parse_rate(const char *text, uint64_t *bps)
{
	static const struct unit units[] = {
		{ "bit", 1 }, { "kbit", 1e3 }, { "mbit", 1e6 }, { "gbit", 1e9 }, { NULL, 0 }
	};

	return parse_with_unit(text, units, false, bps);
}

int npp_conf_parse_mac(const char *text, uint8_t mac[6])
{
	for (unsigned i = 0; i < 6; i++) {
		char hex[3] = { 0 };

		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return -EINVAL;
		memcpy(hex, text, 2);
		mac[i] = (uint8_t)strtoul(hex, NULL, 16);
		text += 2;
		if (*text != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		text++;
	}
	return 0;
}

int npp_conf_parse_bool(const char *text, bool *out)
{
	static const char *const yes[] = { "yes", "true", "on" };
	static const char *const no[] = { "no", "false", "off" };

	for (unsigned i = 0; i < 3; i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*out = strcasecmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

bool npp_conf_name_ok(const char *text, size_t min, size_t max)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return !text[len] && len >= min && len <= max && (len == 0 || isalnum((unsigned char)text[0]));
}

/* Edit distance of A and B, bounded: texts over 31 characters are far from everything. */
static unsigned distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[32], diag, up;

	if (la > 31 || lb > 31)
		return 100;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		diag = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
			unsigned best = diag + !same;

			up = row[j];
			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diag = up;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *npp_conf_suggest(const char *text, const char *const *names)
{
	unsigned best = (unsigned)strlen(text) / 3 + 1;
	const char *found = NULL;

	if (best > 3)
		best = 3;
	for (; *names; names++) {
		unsigned d = distance(text, *names);

		if (d <= best && d < strlen(*names)) {
			best = d ? d - 1 : 0;
			found = *names;
			if (d == 0)
				break;
		}
	}
	return found;
}
