# SPDX-License-Identifier: GPL-2.0-or-later
# same.t - one program on npp and on the kernel, in both roles, sees the same
#
#   client1 (the kernel) ---- lan ---- acc1 (4 IOPs) == web1
#
# closing.py: close, SO_LINGER, shutdown, death. urgent.py: urgent data. options.py: options that connections
# get from their listeners, and what the first segments make of them.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_lab=$(cd "$(dirname "$0")" && pwd)
. "$here_lab/lib.sh"
lab_begin same
need python3

lab_up "$topologies/pair.yaml"
npp4=10.1.0.11 us4=10.1.0.10

# same PORT NAME HEARS SPEAKS END: tests/lab/NAME.py, whose last words match END
same()
{
  local port=$1 program=$here_lab/$2.py wanted

  transcript client1 client1 $us4 "$port" "$program" "$3" "$4"
  wanted=$seen
  like "$2: the kernel with itself comes to the end" "$wanted" "$5"
  not_ok "$2: and waits for nothing in vain" grep 'in vain' "$evidence/heard$port.log"
  transcript web1 client1 $npp4 $((port + 2)) "$program" "$3" "$4"
  is "$2: $3 on npp, $4 by the kernel" "$seen" "$wanted"
  transcript client1 web1 $us4 $((port + 4)) "$program" "$3" "$4"
  is "$2: $3 by the kernel, $4 on npp" "$seen" "$wanted"
  transcript web1 web1 $npp4 $((port + 6)) "$program" "$3" "$4"
  is "$2: both on npp" "$seen" "$wanted"
}

same 7100 closing serve call '^after_the_end: shutdown ENOTCONN'
same 7110 urgent read write '^peer_sends_urgent.*EINVAL'
same 7120 options serve call '^the end'
cmp_num 'urgent data went through the ISMs' "$(iop_sum acc1 tcp.urgent_in)" -ge 10
is 'no protocol errors' "$(iop_sum acc1 host.protocol_errors)" 0
done_testing
