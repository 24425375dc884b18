/* SPDX-License-Identifier: GPL-2.0-or-later
 * foreign.c - programs that are linked dynamically and out of reach all the same
 *
 * Go makes its system calls by itself, also when it is linked with the C library. Nothing of it
 * would be noticed, so it is said at the start.
 */
#include "config.h"

#include <link.h>
#include <string.h>

#include "npp-osm/libnpp/priv.h"

#define ALIGN4(n) (((size_t)(n) + 3) & ~(size_t)3)

/* Is there a note of the name "Go" in the N bytes at P? */
static bool go_note(const uint8_t *p, size_t n)
{
	ElfW(Nhdr) h;

	while (n >= sizeof h) {
		size_t size;

		memcpy(&h, p, sizeof h);
		size = sizeof h + ALIGN4(h.n_namesz) + ALIGN4(h.n_descsz);
		if (h.n_namesz > n || h.n_descsz > n || size > n)
			return false;
		if (h.n_namesz == 4 && memcmp(p + sizeof h, "Go\0", 4) == 0)
			return true;
		p += size;
		n -= size;
	}
	return false;
}

/* The first object is the program itself. */
static int look(struct dl_phdr_info *info, size_t size, void *go)
{
	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_NOTE && go_note((const uint8_t *)(info->dlpi_addr + p->p_vaddr), p->p_memsz))
			*(bool *)go = true;
	}
	return 1;
}

void foreign_say(void)
{
	bool go = false;

	dl_iterate_phdr(look, &go);
	if (go)
		lib_say(ONCE_FOREIGN, "a program in Go makes its system calls by itself: its sockets are the kernel's, not those of npp");
}
