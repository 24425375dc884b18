/* SPDX-License-Identifier: GPL-2.0-or-later
 * conf.h - configuration files: YAML into checked structs, every error with its place
 *
 * Two steps, both may be used alone:
 *
 *   npp_conf_load()   reads a file into a tree of nodes, each with line and path
 *                     ("npp.port.mtu", "npp.routes[1].via");
 *   npp_conf_bind()   fills a struct from a map by a table (struct npp_conf_schema):
 *                     required keys, defaults, ranges, enums, lists, nested maps, maps
 *                     with free names. Unknown and duplicate keys are errors.
 *
 * Nothing stops at the first error: they are collected (at most NPP_CONF_MAX_ERRORS) as
 *   FILE:LINE: key 'npp.port.mtu': 70000 is too large (68..65535)
 * and later steps add their own with npp_conf_error() (a bridge that does not exist).
 *
 *   struct port { const char *name; uint32_t mtu; const struct npp_conf_node *node; };
 *   static const struct npp_conf_field port_fields[] = {
 *           NPP_CONF_FIELD("name", NAME, struct port, name, .flags = NPP_CONF_REQUIRED, .max = 15),
 *           NPP_CONF_FIELD("mtu", U32, struct port, mtu, .min = 68, .max = 65535, .dflt = "1500"),
 *           NPP_CONF_FIELD(NULL, SELF, struct port, node),
 *           { .type = NPP_CONF_END }
 *   };
 *   static const struct npp_conf_schema port_schema = { sizeof(struct port), port_fields, NULL };
 *
 *   struct npp_conf *c;
 *   struct port p;
 *   if (npp_conf_load(&c, path) == 0 && npp_conf_bind(c, npp_conf_root(c), &port_schema, &p) == 0)
 *           use(&p);
 *   for (i = 0; i < npp_conf_error_count(c); i++)
 *           npp_warnx("%s", npp_conf_error_text(c, i));
 *   npp_conf_free(c);
 *
 * Strings, lists and nodes belong to the struct npp_conf and live until npp_conf_free().
 * Aliases, anchors, tags and several documents in a file are refused.
 */
#ifndef NPP_LIB_CONF_H
#define NPP_LIB_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log.h"
#include "net/addr.h"

#define NPP_CONF_MAX_ERRORS 50
#define NPP_CONF_MAX_BYTES (1u << 20)	/* of a file */
#define NPP_CONF_MAX_NODES 50000u
#define NPP_CONF_MAX_DEPTH 24u

/* ---- tree ------------------------------------------------------------------- */

enum npp_conf_kind { NPP_CONF_SCALAR, NPP_CONF_LIST_NODE, NPP_CONF_MAP_NODE };

struct npp_conf_node {
	enum npp_conf_kind kind;
	unsigned line, column;		/* from 1 */
	bool quoted;			/* scalar: was in quotes */
	const char *text;		/* scalar: its text, UTF-8, no NUL inside */
	const char *key;		/* member of a map: its key, else NULL */
	unsigned key_line;
	unsigned index;			/* place in its parent */
	const struct npp_conf_node *parent;	/* NULL: the root */
	struct npp_conf_node *first, *next;	/* children in order; next sibling */
	struct npp_conf_node *last;
	unsigned count;			/* children */
	bool bad;			/* an error was told about it, or about something below it */
	const char *meant;		/* the key is none that the map can have: the one that it may stand for, or "" */
};

struct npp_conf;

/* Reads PATH. *OUT is always set, unless -ENOMEM: it holds the errors. 0 or -errno
 * (-EINVAL: see the errors). */
int npp_conf_load(struct npp_conf **out, const char *path);
/* The same from memory; NAME stands for the file's name in messages. */
int npp_conf_load_text(struct npp_conf **out, const char *name, const char *text, size_t len);
void npp_conf_free(struct npp_conf *c);		/* NULL is fine */

