# SPDX-License-Identifier: GPL-2.0-or-later
# interop.t - npp and Linux: every combination of options, MTU 576 to 9000, both families, both roles
#
#   client1 (kernel) ---- lan, MTU 9000 ---- acc1 (4 IOPs) == web1
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin interop
need jq
python=/usr/bin/python3
cat >"$work/interop.yaml" <<'Y'
ipv6: yes
networks:
  lan: {subnet: 10.1.0.0/24, mtu: 9000}
nodes:
  client1: {kind: client, networks: {lan: 10.1.0.10}}
  acc1:    {kind: npp, iops: 4, networks: {lan: 10.1.0.11}, options: {tcp: {ecn: "on"}}}
  web1:    {kind: host, stack: npp, npps: [acc1]}
Y
lab_up "$work/interop.yaml"
start puppet web1 $python -B -u "$here/../pkt/puppet.py" "$work/puppet"
wait_for 10 test -S "$work/puppet" || bail 'the puppet does not live'
bytes=100000
[ -z "${NPP_SOAK:-}" ] || bytes=2000000

# The program prints TAP itself; its plan becomes ours.
on client1 timeout --foreground $((200 * slow)) $python -B "$here/interop.py" lan "$work/puppet" $bytes \
  2>"$evidence/interop.err" | tee "$evidence/interop.tap"
if [ "${PIPESTATUS[0]}" != 0 ] || ! grep -q '^1\.\.' "$evidence/interop.tap"; then
  sed 's/^/# /' "$evidence/interop.err"
  tap_failed=1
  grep -q '^1\.\.' "$evidence/interop.tap" || echo 'Bail out! the program did not come to its end'
fi
[ "$tap_failed" = 0 ]
