# SPDX-License-Identifier: GPL-2.0-or-later
# multicast.t - IGMP 1 to 3, MLD 1 and 2, and data of groups, frame by frame
#
#   client1 (multicast.py: querier, members, senders) ---- lan ---- acc1 (1 IOP) == web1 (puppet.py)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_pkt=$(cd "$(dirname "$0")" && pwd)
. "$here_pkt/../lab/lib.sh"
. "$here_pkt/pkt-lib.sh"
pkt_begin multicast
pkt_run multicast.py "$@"
pkt_end
