/* SPDX-License-Identifier: GPL-2.0-or-later
 * conf.c - configuration files: the tree and its errors
 *
 * libyaml gives events; from them a tree of nodes is built that remembers lines. All
 * memory hangs on one list of blocks, so that an error anywhere needs no cleaning up.
 * Bounds: bytes of the file, nodes, depth, errors kept.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "lib/conf_priv.h"

#define PATH_MAX_LEN 512
#define MAX_KEYS 4096u	/* of one map: duplicates are found by looking at all */

/* ---- memory ----------------------------------------------------------------- */

void *npp_conf_alloc(struct npp_conf *c, size_t n, size_t size)
{
	struct conf_block *b;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - 16)
		return NULL;
	b = calloc(1, bytes + 16);
	if (!b)
		return NULL;
	b->next = c->blocks;
	c->blocks = b;
	return (char *)b + 16;
}

char *npp_conf_strdup(struct npp_conf *c, const char *text)
{
	size_t len = strlen(text) + 1;
	char *p = npp_conf_alloc(c, 1, len);

	if (p)
		memcpy(p, text, len);
	return p;
}

void npp_conf_free(struct npp_conf *c)
{
	struct conf_block *b, *next;

	if (!c)
		return;
	for (b = c->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	free(c);
}

/* ---- errors ------------------------------------------------------------------ */

/* Keeps "FILE:LINE: TEXT"; LINE 0: no line. */
static int keep_error(struct npp_conf *c, unsigned line, const char *key, const char *fmt, va_list ap)
{
	char text[1024];
	size_t n = 0;

	c->n_found++;
	if (c->n_errors > NPP_CONF_MAX_ERRORS)
		return -EINVAL;
	if (c->n_errors == NPP_CONF_MAX_ERRORS) {
		snprintf(text, sizeof text, "%s: more errors, not shown", c->file);
	} else {
		n = (size_t)(line ? snprintf(text, sizeof text, "%s:%u: ", c->file, line)
				  : snprintf(text, sizeof text, "%s: ", c->file));
		if (n < sizeof text && key && *key)
			n += (size_t)snprintf(text + n, sizeof text - n, "key '%s': ", key);
		if (n < sizeof text)
			vsnprintf(text + n, sizeof text - n, fmt, ap);
	}
	c->error_line[c->n_errors] = c->n_errors < NPP_CONF_MAX_ERRORS ? line : UINT_MAX;
	c->error[c->n_errors] = npp_conf_strdup(c, text);
	if (c->error[c->n_errors])
		c->n_errors++;
	return -EINVAL;
}

static int NPP_PRINTF(3, 4) error_line(struct npp_conf *c, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep_error(c, line, NULL, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* N and all that it is in. All nodes are ours, and were made to be written to. */
static void mark_bad(const struct npp_conf_node *n)
{
	union { const struct npp_conf_node *c; struct npp_conf_node *w; } u = { .c = n };

	for (; u.c; u.c = u.c->parent)
		u.w->bad = true;
}

int npp_conf_error(struct npp_conf *c, const struct npp_conf_node *n, const char *fmt, ...)
{
	char path[PATH_MAX_LEN];
	va_list ap;

	va_start(ap, fmt);
	mark_bad(n);
	keep_error(c, n ? n->line : 0, n ? npp_conf_path(n, path, sizeof path) : NULL, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int npp_conf_error_key(struct npp_conf *c, const struct npp_conf_node *n, const char *key, const char *fmt, ...)
{
	const struct npp_conf_node *v = npp_conf_get(n, key);
	char path[PATH_MAX_LEN + 64], *p = path;
	va_list ap;

	*p = '\0';
	if (n) {
		npp_conf_path(n, path, PATH_MAX_LEN);
		p += strlen(path);
	}
	snprintf(p, 64, "%s%s", p == path ? "" : ".", key);
	mark_bad(v ? v : n);
	va_start(ap, fmt);
	keep_error(c, v ? v->key_line : n ? n->line : 0, path, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void npp_conf_sort_errors(struct npp_conf *c)
{
	for (unsigned i = 1; i < c->n_errors; i++)
		for (unsigned j = i; j > 0 && c->error_line[j] < c->error_line[j - 1]; j--) {
			unsigned line = c->error_line[j];
			char *text = c->error[j];

			c->error_line[j] = c->error_line[j - 1];
			c->error[j] = c->error[j - 1];
			c->error_line[j - 1] = line;
			c->error[j - 1] = text;
		}
}

bool npp_conf_in_doubt(const struct npp_conf_node *map, const char *key)
{
	const struct npp_conf_node *n = npp_conf_get(map, key);

	if (n || !map)
		return n && n->bad;
	for (n = map->first; n; n = n->next)
		if (n->meant)
			return true;
	return map->kind != NPP_CONF_MAP_NODE && map->bad;
}

unsigned npp_conf_error_count(const struct npp_conf *c)
{
	return c->n_errors;
}

const char *npp_conf_error_text(const struct npp_conf *c, unsigned i)
{
	return i < c->n_errors ? c->error[i] : "";
}

/* ---- looking around ------------------------------------------------------------ */

const struct npp_conf_node *npp_conf_root(const struct npp_conf *c)
{
	return c->root;
}

const struct npp_conf_node *npp_conf_get(const struct npp_conf_node *map, const char *key)
{
	const struct npp_conf_node *n;

	if (!map || map->kind != NPP_CONF_MAP_NODE)
		return NULL;
	for (n = map->first; n; n = n->next)
		if (n->key && strcmp(n->key, key) == 0)
			return n;
	return NULL;
}

bool npp_conf_is_null(const struct npp_conf_node *n)
{
	return n->kind == NPP_CONF_SCALAR && !n->quoted &&
	       (!*n->text || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

const char *npp_conf_path(const struct npp_conf_node *n, char *buf, size_t cap)
{
	const struct npp_conf_node *up[NPP_CONF_MAX_DEPTH + 2];
	unsigned depth = 0;
	size_t len = 0;

	buf[0] = '\0';
	for (; n && n->parent && depth < NPP_CONF_MAX_DEPTH + 2; n = n->parent)
		up[depth++] = n;
	while (depth-- > 0 && len < cap) {
		int k;

		if (up[depth]->key)
			k = snprintf(buf + len, cap - len, "%s%s", len ? "." : "", up[depth]->key);
		else
			k = snprintf(buf + len, cap - len, "[%u]", up[depth]->index);
		len += k > 0 ? (size_t)k : 0;
	}
	return buf;
}

/* The child of N that the first part of PATH names; *REST: what follows it. */
static const struct npp_conf_node *path_step(const struct npp_conf_node *n, const char *path, const char **rest)
{
	size_t len = strcspn(path, ".[");
	const struct npp_conf_node *k;

	if (*path == '[') {
		char *end;
		unsigned long i = strtoul(path + 1, &end, 10);

		*rest = *end == ']' ? end + 1 : end;
		if (n->kind != NPP_CONF_LIST_NODE || *end != ']')
			return NULL;
		for (k = n->first; k && i; k = k->next)
			i--;
		return k;
	}
	*rest = path + len;
	if (n->kind != NPP_CONF_MAP_NODE)
		return NULL;
	for (k = n->first; k; k = k->next)
		if (strlen(k->key) == len && memcmp(k->key, path, len) == 0)
			break;
	return k;
}

const struct npp_conf_node *npp_conf_find(const struct npp_conf *c, const char *path)
{
	const struct npp_conf_node *n = c->root;

	while (n && *path) {
		if (*path == '.')
			path++;
		n = path_step(n, path, &path);
	}
	return n;
}

/* ---- reading --------------------------------------------------------------------- */

static struct npp_conf_node *node_new(struct npp_conf *c, const struct npp_conf_node *parent, const yaml_event_t *ev)
{
	struct npp_conf_node *n;

	if (++c->nodes > NPP_CONF_MAX_NODES) {
		error_line(c, (unsigned)ev->start_mark.line + 1, "more than %u values", NPP_CONF_MAX_NODES);
		return NULL;
	}
	n = npp_conf_alloc(c, 1, sizeof *n);
	if (!n) {
		error_line(c, 0, "out of memory");
		return NULL;
	}
	n->text = "";
	n->line = (unsigned)ev->start_mark.line + 1;
	n->column = (unsigned)ev->start_mark.column + 1;
	n->parent = parent;
	n->index = parent ? parent->count : 0;
	return n;
}

static void node_append(struct npp_conf_node *parent, struct npp_conf_node *n)
{
	n->index = parent->count++;
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
}

/* Is what P stumbled over a tab? */
static bool at_tab(const yaml_parser_t *p)
{
	return p->problem && strstr(p->problem, "cannot start any token") && p->buffer.pointer < p->buffer.last &&
	       *p->buffer.pointer == '\t';
}

static int next_event(struct npp_conf *c, yaml_parser_t *p, yaml_event_t *ev)
{
	if (yaml_parser_parse(p, ev))
		return 0;
	/* The marks of a reader error (bad UTF-8) are not set. */
	error_line(c, p->problem_mark.line || p->problem_mark.column ? (unsigned)p->problem_mark.line + 1 : 0,
		   "not YAML: %s%s%s%s", p->problem ? p->problem : "cannot be read", p->context ? ", " : "",
		   p->context ? p->context : "", at_tab(p) ? " (a tab: YAML is indented with blanks)" : "");
	return -EINVAL;
}

/* What is refused of YAML, for a value that begins with EV. */
static int check_plain(struct npp_conf *c, const yaml_event_t *ev)
{
	unsigned line = (unsigned)ev->start_mark.line + 1;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (ev->type) {
	case YAML_ALIAS_EVENT:
		return error_line(c, line, "aliases (*%.40s) are not supported",
				  (const char *)ev->data.alias.anchor);
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		if (memchr(ev->data.scalar.value, 0, ev->data.scalar.length))
			return error_line(c, line, "a text with a zero byte in it");
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		break;
	default:
		return error_line(c, line, "not YAML: unexpected event %d", (int)ev->type);
	}
	if (anchor)
		return error_line(c, line, "anchors (&%.40s) are not supported", (const char *)anchor);
	if (tag)
		return error_line(c, line, "tags (%.40s) are not supported", (const char *)tag);
	return 0;
}

static int fill_value(struct npp_conf *c, yaml_parser_t *p, const yaml_event_t *ev, struct npp_conf_node *n,
		      unsigned depth);

static int read_list(struct npp_conf *c, yaml_parser_t *p, struct npp_conf_node *list, unsigned depth)
{
	struct npp_conf_node *n;
	yaml_event_t ev;
	int r;

	for (;;) {
		if (next_event(c, p, &ev) < 0)
			return -EINVAL;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			return 0;
		}
		n = node_new(c, list, &ev);
		r = n ? fill_value(c, p, &ev, n, depth) : -EINVAL;
		yaml_event_delete(&ev);
		if (r < 0)
			return r;
		node_append(list, n);
	}
}

/* Reads the value of the key in EV and appends it, unless the key stands there already. */
static int read_pair(struct npp_conf *c, yaml_parser_t *p, struct npp_conf_node *map, const yaml_event_t *ev,
		     unsigned depth)
{
	unsigned line = (unsigned)ev->start_mark.line + 1;
	const struct npp_conf_node *before;
	struct npp_conf_node *n;
	yaml_event_t vev;
	int r;

	if (check_plain(c, ev) < 0)
		return -EINVAL;
	if (ev->type != YAML_SCALAR_EVENT)
		return error_line(c, line, "a key must be a plain word");
	if (map->count >= MAX_KEYS)
		return error_line(c, line, "a map of more than %u keys", MAX_KEYS);
	if (next_event(c, p, &vev) < 0)
		return -EINVAL;
	n = node_new(c, map, &vev);
	if (n) {
		n->key_line = line;
		n->key = npp_conf_strdup(c, (const char *)ev->data.scalar.value);
	}
	r = n && n->key ? fill_value(c, p, &vev, n, depth) : -EINVAL;
	yaml_event_delete(&vev);
	if (r < 0)
		return r;
	if (npp_conf_is_null(n))
		n->line = line; /* an empty value begins where the next key does */
	before = npp_conf_get(map, n->key);
	if (before)
		npp_conf_error(c, n, "stands here a second time (first on line %u)", before->key_line);
	else
		node_append(map, n);
	return 0;
}

static int read_map(struct npp_conf *c, yaml_parser_t *p, struct npp_conf_node *map, unsigned depth)
{
	yaml_event_t ev;
	int r;

	for (;;) {
		if (next_event(c, p, &ev) < 0)
			return -EINVAL;
		if (ev.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&ev);
			return 0;
		}
		r = read_pair(c, p, map, &ev, depth);
		yaml_event_delete(&ev);
		if (r < 0)
			return r;
	}
}

/* Reads the value that begins with EV into N, whose place is known already. */
static int fill_value(struct npp_conf *c, yaml_parser_t *p, const yaml_event_t *ev, struct npp_conf_node *n,
		      unsigned depth)
{
	if (check_plain(c, ev) < 0)
		return -EINVAL;
	if (depth >= NPP_CONF_MAX_DEPTH)
		return error_line(c, n->line, "nested deeper than %u", NPP_CONF_MAX_DEPTH);
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		n->kind = NPP_CONF_SCALAR;
		n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		n->text = npp_conf_strdup(c, (const char *)ev->data.scalar.value);
		return n->text ? 0 : error_line(c, 0, "out of memory");
	case YAML_SEQUENCE_START_EVENT:
		n->kind = NPP_CONF_LIST_NODE;
		return read_list(c, p, n, depth + 1);
	default:
		n->kind = NPP_CONF_MAP_NODE;
		return read_map(c, p, n, depth + 1);
	}
}

/* The stream's one document. */
static int read_stream(struct npp_conf *c, yaml_parser_t *p)
{
	bool have = false;
	yaml_event_t ev;
	int r = 0;

	while (r == 0) {
		bool end = false;

		if (next_event(c, p, &ev) < 0)
			return -EINVAL;
		switch (ev.type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (have)
				r = error_line(c, (unsigned)ev.start_mark.line + 1, "a second document in the file");
			break;
		case YAML_STREAM_END_EVENT:
			end = true;
			break;
		default:
			have = true;
			c->root = node_new(c, NULL, &ev);
			r = c->root ? fill_value(c, p, &ev, c->root, 0) : -EINVAL;
		}
		yaml_event_delete(&ev);
		if (end)
			break;
	}
	if (r == 0 && (!c->root || npp_conf_is_null(c->root)))
		r = error_line(c, 0, "is empty");
	return r;
}

static int conf_new(struct npp_conf **out, const char *name)
{
	struct npp_conf *c = calloc(1, sizeof *c);

	*out = c;
	if (!c)
		return -ENOMEM;
	c->file = npp_conf_strdup(c, name);
	if (!c->file) {
		npp_conf_free(c);
		*out = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int parse_text(struct npp_conf *c, const char *text, size_t len)
{
	yaml_parser_t p;

	if (len > NPP_CONF_MAX_BYTES)
		return error_line(c, 0, "is larger than %u bytes", NPP_CONF_MAX_BYTES);
	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	if (read_stream(c, &p) < 0)
		c->root = NULL;
	yaml_parser_delete(&p);
	return c->n_found ? -EINVAL : 0;
}

int npp_conf_load_text(struct npp_conf **out, const char *name, const char *text, size_t len)
{
	int r = conf_new(out, name);

	return r < 0 ? r : parse_text(*out, text, len);
}

/* Reads at most CAP bytes of FD; bytes, or -errno. */
static ssize_t read_all(int fd, char *buf, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t k = read(fd, buf + n, cap - n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		n += (size_t)k;
	}
	return (ssize_t)n;
}

int npp_conf_load(struct npp_conf **out, const char *path)
{
	int r = conf_new(out, path), fd;
	ssize_t len = 0;
	char *buf;

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		error_line(*out, 0, "%s", strerror(-r));
		return r;
	}
	buf = npp_conf_alloc(*out, 1, NPP_CONF_MAX_BYTES + 1);
	if (buf)
		len = read_all(fd, buf, NPP_CONF_MAX_BYTES + 1);
	close(fd);
	if (!buf || len < 0) {
		r = buf ? (int)len : -ENOMEM;
		error_line(*out, 0, "%s", strerror(-r));
		return r;
	}
	return parse_text(*out, buf, (size_t)len);
}
