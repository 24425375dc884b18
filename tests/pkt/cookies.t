# SPDX-License-Identifier: GPL-2.0-or-later
# cookies.t - SYN cookies, frame by frame
#
#   client1 (cookies.py) ---- lan ---- acc1 (1 IOP) == web1 (puppet.py)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_pkt=$(cd "$(dirname "$0")" && pwd)
. "$here_pkt/../lab/lib.sh"
. "$here_pkt/pkt-lib.sh"
pkt_begin cookies
pkt_run cookies.py "$@"
pkt_end
