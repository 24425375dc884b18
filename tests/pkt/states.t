# SPDX-License-Identifier: GPL-2.0-or-later
# states.t - every TCP state against every kind of segment and ICMP error
#
#   client1 (states.py) ---- lan ---- acc1 (1 IOP) == web1 (puppet.py)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_pkt=$(cd "$(dirname "$0")" && pwd)
. "$here_pkt/../lab/lib.sh"
. "$here_pkt/pkt-lib.sh"
pkt_begin states
pkt_run states.py "$@"
if [ -e "$top_srcdir/doc/conformance.md" ] && ! $python -B "$here_pkt/matrix.py" | cmp -s - "$top_srcdir/doc/conformance.md"; then
  diag 'doc/conformance.md is old: make conformance'
  tap_failed=1
fi
pkt_end
