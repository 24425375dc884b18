/* SPDX-License-Identifier: GPL-2.0-or-later
 * conf_bind.c - configuration files: from the tree to structs, by table
 *
 * One small function per type of member, in a table by type; a map first looks for keys
 * that no field names, then binds field by field. Defaults go through the same functions
 * as values from the file, as text.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf_priv.h"

#define SUGGEST_MAX 64

static int bind_map(struct npp_conf *c, const struct npp_conf_node *map, const struct npp_conf_node *named,
		    const struct npp_conf_schema *s, void *obj);

/* ---- scalars -------------------------------------------------------------------- */

static int not_a(struct npp_conf *c, const struct npp_conf_node *n, const char *what)
{
	return npp_conf_error(c, n, "'%.60s' is not %s", n->text, what);
}

static int bind_bool(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	(void)f;
	return npp_conf_parse_bool(n->text, dst) < 0 ? not_a(c, n, "yes or no") : 0;
}

/* An integer within the field's bounds, or else LO..HI. */
static int get_int(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, int64_t lo,
		   int64_t hi, int64_t *v)
{
	int r = npp_conf_parse_i64(n->text, v);

	if (f->min || f->max) {
		lo = f->min;
		hi = f->max;
	}
	if (r == -EINVAL)
		return not_a(c, n, "a whole number");
	if (r == -ERANGE ? n->text[0] != '-' : *v > hi)
		return npp_conf_error(c, n, "%.40s is too large (%" PRId64 "..%" PRId64 ")", n->text, lo, hi);
	if (r == -ERANGE || *v < lo)
		return npp_conf_error(c, n, "%.40s is too small (%" PRId64 "..%" PRId64 ")", n->text, lo, hi);
	return 0;
}

static int bind_int(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	int64_t hi = f->type == NPP_CONF_U16 ? UINT16_MAX : f->type == NPP_CONF_U32 ? UINT32_MAX
		   : f->type == NPP_CONF_I32 ? INT32_MAX : INT64_MAX;
	int64_t v;

	if (get_int(c, n, f, f->type == NPP_CONF_I32 ? INT32_MIN : 0, hi, &v) < 0)
		return -EINVAL;
	switch (f->type) {
	case NPP_CONF_U16: *(uint16_t *)dst = (uint16_t)v; break;
	case NPP_CONF_U32: *(uint32_t *)dst = (uint32_t)v; break;
	case NPP_CONF_I32: *(int32_t *)dst = (int32_t)v; break;
	default: *(uint64_t *)dst = (uint64_t)v;
	}
	return 0;
}

static int bind_unit(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	uint64_t v = 0, lo = f->min > 0 ? (uint64_t)f->min : 0, hi = f->max > 0 ? (uint64_t)f->max : INT64_MAX;
	const char *what, *unit;
	int r;

	if (f->type == NPP_CONF_SIZE) {
		r = npp_conf_parse_size(n->text, &v);
		what = "a size (4096, 64K, 2M, 1G)";
		unit = " bytes";
	} else if (f->type == NPP_CONF_TIME) {
		r = npp_conf_parse_time(n->text, &v);
		what = "a time with its unit (10us, 5ms, 1.5s, 2min)";
		unit = " us";
	} else {
		r = npp_conf_parse_rate(n->text, &v);
		what = "a rate with its unit (800bit, 64kbit, 100mbit, 1gbit)";
		unit = " bit/s";
	}
	if (r == -EINVAL)
		return not_a(c, n, what);
	if (r < 0 || v > hi)
		return npp_conf_error(c, n, "%.40s is too large (%" PRIu64 "..%" PRIu64 "%s)", n->text, lo, hi, unit);
	if (v < lo)
		return npp_conf_error(c, n, "%.40s is too small (%" PRIu64 "..%" PRIu64 "%s)", n->text, lo, hi, unit);
	*(uint64_t *)dst = v;
	return 0;
}

