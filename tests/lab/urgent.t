# SPDX-License-Identifier: GPL-2.0-or-later
# urgent.t - urgent data: one program on npp and on the kernel, in both roles, sees the same
#
#   client1 (the kernel) ---- lan ---- acc1 (4 IOPs) == web1
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_lab=$(cd "$(dirname "$0")" && pwd)
. "$here_lab/lib.sh"
lab_begin urgent
need python3
program=$here_lab/urgent.py

lab_up "$topologies/pair.yaml"
npp4=10.1.0.11 us4=10.1.0.10
same() { transcript "${@:2}" "$program" read write; is "$1" "$seen" "$wanted"; }

transcript client1 client1 $us4 7100 "$program" read write
wanted=$seen
like 'the kernel with itself comes to the end' "$wanted" '^peer_sends_urgent.*EINVAL'
not_ok 'and waits for nothing in vain' grep 'in vain' "$evidence/heard7100.log"
same 'read on npp, written by the kernel' web1 client1 $npp4 7101
same 'read by the kernel, written on npp' client1 web1 $us4 7102
same 'both on npp' web1 web1 $npp4 7103
cmp_num 'it went through the ISMs' "$(iop_sum acc1 tcp.urgent_in)" -ge 10
is 'no protocol errors' "$(iop_sum acc1 host.protocol_errors)" 0
done_testing
