/* SPDX-License-Identifier: GPL-2.0-or-later
 * conf_priv.h - shared by the files of the configuration reader
 */
#ifndef NPP_LIB_CONF_PRIV_H
#define NPP_LIB_CONF_PRIV_H

#include "lib/conf.h"

struct conf_block { struct conf_block *next; };	/* in front of each npp_conf_alloc() */

struct npp_conf {
	char *file;
	struct npp_conf_node *root;
	struct conf_block *blocks;
	unsigned nodes;
	unsigned n_errors;	/* kept in `error` */
	unsigned n_found;	/* all */
	char *error[NPP_CONF_MAX_ERRORS + 1];
	unsigned error_line[NPP_CONF_MAX_ERRORS + 1];	/* 0: of none */
};

#endif