static int bind_double(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	double v;
	char *end;

	if (strspn(n->text, "+-0123456789.eE%") != strlen(n->text) || !*n->text)
		return not_a(c, n, "a number");
	v = strtod(n->text, &end);
	if (end != n->text && strcmp(end, "%") == 0) {
		v /= 100;
		end++;
	}
	if (end == n->text || *end || !isfinite(v))
		return not_a(c, n, "a number");
	if ((f->dmin != 0 || f->dmax != 0) && (v < f->dmin || v > f->dmax))
		return npp_conf_error(c, n, "%.40s is too %s (%g..%g)", n->text, v < f->dmin ? "small" : "large",
				      f->dmin, f->dmax);
	*(double *)dst = v;
	return 0;
}

static int bind_text(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	bool name = f->type == NPP_CONF_NAME;
	size_t lo = f->min || f->max ? (size_t)f->min : name ? 1 : 0;
	size_t hi = f->max ? (size_t)f->max : name ? 31 : 4095;
	size_t len = strlen(n->text);

	if (name && !npp_conf_name_ok(n->text, 0, SIZE_MAX))
		return not_a(c, n, "a name (letters, digits, '-', '_', '.')");
	if (len < lo || len > hi)
		return npp_conf_error(c, n, "'%.60s' is too %s (%zu..%zu characters)", n->text,
				      len < lo ? "short" : "long", lo, hi);
	*(const char **)dst = n->text;
	return 0;
}

static int bind_enum(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	const char *names[SUGGEST_MAX] = { NULL }, *meant;
	char all[256] = "";
	unsigned i;

	for (i = 0; f->enums[i].name && i < SUGGEST_MAX - 1; i++) {
		if (strcmp(f->enums[i].name, n->text) == 0) {
			*(uint32_t *)dst = f->enums[i].value;
			return 0;
		}
		names[i] = f->enums[i].name;
		if (strlen(all) + strlen(names[i]) + 3 < sizeof all) {
			strcat(all, i ? ", " : "");
			strcat(all, names[i]);
		}
	}
	meant = npp_conf_suggest(n->text, names);
	if (meant)
		return npp_conf_error(c, n, "'%.60s' is not known, did you mean '%s'? (one of %s)", n->text, meant, all);
	return npp_conf_error(c, n, "'%.60s' is not one of %s", n->text, all);
}

static int bind_net(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	struct npp_conf_prefix p;
	unsigned len = 0;

	if (f->type == NPP_CONF_MAC)
		return npp_conf_parse_mac(n->text, dst) < 0 ? not_a(c, n, "an Ethernet address (02:00:00:00:00:01)") : 0;
	if (f->type == NPP_CONF_ADDR)
		return npp_addr_parse(n->text, dst) < 0 ? not_a(c, n, "an IP address") : 0;
	if (npp_addr_parse_prefix(strcmp(n->text, "default") == 0 ? "0.0.0.0/0" : n->text, &p.addr, &len) < 0)
		return not_a(c, n, "an address with its prefix length (10.0.0.1/24)");
	p.len = len;
	memcpy(dst, &p, sizeof p);
	return 0;
}

static int bind_node(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst)
{
	(void)c;
	(void)f;
	*(const struct npp_conf_node **)dst = n;
	return 0;
}

/* ---- lists and maps ---------------------------------------------------------------- */

static size_t type_size(const struct npp_conf_field *f)
{
	switch (f->type) {
	case NPP_CONF_BOOL: return sizeof(bool);
	case NPP_CONF_U16: return sizeof(uint16_t);
	case NPP_CONF_U32: case NPP_CONF_I32: case NPP_CONF_ENUM: return sizeof(uint32_t);
	case NPP_CONF_U64: case NPP_CONF_SIZE: case NPP_CONF_TIME: case NPP_CONF_RATE: return sizeof(uint64_t);
	case NPP_CONF_DOUBLE: return sizeof(double);
	case NPP_CONF_ADDR: return sizeof(union npp_addr);
	case NPP_CONF_PREFIX: return sizeof(struct npp_conf_prefix);
	case NPP_CONF_MAC: return 6;
	case NPP_CONF_MAP: return f->sub->size;
	case NPP_CONF_CUSTOM: return f->size;
	default: return sizeof(void *);
	}
}

