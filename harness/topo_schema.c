/* SPDX-License-Identifier: GPL-2.0-or-later
 * topo_schema.c - the loader's tables as a JSON schema, for editors (npp-lab schema)
 *
 * Names, types, bounds, defaults and what is required come from the tables by which files
 * are read (topo.c), settings of wires from that of npp-wire. Only what the tables leave
 * to code is written here: values that may have several forms.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "harness/lab.h"
#include "harness/topo.h"
#include "harness/wire/wire.h"
#include "nppd/settings.h"

static void put_map(FILE *f, const struct npp_conf_schema *s);
static void put_value(FILE *f, const struct npp_conf_field *v);

#define NAME_PATTERN "^[A-Za-z0-9][A-Za-z0-9._-]*$"
#define SCALAR "[\"string\", \"number\"]"

/* A scalar that people may write as text with a unit, or as a number within BOUNDS; conf_value.c reads them. */
#define NUMBER "^[0-9]+([.][0-9]*)?"
#define ZERO ", \"minimum\": 0, \"maximum\": 0"
static void put_unit(FILE *f, const char *pattern, const char *bounds, const char *example)
{
	fprintf(f, "\"type\": " SCALAR ", \"pattern\": \"%s\"%s, \"examples\": [\"%s\"]", pattern, bounds, example);
}

static void put_bounds(FILE *f, const struct npp_conf_field *v, int64_t max)
{
	int64_t lo = v->min || v->max ? v->min : 0, hi = v->min || v->max ? v->max : max;

	fprintf(f, "\"type\": \"integer\", \"minimum\": %" PRId64 ", \"maximum\": %" PRId64, lo, hi);
}

static void put_enum(FILE *f, const struct npp_conf_enum *e)
{
	fputs("\"enum\": [", f);
	for (const struct npp_conf_enum *i = e; i->name; i++) {
		fprintf(f, "%s\"%s\"", i == e ? "" : ", ", i->name);
		if (strcmp(i->name, "true") == 0 || strcmp(i->name, "false") == 0)	/* what YAML makes of yes and no */
			fprintf(f, ", %s", i->name);
	}
	fputc(']', f);
}

static void put_wire_keys(FILE *f)
{
	const char *what, *key;

	for (unsigned i = 0; (key = wire_conf_key(i, &what)); i++) {
		fprintf(f, "%s\"%s\": {\"type\": [\"string\", \"number\", \"boolean\"], \"description\": ", i ? ", " : "", key);
		json_string(f, what);
		fputc('}', f);
	}
}

/* Settings for both directions, or for one of them. */
static void put_wire(FILE *f)
{
	fputs("\"type\": [\"boolean\", \"string\", \"object\", \"null\"], \"additionalProperties\": false, \"properties\": {", f);
	put_wire_keys(f);
	for (unsigned d = 0; d < WIRE_DIRS; d++) {
		fprintf(f, ", \"%s\": {\"type\": \"object\", \"additionalProperties\": false, \"properties\": {", wire_dir_names[d]);
		put_wire_keys(f);
		fputs("}}", f);
	}
	fputc('}', f);
}

/* Values for which the tables name no type: the code behind them takes several forms. */
static void put_open(FILE *f, const char *key)
{
	if (key && strcmp(key, "networks") == 0) {
		fputs("\"description\": \"the node's networks\", \"anyOf\": [{\"type\": \"string\"}, "
		      "{\"type\": \"array\", \"items\": {\"type\": \"string\"}}, "
		      "{\"type\": \"object\", \"additionalProperties\": {\"anyOf\": [{\"type\": [\"null\", \"string\"]}, {", f);
		put_map(f, &topo_if_schema);
		fputs("}]}}]", f);
	} else if (key && strcmp(key, "wire") == 0) {
		put_wire(f);
	} else if (key && strcmp(key, "options") == 0) {
		fputs("\"description\": \"further keys of nppd.conf(5), of an NPP or a host\", \"anyOf\": [{\"type\": \"null\"}, {", f);
		put_map(f, &settings_npp_options);
		fputs("}, {", f);
		put_map(f, &settings_host_options);
		fputs("}]", f);
	}
}

static void put_list(FILE *f, const struct npp_conf_field *v)
{
	bool scalar = v->item->type != NPP_CONF_MAP;

	fputs("\"anyOf\": [", f);
	fputs(v->min ? "{" : "{\"type\": \"null\"}, {", f);	/* a key without a value is an empty list */
	if (scalar) {	/* a single value is a list of one */
		put_value(f, v->item);
		fputs("}, {", f);
	}
	fputs("\"type\": \"array\"", f);
	if (v->min)
		fprintf(f, ", \"minItems\": %" PRId64, v->min);
	if (v->max)
		fprintf(f, ", \"maxItems\": %" PRId64, v->max);
	fputs(", \"items\": {", f);
	put_value(f, v->item);
	fputs("}}]", f);
}

