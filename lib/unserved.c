/* SPDX-License-Identifier: GPL-2.0-or-later
 * unserved.c - programs that the loader will not load our library into
 */
#include "config.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/unserved.h"

/* Where execvp() would find NAME. */
static bool find_program(const char *name, char *path, size_t cap)
{
	const char *p = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(path, cap, "%s", name);
		return access(path, X_OK) == 0;
	}
	for (p = p ? p : "/usr/local/bin:/usr/bin:/bin"; *p; p += *p == ':') {
		size_t n = strcspn(p, ":");

		snprintf(path, cap, "%.*s/%s", n ? (int)n : 1, n ? p : ".", name);
		if (access(path, X_OK) == 0)
			return true;
		p += n;
	}
	return false;
}

/* An ELF program without an interpreter: the loader, and so we, never get to it. */
static bool is_static(int fd)
{
	Elf64_Ehdr h;
	Elf64_Phdr ph;

	if (pread(fd, &h, sizeof h, 0) != sizeof h || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	if (h.e_ident[EI_CLASS] != ELFCLASS64)
		return true; /* our library is of 64 bits */
	for (unsigned i = 0; i < h.e_phnum && h.e_phentsize == sizeof ph; i++) {
		if (pread(fd, &ph, sizeof ph, (off_t)(h.e_phoff + i * sizeof ph)) != sizeof ph)
			return false;
		if (ph.p_type == PT_INTERP)
			return false;
	}
	return true;
}

void npp_warn_if_unserved(const char *name)
{
	char path[PATH_MAX], caps[64];
	struct stat st;
	int fd;

	if (!find_program(name, path, sizeof path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (is_static(fd))
		npp_warnx("%s is linked statically (or not of 64 bits): its sockets stay with the kernel", path);
	else if (fstat(fd, &st) == 0 && (((st.st_mode & S_ISUID) && st.st_uid != geteuid()) ||
					 ((st.st_mode & S_ISGID) && st.st_gid != getegid()) ||
					 (geteuid() != 0 && fgetxattr(fd, "security.capability", caps, sizeof caps) > 0)))
		npp_warnx("%s gains privileges when it is run: its sockets stay with the kernel", path);
	close(fd);
}
