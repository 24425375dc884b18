# SPDX-License-Identifier: GPL-2.0-or-later
# urgent.t - urgent data: one program on npp and on the kernel, in both roles, sees the same
#
#   client1 (the kernel) ---- lan ---- acc1 (4 IOPs) == web1
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_lab=$(cd "$(dirname "$0")" && pwd)
. "$here_lab/lib.sh"
lab_begin urgent
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
program=$here_lab/urgent.py

lab_up "$topologies/pair.yaml"
npp4=10.1.0.11 us4=10.1.0.10

# same NAME READER WRITER ADDRESS PORT: what the reader prints while the writer speaks to it is $wanted
seen=
transcript()
{
  start "read$4" "$1" timeout $((120 * slow)) $python "$program" read "$4"
  wait_for 15 listening "$1" "$4" >/dev/null || echo '# nobody listens'
  seen=$(on "$2" timeout $((120 * slow)) $python "$program" write "$3" "$4" 2>&1)
  wait_for 10 over "$started" || seen="$seen the reader does not end"
  seen=$seen$(cat "$evidence/read$4.log")
}
over() { ! ours "$1"; }
same()
{
  transcript "${@:2}"
  is "$1" "$seen" "$wanted"
}

transcript client1 client1 $us4 7100
wanted=$seen
like 'the kernel with itself comes to the end' "$wanted" '^peer_sends_urgent.*EINVAL'
not_ok 'and waits for nothing in vain' grep 'in vain' "$evidence/read7100.log"
same 'read on npp, written by the kernel' web1 client1 $npp4 7101
same 'read by the kernel, written on npp' client1 web1 $us4 7102
same 'both on npp' web1 web1 $npp4 7103
cmp_num 'it went through the ISMs' "$(iop_sum acc1 tcp.urgent_in)" -ge 10
is 'no protocol errors' "$(iop_sum acc1 host.protocol_errors)" 0
done_testing