const struct npp_conf_node *npp_conf_root(const struct npp_conf *c); /* NULL: did not parse */
/* Child KEY of a map, or NULL (also for a NULL or other MAP). */
const struct npp_conf_node *npp_conf_get(const struct npp_conf_node *map, const char *key);
/* By path from the root: "npp.port.mtu", "npp.routes[1].via". NULL: not there. */
const struct npp_conf_node *npp_conf_find(const struct npp_conf *c, const char *path);
/* The node's path into BUF; returns BUF. */
const char *npp_conf_path(const struct npp_conf_node *n, char *buf, size_t cap);
/* An empty value ("key:", "~" or "null" without quotes). */
bool npp_conf_is_null(const struct npp_conf_node *n);

/* ---- errors ------------------------------------------------------------------- */

/* Adds "FILE:LINE: key 'PATH': TEXT" (no key for the root, no line without a node) and
 * returns -EINVAL. */
int npp_conf_error(struct npp_conf *c, const struct npp_conf_node *n, const char *fmt, ...) NPP_PRINTF(3, 4);
/* The same about key KEY below map N that may not be there: its own line if it is, else
 * the map's. */
int npp_conf_error_key(struct npp_conf *c, const struct npp_conf_node *n, const char *key, const char *fmt, ...)
	NPP_PRINTF(4, 5);
/* Nothing can be said about KEY of MAP: an error was told about its value, or it is missing while MAP has keys
 * that nobody knows. What follows from it alone is not worth an error. */
bool npp_conf_in_doubt(const struct npp_conf_node *map, const char *key);
/* By line: those of no line first, those of one line as they were found. */
void npp_conf_sort_errors(struct npp_conf *c);
unsigned npp_conf_error_count(const struct npp_conf *c);	/* kept ones */
const char *npp_conf_error_text(const struct npp_conf *c, unsigned i);

/* ---- binding -------------------------------------------------------------------- */

enum npp_conf_type {		/* member of the struct */
	NPP_CONF_END = 0,	/* last entry of a table */
	NPP_CONF_BOOL,		/* bool: yes no true false on off */
	NPP_CONF_U16,		/* uint16_t; min..max */
	NPP_CONF_U32,		/* uint32_t; min..max */
	NPP_CONF_I32,		/* int32_t; min..max */
	NPP_CONF_U64,		/* uint64_t; min..max */
	NPP_CONF_SIZE,		/* uint64_t bytes: 4096, 64K, 2M, 1G (powers of 1024; "MB", "MiB" too) */
	NPP_CONF_TIME,		/* uint64_t microseconds: 10us, 5ms, 1.5s, 2min; a bare 0 */
	NPP_CONF_RATE,		/* uint64_t bits per second: 800bit, 64kbit, 100mbit, 1.5gbit */
	NPP_CONF_DOUBLE,	/* double; dmin..dmax; "2.5%" is 0.025 */
	NPP_CONF_STR,		/* const char *; min..max is its length, default at most 4095 */
	NPP_CONF_NAME,		/* const char *: a letter or digit, then letters, digits, '-' '_' '.';
				   length min..max, default 1..31 */
	NPP_CONF_ENUM,		/* uint32_t: one of .enums */
	NPP_CONF_ADDR,		/* union npp_addr */
	NPP_CONF_PREFIX,	/* struct npp_conf_prefix: 10.0.0.0/8, 10.0.0.1; "default" is 0.0.0.0/0 */
	NPP_CONF_MAC,		/* uint8_t[6] */
	NPP_CONF_NODE,		/* const struct npp_conf_node *: whatever it is, for the caller */
	NPP_CONF_MAP,		/* struct of .sub, in place; an absent map is bound as an empty one unless
				   NPP_CONF_OPTIONAL */
	NPP_CONF_LIST,		/* pointer to an array of .item, uint32_t count at .count_off; min..max
				   elements. A single scalar is a list of one if .item is scalar. */
	NPP_CONF_NAMES,		/* map with free names: pointer to an array of structs of .sub, count at
				   .count_off; the name by a NPP_CONF_KEYNAME entry of .sub */
	NPP_CONF_CUSTOM,	/* .parse does it */
	/* pseudo entries without a key */
	NPP_CONF_SELF,		/* const struct npp_conf_node *: the map that this struct was bound to
				   (NULL: absent) */
	NPP_CONF_KEYNAME,	/* const char *: the free name under which the map stands */
	NPP_CONF_OTHERS,	/* no member: keys that no entry names are passed over, not errors (files
				   that another version of a program may have written) */
};