/* A key without a value is an empty map. */
static void put_map_or_null(FILE *f, const struct npp_conf_schema *s)
{
	for (const struct npp_conf_field *v = s->fields; v->type != NPP_CONF_END; v++)
		if (v->flags & NPP_CONF_REQUIRED) {
			put_map(f, s);
			return;
		}
	fputs("\"anyOf\": [{\"type\": \"null\"}, {", f);
	put_map(f, s);
	fputs("}]", f);
}

static void put_names(FILE *f, const struct npp_conf_field *v)
{
	fputs(v->min ? "\"type\": \"object\"" : "\"type\": [\"object\", \"null\"]", f);
	if (v->min)
		fprintf(f, ", \"minProperties\": %" PRId64, v->min);
	if (v->max)
		fprintf(f, ", \"maxProperties\": %" PRId64, v->max);
	fprintf(f, ", \"propertyNames\": {\"pattern\": \"" NAME_PATTERN "\", \"maxLength\": %d}, \"additionalProperties\": {", TOPO_NAME_LEN);
	put_map_or_null(f, v->sub);
	fputc('}', f);
}

static void put_value(FILE *f, const struct npp_conf_field *v)
{
	switch (v->type) {
	case NPP_CONF_BOOL:	/* `yes` is a word where YAML is 1.2, as in editors */
		fputs("\"enum\": [true, false, \"yes\", \"no\", \"on\", \"off\"]", f);
		break;
	case NPP_CONF_U16: put_bounds(f, v, UINT16_MAX); break;
	case NPP_CONF_U32: put_bounds(f, v, UINT32_MAX); break;
	case NPP_CONF_I32: put_bounds(f, v, INT32_MAX); break;
	case NPP_CONF_U64: put_bounds(f, v, INT64_MAX); break;
	case NPP_CONF_SIZE: put_unit(f, NUMBER "([KkMmGg]([Ii]?[Bb])?|[Bb])?$", ", \"minimum\": 0", "128M"); break;
	case NPP_CONF_TIME: put_unit(f, NUMBER "([Uu][Ss]|[Mm]?[Ss]|[Mm][Ii][Nn]|[Hh])$|^0$", ZERO, "10s"); break;
	case NPP_CONF_RATE: put_unit(f, NUMBER "[KkMmGg]?[Bb][Ii][Tt]$|^0$", ZERO, "100mbit"); break;
	case NPP_CONF_DOUBLE: put_unit(f, "^[-+0-9.eE]+%?$", "", "2.5%"); break;
	case NPP_CONF_NAME:
		fprintf(f, "\"type\": \"string\", \"pattern\": \"" NAME_PATTERN "\", \"maxLength\": %" PRId64, v->max ? v->max : 31);
		break;
	case NPP_CONF_ENUM: put_enum(f, v->enums); break;
	case NPP_CONF_ADDR: fputs("\"type\": \"string\", \"pattern\": \"^[0-9A-Fa-f:.]+$\", \"description\": \"an IP address\"", f); break;
	case NPP_CONF_PREFIX: fputs("\"type\": \"string\", \"pattern\": \"^([0-9A-Fa-f:.]+(/[0-9]+)?|default)$\", \"description\": \"address/length, or default\"", f); break;
	case NPP_CONF_MAC: fputs("\"type\": \"string\", \"pattern\": \"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$\"", f); break;
	case NPP_CONF_MAP: put_map_or_null(f, v->sub); break;
	case NPP_CONF_LIST: put_list(f, v); break;
	case NPP_CONF_NAMES: put_names(f, v); break;
	case NPP_CONF_NODE: put_open(f, v->key); break;
	case NPP_CONF_STR: fputs("\"type\": \"string\"", f); break;
	default:	/* the code behind the table takes several forms */
		fputs("\"type\": [\"string\", \"number\", \"boolean\", \"array\", \"object\"]", f);
		break;
	}
	if (!v->dflt)
		return;
	fputs(", \"default\": ", f);
	if (v->type == NPP_CONF_U16 || v->type == NPP_CONF_U32 || v->type == NPP_CONF_U64)
		fputs(v->dflt, f);
	else
		json_string(f, v->dflt);
}

static void put_map(FILE *f, const struct npp_conf_schema *s)
{
	const char *sep = "";

	fputs("\"type\": \"object\", \"additionalProperties\": false, \"properties\": {", f);
	for (const struct npp_conf_field *v = s->fields; v->type != NPP_CONF_END; v++) {
		if (!v->key)
			continue;
		fprintf(f, "%s\n\"%s\": {", sep, v->key);
		put_value(f, v);
		fputc('}', f);
		sep = ",";
	}
	fputs("}, \"required\": [", f);
	sep = "";
	for (const struct npp_conf_field *v = s->fields; v->type != NPP_CONF_END; v++)
		if (v->key && (v->flags & NPP_CONF_REQUIRED)) {
			fprintf(f, "%s\"%s\"", sep, v->key);
			sep = ", ";
		}
	fputc(']', f);
}

void topo_print_schema(FILE *f)
{
	fputs("{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n\"title\": \"npp-topology(5)\",\n", f);
	put_map(f, &topo_file_schema);
	fputs("}\n", f);
}
