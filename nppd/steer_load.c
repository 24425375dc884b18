/* SPDX-License-Identifier: GPL-2.0-or-later
 * steer_load.c - gives a steering program to the kernel
 */
#include "config.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/log.h"
#include "nppd/steer.h"

#define LOG_BYTES (64u << 10)

/* Loads C; what the verifier says against it goes to the log. */
static int load_code(const struct steer_code *c)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	char *text;
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "npp_steer", "GPL", c->insn, c->n, &opts), err = -errno;

	if (fd >= 0)
		return fd;
	if (err == -EPERM || err == -ENOSYS || err == -ENOMEM)
		return err;
	text = calloc(1, LOG_BYTES);
	if (!text)
		return -ENOMEM;
	opts.log_buf = text;
	opts.log_size = LOG_BYTES;
	opts.log_level = 1;
	fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "npp_steer", "GPL", c->insn, c->n, &opts);
	if (fd < 0) {
		npp_warnx("steering program: the kernel's verifier: %s", text);
		fd = err == -EACCES || err == -EINVAL ? -EPROTO : err;
	}
	free(text);
	return fd;
}

static int map_open(struct steer *s, size_t size, void **p)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	s->map_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "npp_steer", sizeof(uint32_t), (uint32_t)size, 1, &opts);
	if (s->map_fd < 0)
		return -errno;
	*p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->map_fd, 0);
	return *p == MAP_FAILED ? -errno : 0;
}

/* The end of steer_load(): R is what came of making C, which goes. */
static int loaded(struct steer *s, struct steer_code *c, int r)
{
	if (r == 0)
		r = s->prog_fd = load_code(c);
	free(c);
	if (r >= 0)
		return 0;
	steer_close(s);
	return r;
}

int steer_load(struct steer *s, const struct npp_hash_prog *prog, unsigned ip_off)
{
	struct steer_code *c = malloc(sizeof *c);
	void *p;
	int r;

	*s = (struct steer)STEER_NULL;
	if (!c)
		return -ENOMEM;
	r = map_open(s, sizeof *s->tables, &p);
	if (r == 0) {
		s->tables = p;
		r = steer_generate(c, s->tables, prog, s->map_fd, ip_off);
	}
	return loaded(s, c, r);
}

int steer_load_aside(struct steer *s, unsigned ip_off)
{
	struct steer_code *c = malloc(sizeof *c);
	uint64_t mul;
	void *p;
	int r;

	*s = (struct steer)STEER_NULL;
	if (!c)
		return -ENOMEM;
	r = getrandom(&mul, sizeof mul, 0) == sizeof mul ? 0 : -EIO;
	if (r == 0)
		r = map_open(s, sizeof *s->regulars, &p);
	if (r == 0) {
		s->regulars = p;
		s->regulars->mul = mul | 1;
		r = steer_generate_aside(c, s->map_fd, ip_off);
	}
	return loaded(s, c, r);
}

int steer_load_fixed(struct steer *s, unsigned queue)
{
	struct steer_code c = { .n = 2 };

	*s = (struct steer)STEER_NULL;
	c.insn[0] = (struct bpf_insn){ .code = BPF_ALU | BPF_MOV | BPF_K, .imm = (int32_t)queue };
	c.insn[1] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	s->prog_fd = load_code(&c);
	return s->prog_fd < 0 ? s->prog_fd : 0;
}

void steer_close(struct steer *s)
{
	if (s->tables)
		munmap(s->tables, sizeof *s->tables);
	if (s->regulars)
		munmap(s->regulars, sizeof *s->regulars);
	if (s->map_fd >= 0)
		close(s->map_fd);
	if (s->prog_fd >= 0)
		close(s->prog_fd);
	*s = (struct steer)STEER_NULL;
}

int steer_attach(const struct steer *s, int queue_fd)
{
	int fd = s->prog_fd;

	return ioctl(queue_fd, TUNSETSTEERINGEBPF, &fd) < 0 ? -errno : 0;
}
