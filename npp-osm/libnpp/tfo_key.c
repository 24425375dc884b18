/* SPDX-License-Identifier: GPL-2.0-or-later
 * tfo_key.c - keys of Fast Open cookies (TCP_FASTOPEN_KEY)
 *
 * A listener's stand in its record, where all ISMs look; before listen() they are noted beside.
 */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "shm/lock.h"

#include "npp-osm/libnpp/priv.h"

/* Two sets of keys take turns: a reader has the old ones whole while new ones are written. */
static int put(struct npp_sock *sk, const uint64_t key[NPP_TFO_KEYS][2], unsigned n)
{
	struct npp_tfo_keys *k = &sk->tfo;
	int r = sock_lock_take(&sk->rx_lock);
	uint32_t turn;

	if (r < 0)
		return r;
	turn = NPP_TFO_TURN(atomic_load_explicit(&k->state, memory_order_relaxed)) + 1;
	/* release: pairs with the fence of ism_fastopen_keys(); who sees one of these words sees that STATE has changed */
	atomic_thread_fence(memory_order_release);
	for (unsigned i = 0; i < 2 * NPP_TFO_KEYS; i++)
		atomic_store_explicit(&k->key[turn & 1][i / 2][i % 2], key[i / 2][i % 2], memory_order_relaxed);
	/* release: pairs with the acquire of ism_fastopen_keys() */
	atomic_store_explicit(&k->state, NPP_TFO_STATE(turn, n), memory_order_release);
	sock_lock_drop(&sk->rx_lock);
	return 0;
}

static bool listens(const struct so *so)
{
	return so->sk && so->sk->type == NPP_SOCK_LISTENER;
}

/**
 * tfo_key_set() - one key, or that and the one before
 *
 * Return: 0, -EINVAL by length as Linux, or what a lock says
 */
int tfo_key_set(struct so *so, const void *val, socklen_t len)
{
	uint64_t key[NPP_TFO_KEYS][2] = { { 0 } };

	if (len != sizeof key[0] && len != sizeof key)
		return -EINVAL;
	memcpy(key, val, len);
	for (unsigned i = 0; i < 2 * NPP_TFO_KEYS; i++)
		key[i / 2][i % 2] = le64toh(key[i / 2][i % 2]);
	if (listens(so))
		return put(so->sk, key, len / sizeof key[0]);
	memcpy(so->opt.tfo_key, key, sizeof key);
	so->opt.tfo_keys = (uint8_t)(len / sizeof key[0]);
	return 0;
}

int tfo_key_get(const struct so *so, void *val, socklen_t *len)
{
	uint64_t key[NPP_TFO_KEYS][2];
	unsigned n = so->opt.tfo_keys;
	uint32_t state;

	memcpy(key, so->opt.tfo_key, sizeof key);
	if (listens(so)) {
		/* acquire: pairs with the release in put() */
		state = atomic_load_explicit(&so->sk->tfo.state, memory_order_acquire);
		n = NPP_TFO_COUNT(state);
		for (unsigned i = 0; i < 2 * NPP_TFO_KEYS; i++)
			key[i / 2][i % 2] = atomic_load_explicit(&so->sk->tfo.key[NPP_TFO_TURN(state) & 1][i / 2][i % 2],
								 memory_order_relaxed);
	}
	for (unsigned i = 0; i < 2 * NPP_TFO_KEYS; i++)
		key[i / 2][i % 2] = htole64(key[i / 2][i % 2]);
	n = n <= NPP_TFO_KEYS ? n : NPP_TFO_KEYS;
	if (*len > n * sizeof key[0])
		*len = (socklen_t)(n * sizeof key[0]);
	memcpy(val, key, *len);
	return 0;
}

/**
 * tfo_key_listen() - what was noted goes into the record of SO, which will be a listener
 *
 * Before anybody knows it as one. Return: 0 or -errno
 */
int tfo_key_listen(struct so *so)
{
	memset((void *)&so->sk->tfo, 0, sizeof so->sk->tfo);
	return so->opt.tfo_keys ? put(so->sk, so->opt.tfo_key, so->opt.tfo_keys) : 0;
}
