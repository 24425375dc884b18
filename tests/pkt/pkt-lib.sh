# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# pkt-lib.sh - for tests with a puppet: a lab with the program puppet.py on npp, and our end in Python
#
#   here_pkt=...; . "$here_pkt/../lab/lib.sh"; . "$here_pkt/pkt-lib.sh"
#   pkt_begin NAME [--set ...]
#   pkt_run PROGRAM.py [ARGUMENT...]      prints TAP, its plan becomes ours
#   pkt_end
python=/usr/bin/python3

pkt_begin()
{
  local name=$1 core
  shift
  lab_begin "$name"
  need jq
  $python -c 'import scapy' 2>/dev/null || skip_all 'needs python3-scapy'
  # On one core, for frames that a process sends from two cores may overtake each other on their way to the bridge,
  # and then the answer to a fence is here before what was sent first.
  core=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
  cat >"$work/pkt.yaml" <<Y
ipv6: yes
networks:
  lan: {subnet: 10.1.0.0/24}
nodes:
  client1: {kind: client, networks: {lan: 10.1.0.10}}
  acc1:    {kind: npp, iops: 1, networks: {lan: 10.1.0.11}, options: {autoconf: no, placement: [$core]}}
  web1:    {kind: host, stack: npp, npps: [acc1]}
Y
  lab_up "$work/pkt.yaml" "$@"
  start puppet web1 $python -B -u "$here_pkt/puppet.py" "$work/puppet"
  wait_for 10 test -S "$work/puppet" || bail 'the puppet does not live'
  mac=$("$npplab" status "$lab" --json | jq -r '.nodes[] | select(.name == "acc1").networks[0].mac')
}

pkt_run()
{
  local program=$1
  shift
  on client1 env -u NPP_RUNDIR PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here_pkt" NPP="$npp" NPP_TARGET="$lab/acc1" NPP_IF=lan \
    NPP_MAC="$mac" NPP_IP=10.1.0.11 OUR_IP=10.1.0.10 SLOW=$slow NPP_SOAK="${NPP_SOAK:-}" PUPPET="$work/puppet" \
    timeout --foreground $((300 * slow)) $python "$here_pkt/$program" "$@" 2>"$evidence/$program.err" | tee "$evidence/$program.tap"
  if [ "${PIPESTATUS[0]}" != 0 ] || ! grep -q '^1\.\.' "$evidence/$program.tap"; then
    sed 's/^/# /' "$evidence/$program.err"
    tap_failed=1
    grep -q '^1\.\.' "$evidence/$program.tap" || echo 'Bail out! the program did not come to its end'
  fi
}

pkt_end() { [ "$tap_failed" = 0 ]; exit; }