static int check_count(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, const char *what)
{
	int64_t count = n->count;

	if (n->kind == NPP_CONF_SCALAR)
		count = npp_conf_is_null(n) ? 0 : 1;
	if (f->min && count < f->min)
		return npp_conf_error(c, n, "has %" PRId64 " %s, at least %" PRId64 " needed", count, what, f->min);
	if (f->max && count > f->max)
		return npp_conf_error(c, n, "has %" PRId64 " %s, at most %" PRId64 " allowed", count, what, f->max);
	return 0;
}

static int bind_list(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst,
		     uint32_t *count)
{
	bool composite = f->item->type == NPP_CONF_MAP;
	size_t size = type_size(f->item);
	const struct npp_conf_node *k;
	uint8_t *array;
	int r = 0;

	if (n->kind == NPP_CONF_MAP_NODE || (n->kind == NPP_CONF_SCALAR && composite && !npp_conf_is_null(n)))
		return npp_conf_error(c, n, "must be a list");
	if (check_count(c, n, f, "entries") < 0)
		return -EINVAL;
	array = npp_conf_alloc(c, n->count ? n->count : 1, size);
	if (!array)
		return npp_conf_error(c, n, "out of memory");
	*(void **)dst = array;
	if (n->kind == NPP_CONF_SCALAR) {
		*count = npp_conf_is_null(n) ? 0 : 1;
		return *count ? npp_conf_bind_value(c, n, f->item, array) : 0;
	}
	for (k = n->first; k; k = k->next) {
		if (npp_conf_bind_value(c, k, f->item, array + *count * size) < 0)
			r = -EINVAL;
		++*count;
	}
	return r;
}

static int bind_names(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst,
		      uint32_t *count)
{
	const struct npp_conf_node *k;
	uint8_t *array;
	int r = 0;

	if (n->kind != NPP_CONF_MAP_NODE && !npp_conf_is_null(n))
		return npp_conf_error(c, n, "must be a map of names");
	if (check_count(c, n, f, "entries") < 0)
		return -EINVAL;
	array = npp_conf_alloc(c, n->count ? n->count : 1, f->sub->size);
	if (!array)
		return npp_conf_error(c, n, "out of memory");
	*(void **)dst = array;
	for (k = n->first; k; k = k->next) {
		if (!npp_conf_name_ok(k->key, 1, 31))
			r = npp_conf_error(c, k, "is not a name (letters, digits, '-', '_', '.', at most 31)");
		if (bind_map(c, k, k, f->sub, array + *count * f->sub->size) < 0)
			r = -EINVAL;
		++*count;
	}
	return r;
}

/* ---- by type -------------------------------------------------------------------------- */

typedef int bind_fn(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst);

static bind_fn *const scalar_binder[] = {
	[NPP_CONF_BOOL] = bind_bool, [NPP_CONF_U16] = bind_int, [NPP_CONF_U32] = bind_int,
	[NPP_CONF_I32] = bind_int, [NPP_CONF_U64] = bind_int, [NPP_CONF_SIZE] = bind_unit,
	[NPP_CONF_TIME] = bind_unit, [NPP_CONF_RATE] = bind_unit, [NPP_CONF_DOUBLE] = bind_double,
	[NPP_CONF_STR] = bind_text, [NPP_CONF_NAME] = bind_text, [NPP_CONF_ENUM] = bind_enum,
	[NPP_CONF_ADDR] = bind_net, [NPP_CONF_PREFIX] = bind_net, [NPP_CONF_MAC] = bind_net,
};

int npp_conf_bind_value(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *obj)
{
	void *dst = (char *)obj + f->off;

	switch (f->type) {
	case NPP_CONF_MAP:
		return bind_map(c, n, n, f->sub, dst);
	case NPP_CONF_LIST:
		return bind_list(c, n, f, dst, (uint32_t *)((char *)obj + f->count_off));
	case NPP_CONF_NAMES:
		return bind_names(c, n, f, dst, (uint32_t *)((char *)obj + f->count_off));
	case NPP_CONF_CUSTOM:
		return f->parse(c, n, f, dst);
	case NPP_CONF_NODE:
		return bind_node(c, n, f, dst);
	default:
		break;
	}
	if (n->kind != NPP_CONF_SCALAR)
		return npp_conf_error(c, n, "must be a single value, not a %s",
				      n->kind == NPP_CONF_LIST_NODE ? "list" : "map");
	if (npp_conf_is_null(n))
		return npp_conf_error(c, n, "has no value");
	return scalar_binder[f->type](c, n, f, dst);
}

