/* SPDX-License-Identifier: GPL-2.0-or-later
 * region.c - memfds with a checked header
 *
 * Hugepages are a promise that the kernel can break late: mapping more of them than
 * there are succeeds without a reservation and kills the process at the first touch.
 * So a huge memfd is filled by fallocate() when it is made; if that fails, ordinary
 * pages are taken instead. Size is sealed before a descriptor leaves its maker, and
 * nobody maps a memfd that is not sealed against shrinking. A peer can still make holes
 * in it, and where no page is left to fill one the next access is a SIGBUS: the socket
 * ISM survives that of a host (npp-ism/socket/host.c).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "shm/region.h"

#define HUGE_SIZE (2u << 20)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21u << 26)
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static int memfd_open(const char *name, unsigned flags)
{
	int fd;

	flags |= MFD_CLOEXEC | MFD_ALLOW_SEALING;
	fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create(name, flags);
	return fd < 0 ? -errno : fd;
}

static int memfd_finish(int fd, size_t size, bool huge)
{
	if (ftruncate(fd, (off_t)size) < 0 ||
	    (huge && fallocate(fd, 0, 0, (off_t)size) < 0) ||
	    fchmod(fd, 0600) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static size_t round_to(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

int npp_memfd_create(const char *name, size_t *size, unsigned flags, bool *huge)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), want;
	int fd;

	if (*size == 0 || *size > SIZE_MAX / 2 - HUGE_SIZE)
		return -EINVAL;
	if (flags & NPP_REGION_HUGE) {
		want = round_to(*size, HUGE_SIZE);
		fd = memfd_open(name, MFD_HUGETLB | MFD_HUGE_2MB);
		if (fd >= 0)
			fd = memfd_finish(fd, want, true);
		if (fd >= 0) {
			*size = want;
			*huge = true;
			return fd;
		}
	}
	fd = memfd_open(name, 0);
	if (fd < 0)
		return fd;
	want = round_to(*size, page);
	fd = memfd_finish(fd, want, false);
	if (fd >= 0) {
		*size = want;
		*huge = false;
	}
	return fd;
}

int npp_region_create(struct npp_region *r, const char *name, enum npp_region_kind kind, size_t size,
		      uint32_t owner, uint64_t layout_hash, unsigned flags)
{
	struct npp_region_hdr *hdr;
	bool huge;
	int fd;

	*r = (struct npp_region)NPP_REGION_NULL;
	if (size < sizeof *hdr)
		return -EINVAL;
	fd = npp_memfd_create(name, &size, flags, &huge);
	if (fd < 0)
		return fd;
	hdr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (hdr == MAP_FAILED) {
		int err = -errno;

		close(fd);
		return err;
	}
	hdr->magic = NPP_REGION_MAGIC;
	hdr->abi_version = NPP_ABI_VERSION;
	hdr->kind = kind;
	hdr->layout_hash = layout_hash;
	hdr->size = size;
	hdr->owner = owner;
	hdr->page_size = huge ? HUGE_SIZE : (uint32_t)sysconf(_SC_PAGESIZE);
	*r = (struct npp_region){ .base = hdr, .size = size, .fd = fd, .huge = huge };
	return 0;
}

int npp_memfd_check(int fd, size_t *size, bool *huge)
{
	struct statfs fs;
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return errno == EINVAL ? -EBADMSG : -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (seals & SEALS) != SEALS)
		return -EBADMSG;
	*size = (size_t)st.st_size;
	*huge = (unsigned long)fs.f_type == HUGETLBFS_MAGIC;
	return 0;
}

/* HDR is the reader's own copy: what was checked cannot change afterwards. */
static int header_check(const struct npp_region_hdr *hdr, size_t size, enum npp_region_kind kind,
			uint64_t layout_hash)
{
	if (hdr->magic != NPP_REGION_MAGIC || hdr->abi_version != NPP_ABI_VERSION ||
	    hdr->kind != (uint32_t)kind || hdr->layout_hash != layout_hash)
		return -EPROTO;
	return hdr->size == size ? 0 : -EBADMSG;
}

int npp_region_map(struct npp_region *r, int fd, bool writable, uint64_t addr,
		   enum npp_region_kind kind, uint64_t layout_hash)
{
	int prot = PROT_READ | (writable ? PROT_WRITE : 0), err;
	struct npp_region_hdr copy;
	size_t size;
	bool huge;
	void *base;

	*r = (struct npp_region)NPP_REGION_NULL;
	err = npp_memfd_check(fd, &size, &huge);
	if (err < 0)
		return err;
	if (size < sizeof copy)
		return -EBADMSG;
	base = mmap((void *)(uintptr_t)addr, size, prot, MAP_SHARED | (addr ? MAP_FIXED_NOREPLACE : 0),
		    fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	memcpy(&copy, base, sizeof copy);
	err = addr && (uintptr_t)base != addr ? -EEXIST : header_check(&copy, size, kind, layout_hash);
	if (err < 0) {
		munmap(base, size);
		return err;
	}
	*r = (struct npp_region){ .base = base, .size = size, .fd = -1, .huge = huge };
	return 0;
}

void npp_region_empty(struct npp_region *r)
{
	struct npp_region_hdr *hdr = r->base;

	atomic_store_explicit(&hdr->ready, 0, memory_order_relaxed);
	memset(hdr + 1, 0, r->size - sizeof *hdr);
}

void npp_region_unmap(struct npp_region *r)
{
	if (r->base)
		munmap(r->base, r->size);
	if (r->fd >= 0)
		close(r->fd);
	*r = (struct npp_region)NPP_REGION_NULL;
}

int npp_region_reopen_ro(int fd)
{
	char path[32];
	int ro;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? -errno : ro;
}

bool npp_region_hugepage_warning_due(void)
{
	static atomic_flag said = ATOMIC_FLAG_INIT; /* of the process, not of a region */

	return !atomic_flag_test_and_set_explicit(&said, memory_order_relaxed);
}
