# SPDX-License-Identifier: GPL-2.0-or-later
# closing.t - close, SO_LINGER, shutdown, death: one program on npp and on the kernel sees the same
#
#   client1 (the kernel) ---- lan ---- acc1 (4 IOPs) == web1
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_lab=$(cd "$(dirname "$0")" && pwd)
. "$here_lab/lib.sh"
lab_begin closing
need python3
program=$here_lab/closing.py

lab_up "$topologies/pair.yaml"
npp4=10.1.0.11 us4=10.1.0.10
same() { transcript "${@:2}" "$program" serve call; is "$1" "$seen" "$wanted"; }

transcript client1 client1 $us4 7100 "$program" serve call
wanted=$seen
like 'the kernel with itself comes to the end' "$wanted" '^after_the_end: shutdown ENOTCONN'
same 'closed by the kernel, at npp' web1 client1 $npp4 7101
same 'closed by npp, at the kernel' client1 web1 $us4 7102
same 'both on npp' web1 web1 $npp4 7103
is 'no protocol errors' "$(iop_sum acc1 host.protocol_errors)" 0
done_testing
