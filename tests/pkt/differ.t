# SPDX-License-Identifier: GPL-2.0-or-later
# differ.t - random sequences of segments, ICMP errors and calls, to the kernel's TCP and to ours: is there a difference?
#
#   client1 (differ.py) ---- lan ---- acc1 (1 IOP) == web1 (differ_app.py)
#                            '------- kern1 (differ_app.py, the kernel's stack)
#
# With NPP_SOAK=N it goes on with new seeds for N seconds. differ.t ARGUMENT... gives them to differ.py.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_pkt=$(cd "$(dirname "$0")" && pwd)
. "$here_pkt/../lab/lib.sh"
lab_begin differ
need jq
python=/usr/bin/python3
# On one core: frames that a process sends from two may overtake each other on their way.
core=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
cat >"$work/differ.yaml" <<Y
ipv6: yes
networks:
  lan: {subnet: 10.1.0.0/16}
nodes:
  client1: {kind: client, networks: {lan: 10.1.0.10}}
  acc1:    {kind: npp, iops: 1, networks: {lan: 10.1.0.11}, options: {autoconf: no, placement: [$core]}}
  web1:    {kind: host, stack: npp, npps: [acc1]}
  kern1:   {kind: host, stack: kernel, networks: {lan: 10.1.0.12}}
Y
lab_up "$work/differ.yaml"
on kern1 sysctl -qw net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=8192 net.ipv4.tcp_fastopen=3 \
  || bail 'the kernel cannot be told its settings'
for node in web1 kern1; do
  start "app-$node" "$node" $python -B -u "$here_pkt/differ_app.py" "$work/$node"
  wait_for 10 test -S "$work/$node" || bail "the program on $node does not live"
done
npp_mac=$("$npplab" status "$lab" --json | jq -r '.nodes[] | select(.name == "acc1").networks[0].mac')
kernel_mac=$(on kern1 cat /sys/class/net/lan/address)
env=(PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here_pkt" DIFFER_IF=lan DIFFER_NPP="10.1.0.11 fd00:0:0:1::b $npp_mac $work/web1"
  DIFFER_KERNEL="10.1.0.12 fd00:0:0:1::c $kernel_mac $work/kern1" SLOW="$slow" NPP_SOAK="${NPP_SOAK:-}")
if [ "${1:-}" = hold ]; then
  echo "$npplab exec --lab $lab client1 -- env -u NPP_RUNDIR ${env[*]@Q} $python" >"$2"
  while sleep 1; do [ -e "$2" ] || exit 0; done
fi
on client1 env -u NPP_RUNDIR "${env[@]}" timeout --foreground $((${NPP_SOAK:-0} + 300 * slow)) \
  $python "$here_pkt/differ.py" "$@" 2>"$evidence/differ.err" | tee "$evidence/differ.tap"
if [ "${PIPESTATUS[0]}" != 0 ]; then
  sed 's/^/# /' "$evidence/differ.err"
  tap_failed=1
fi
grep -q '^1\.\.' "$evidence/differ.tap" || { tap_failed=1; echo 'Bail out! the program did not come to its end'; }
[ "$tap_failed" = 0 ]
