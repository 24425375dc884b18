# SPDX-License-Identifier: GPL-2.0-or-later
# fastopen.t - TCP Fast Open between programs on npp and Linux's own TCP, in both roles
#
#   client1 (the kernel) ---- lan ---- acc1 (4 IOPs) == web1
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin tfo
need python3

lab_up "$topologies/pair.yaml"
ip netns exec "$lab-client1" sysctl -q net.ipv4.tcp_fastopen=3
prog=$top_srcdir/tests/lab/progs/fastopen.py

start server web1 python3 "$prog" serve 7000
wait_for 15 listening web1 7000
out=$(on client1 python3 "$prog" sendto 10.1.0.11 7000 20)
is 'a kernel client: 20 questions are answered' "$out" '20 answered'
cmp_num 'all but the first with their SYN' "$(iop_sum acc1 tfo.in)" -ge 19
is 'no cookie was wrong, whichever IOP gave it' "$(iop_sum acc1 tfo.bad)" 0

start kserver client1 python3 "$prog" serve 7001
wait_for 15 on client1 sh -c "ss -Hltn sport = :7001 | grep -q ."
for how in sendto connect; do
  before=$(iop_sum acc1 tfo.out)
  out=$(on web1 python3 "$prog" $how 10.1.0.10 7001 20)
  is "a client on npp, $how: 20 questions are answered" "$out" '20 answered'
  cmp_num 'all but the first, whichever IOP they go by, with their SYN' "$(($(iop_sum acc1 tfo.out) - before))" -ge 17
done
passive=$(ip netns exec "$lab-client1" nstat -asz TcpExtTCPFastOpenPassive | awk '/TCPFastOpenPassive/ { print $2 }')
cmp_num 'the kernel took them' "${passive:-0}" -ge 34
out=$(on web1 python3 "$prog" connect 10.1.0.10 9 1)
is 'a closed port refuses' "$out" 'refused'
done_testing
