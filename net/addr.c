/* SPDX-License-Identifier: GPL-2.0-or-later
 * addr.c - text forms and prefixes of addresses
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>

#include "net/addr.h"

bool npp_addr_in_prefix(const union npp_addr *a, const union npp_addr *net, unsigned prefix_len)
{
	unsigned whole = prefix_len / 8, rest = prefix_len % 8;

	if (prefix_len > 128)
		return false;
	if (memcmp(a->b, net->b, whole) != 0)
		return false;
	return rest == 0 || ((a->b[whole] ^ net->b[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

const char *npp_addr_format(const union npp_addr *a, char *buf)
{
	const char *s = npp_addr_is_v4(a) ? inet_ntop(AF_INET, &a->w[3], buf, NPP_ADDR_STRLEN)
					  : inet_ntop(AF_INET6, a->b, buf, NPP_ADDR_STRLEN);

	if (!s)
		strcpy(buf, "?");
	return buf;
}

int npp_addr_parse(const char *text, union npp_addr *out)
{
	uint32_t v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*out = npp_addr_v4(v4);
		return 0;
	}
	return inet_pton(AF_INET6, text, out->b) == 1 ? 0 : -EINVAL;
}

/* Decimal digits only, no sign, no blank; at most MAX. -1 if not. */
static int parse_small(const char *s, unsigned max)
{
	unsigned v = 0;

	if (*s == '\0')
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (unsigned)(*s - '0');
		if (v > max)
			return -1;
	}
	return (int)v;
}

int npp_addr_parse_prefix(const char *text, union npp_addr *out, unsigned *prefix_len)
{
	const char *slash = strchr(text, '/');
	char buf[NPP_ADDR_STRLEN];
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	bool dotted;
	int len;

	if (n >= sizeof buf)
		return -EINVAL;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (npp_addr_parse(buf, out) < 0)
		return -EINVAL;
	if (!slash) {
		*prefix_len = 128;
		return 0;
	}
	dotted = strchr(buf, ':') == NULL;
	len = parse_small(slash + 1, dotted ? 32 : 128);
	if (len < 0)
		return -EINVAL;
	*prefix_len = (unsigned)len + (dotted ? 96 : 0);
	return 0;
}
