/* SPDX-License-Identifier: GPL-2.0-or-later
 * logs.c - what the processes of a lab have said; a shell on a node
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/verbs.h"

static int is_log(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && strcmp(d->d_name + n - 4, ".log") == 0;
}

/* "web1" names web1.log, web1.nginx.log and wire.web1.lan.log; "web1.nginx" one of them. */
static bool wanted(const char *file, const char *what)
{
	size_t n;

	if (!what)
		return true;
	n = strlen(what);
	if (strncmp(file, what, n) == 0 && file[n] == '.')
		return true;
	return strncmp(file, "wire.", 5) == 0 && strncmp(file + 5, what, n) == 0 && file[5 + n] == '.';
}

static void print_log(const char *dir, const char *file, bool json, unsigned *n)
{
	char path[LAB_PATH_CAP * 2], line[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (!json) {
			printf("%.*s| %s%s", (int)strlen(file) - 4, file, line, strchr(line, '\n') ? "" : "\n");
			continue;
		}
		line[strcspn(line, "\n")] = '\0';
		printf("%s{\"log\": \"%.*s\", \"line\": ", (*n)++ ? ",\n " : "", (int)strlen(file) - 4, file);
		json_string(stdout, line);
		putchar('}');
	}
	if (f)
		fclose(f);
}

int lab_logs(const char *lab, const char *what, bool json)
{
	struct lab l = { .lock = -1 };
	struct npp_err e = { "" };
	char name[TOPO_LAB_LEN + 1];
	struct dirent **d = NULL;
	int r = lab_pick(lab, name, sizeof name, &e), n = 0, shown = 0;
	unsigned lines = 0;

	if (r == 0)
		r = lab_load(&l, name, &e);
	if (r == 0)
		n = scandir(l.dir, &d, is_log, alphasort);
	for (int i = 0; i < n; i++) {
		if (wanted(d[i]->d_name, what)) {
			fputs(json && !shown ? "[" : "", stdout);
			print_log(l.dir, d[i]->d_name, json, &lines);
			shown++;
		}
		free(d[i]);
	}
	free(d);
	if (r == 0 && what && !shown)
		r = npp_err_set(&e, -ENOENT, "lab '%s' has no log of '%s'", l.name, what);
	else if (r == 0 && json)
		puts(shown ? "]" : "[]");
	lab_free(&l);
	if (r < 0)
		verb_failed(NULL, e.text, json);
	return r < 0;
}

int lab_shell(const char *lab, const char *node)
{
	char *bash[] = { (char[]){ "bash" }, (char[]){ "--norc" }, (char[]){ "-i" }, NULL };
	char *sh[] = { (char[]){ "sh" }, NULL };
	char prompt[128];

	snprintf(prompt, sizeof prompt, "%s:\\w# ", node);
	setenv("PS1", access("/bin/bash", X_OK) == 0 ? prompt : "# ", 1);
	return lab_exec(lab, node, access("/bin/bash", X_OK) == 0 ? bash : sh);
}
