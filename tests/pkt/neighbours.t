# SPDX-License-Identifier: GPL-2.0-or-later
# neighbours.t - conflicts of addresses, the life of a neighbour, router advertisements, frame by frame
#
#   client1 (neighbours.py: stations, a router) ---- lan ---- acc1 (1 IOP) == web1 (puppet.py)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_pkt=$(cd "$(dirname "$0")" && pwd)
. "$here_pkt/../lab/lib.sh"
. "$here_pkt/pkt-lib.sh"
pkt_begin neighbours --set nodes.acc1.options.autoconf=yes
pkt_run neighbours.py "$@"
pkt_end