static void unknown_keys(struct npp_conf *c, const struct npp_conf_node *map, const struct npp_conf_schema *s, int *r)
{
	const char *names[SUGGEST_MAX] = { NULL }, *meant;
	const struct npp_conf_field *f;
	struct npp_conf_node *k;
	unsigned i = 0;

	for (f = s->fields; f->type != NPP_CONF_END; f++) {
		if (f->type == NPP_CONF_OTHERS)
			return;
		if (f->key && i < SUGGEST_MAX - 1)
			names[i++] = f->key;
	}
	for (k = map->first; k; k = k->next) {
		for (f = s->fields; f->type != NPP_CONF_END; f++)
			if (f->key && strcmp(f->key, k->key) == 0)
				break;
		if (f->type != NPP_CONF_END)
			continue;
		meant = npp_conf_suggest(k->key, names);
		k->meant = meant ? meant : "";
		*r = npp_conf_error_key(c, map, k->key, meant ? "is not known, did you mean '%s'?" : "is not known",
					meant);
	}
}

/* Has MAP a key that nobody knows, and that was probably meant to be KEY? */
static bool is_misspelt(const struct npp_conf_node *map, const char *key)
{
	for (const struct npp_conf_node *k = map ? map->first : NULL; k; k = k->next)
		if (k->meant && strcmp(k->meant, key) == 0)
			return true;
	return false;
}

/* An absent key: its default, an empty map, or nothing. */
static int bind_absent(struct npp_conf *c, const struct npp_conf_node *map, const struct npp_conf_field *f, void *obj)
{
	struct npp_conf_node *n;

	if (f->flags & NPP_CONF_REQUIRED && is_misspelt(map, f->key))
		return -EINVAL;
	if (f->flags & NPP_CONF_REQUIRED)
		return npp_conf_error_key(c, map, f->key, "is missing");
	if (f->type == NPP_CONF_MAP && !(f->flags & NPP_CONF_OPTIONAL))
		return bind_map(c, NULL, NULL, f->sub, (char *)obj + f->off);
	if (!f->dflt)
		return 0;
	n = npp_conf_alloc(c, 1, sizeof *n);
	if (!n)
		return npp_conf_error(c, map, "out of memory");
	n->kind = NPP_CONF_SCALAR;
	n->quoted = true;
	n->text = f->dflt;
	n->key = f->key;
	n->parent = map;
	n->line = n->key_line = map ? map->line : 0;
	return npp_conf_bind_value(c, n, f, obj);
}

/* NAMED: the node under whose free name the map stands, or NULL. */
static int bind_map(struct npp_conf *c, const struct npp_conf_node *map, const struct npp_conf_node *named,
		    const struct npp_conf_schema *s, void *obj)
{
	const struct npp_conf_field *f;
	int r = 0;

	memset(obj, 0, s->size);
	for (f = s->fields; f->type != NPP_CONF_END; f++) {
		if (f->type == NPP_CONF_SELF)
			*(const struct npp_conf_node **)((char *)obj + f->off) = map;
		else if (f->type == NPP_CONF_KEYNAME)
			*(const char **)((char *)obj + f->off) = named ? named->key : NULL;
	}
	if (map && map->kind != NPP_CONF_MAP_NODE && !npp_conf_is_null(map))
		return npp_conf_error(c, map, "must be a map (key: value)");
	if (map)
		unknown_keys(c, map, s, &r);
	for (f = s->fields; f->type != NPP_CONF_END; f++) {
		const struct npp_conf_node *n;

		if (!f->key || (f->flags & NPP_CONF_IGNORED))
			continue;
		n = npp_conf_get(map, f->key);
		if ((n ? npp_conf_bind_value(c, n, f, obj) : bind_absent(c, map, f, obj)) < 0)
			r = -EINVAL;
	}
	if (r == 0 && s->check)
		r = s->check(c, map, obj);
	return r;
}

int npp_conf_bind(struct npp_conf *c, const struct npp_conf_node *map, const struct npp_conf_schema *s, void *obj)
{
	return bind_map(c, map, map, s, obj);
}