#define NPP_CONF_REQUIRED 1u
#define NPP_CONF_OPTIONAL 2u	/* MAP: stay zero when absent */
#define NPP_CONF_IGNORED 4u	/* the key is known, someone else binds it */

struct npp_conf_enum { const char *name; uint32_t value; };	/* ends with name NULL */
struct npp_conf_prefix { union npp_addr addr; uint32_t len; /* in 128 bits: 96 + n for IPv4 */ };

struct npp_conf_schema;
struct npp_conf_field {
	const char *key;
	enum npp_conf_type type;
	size_t off;			/* of the member */
	unsigned flags;
	int64_t min, max;		/* both 0: the type's own bounds */
	double dmin, dmax;		/* DOUBLE: both 0: any finite number */
	const char *dflt;		/* as it would stand in the file; NULL: the member stays zero */
	size_t count_off;		/* LIST, NAMES */
	const struct npp_conf_enum *enums;
	const struct npp_conf_field *item;	/* LIST: what an element is (off 0, no key) */
	const struct npp_conf_schema *sub;	/* MAP, NAMES */
	/* CUSTOM: N is the value (never NULL; not called when absent), DST the member. 0 or
	 * npp_conf_error(). `size` is needed for an .item only. */
	int (*parse)(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *dst);
	size_t size;
};

/* An entry for member M of STRUCT; TYPE without its prefix. */
#define NPP_CONF_FIELD(KEY, TYPE, STRUCT, M, ...) \
	{ .key = (KEY), .type = NPP_CONF_##TYPE, .off = offsetof(STRUCT, M), __VA_ARGS__ }

struct npp_conf_schema {
	size_t size;			/* of the struct */
	const struct npp_conf_field *fields;
	/* Checks that need several keys, after all fields were bound without an error. N is
	 * NULL if the map was absent. May be NULL. 0 or npp_conf_error(). */
	int (*check)(struct npp_conf *c, const struct npp_conf_node *n, void *obj);
};

/* Zeroes OBJ and fills it from MAP (NULL or null value: as if empty). 0, or -EINVAL after
 * adding every error found below MAP; OBJ is then incomplete but safe to look at. */
int npp_conf_bind(struct npp_conf *c, const struct npp_conf_node *map, const struct npp_conf_schema *s, void *obj);
/* One value by one field description; F->off counts from OBJ. */
int npp_conf_bind_value(struct npp_conf *c, const struct npp_conf_node *n, const struct npp_conf_field *f, void *obj);

/* Zeroed memory that goes with C. NULL: no memory. */
void *npp_conf_alloc(struct npp_conf *c, size_t n, size_t size);
char *npp_conf_strdup(struct npp_conf *c, const char *text);

/* ---- single values, for command lines ------------------------------------------- */

int npp_conf_parse_u64(const char *text, uint64_t *out);	/* decimal or 0x; 0, -EINVAL, -ERANGE */
int npp_conf_parse_i64(const char *text, int64_t *out);
int npp_conf_parse_size(const char *text, uint64_t *out);
int npp_conf_parse_time(const char *text, uint64_t *us);
int npp_conf_parse_rate(const char *text, uint64_t *bps);
int npp_conf_parse_mac(const char *text, uint8_t mac[6]);
int npp_conf_parse_bool(const char *text, bool *out);
bool npp_conf_name_ok(const char *text, size_t min, size_t max);
/* The entry of NAMES (ends with NULL) that TEXT was probably meant to be, or NULL. */
const char *npp_conf_suggest(const char *text, const char *const *names);

#endif
