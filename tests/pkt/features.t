# SPDX-License-Identifier: GPL-2.0-or-later
# features.t - options, SACK, timestamps, windows, timers, ECN, path MTU, frame by frame
#
#   client1 (features.py) ---- lan ---- acc1 (1 IOP) == web1 (puppet.py)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_pkt=$(cd "$(dirname "$0")" && pwd)
. "$here_pkt/../lab/lib.sh"
. "$here_pkt/pkt-lib.sh"
pkt_begin features
pkt_run features.py "$@"
pkt_end
