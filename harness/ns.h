/* SPDX-License-Identifier: GPL-2.0-or-later
 * ns.h - named network namespaces, as ip-netns(8) lays them out
 *
 * A namespace NAME is a mount on /run/netns/NAME; files of /etc/netns/NAME stand in
 * place of those of /etc for programs that enter it by ns_enter_all().
 */
#ifndef NPP_HARNESS_NS_H
#define NPP_HARNESS_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/log.h"

#define NS_DIR "/run/netns"
#define NS_ETC_DIR "/etc/netns"
#define NS_NAME_CAP 64
#define NS_PATH_CAP 96

/* "/run/netns/NAME" into PATH (NS_PATH_CAP); returns PATH. */
const char *ns_path(const char *name, char *path);
/* Makes NS_DIR a shared mount, once. 0 or -errno. */
int ns_prepare(struct npp_err *e);
enum ns_ip6 { NS_IP6_OFF, NS_IP6_GIVEN, NS_IP6_LEARNED };	/* addresses of its links */
/* Makes namespace NAME (-EEXIST: somebody has it), forwarding as FORWARD says. The caller stays where it is. */
int ns_make(const char *name, bool forward, enum ns_ip6 ip6, struct npp_err *e);
bool ns_exists(const char *name);
/* Takes the name away; the namespace goes when its last process does. 0 (also if there
 * is none) or -errno. */
int ns_remove(const char *name, struct npp_err *e);
/* Its inode on the nsfs, by which /proc/PID/ns/net is known; 0: not there. */
ino_t ns_inode(const char *name);

/* Enters the namespace FD; returns a descriptor for ns_leave() or -errno. */
int ns_enter_fd(int fd, struct npp_err *e);
void ns_leave(int back);
/* Moves this process into NAME for good, with a mount namespace of its own where /sys and
 * the files of /etc/netns/NAME are those of NAME. 0 or -errno. */
int ns_enter_all(const char *name, struct npp_err *e);

/* Writes TEXT to /etc/netns/NAME/FILE. */
int ns_etc_write(const char *name, const char *file, const char *text, size_t len, struct npp_err *e);
/* Removes /etc/netns/NAME with everything that ns_etc_write() put there. */
int ns_etc_remove(const char *name, struct npp_err *e);
bool ns_etc_exists(const char *name);


/* nft.c: gives RULES to nft(8) in namespace NS; NODE for messages. 0 or -errno. */
int nft_apply(const char *ns, const char *node, const char *rules, struct npp_err *e);

#endif
