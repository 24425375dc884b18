# SPDX-License-Identifier: GPL-2.0-or-later
# ipv6.t - IPv6 on the wire: discovery, echo, fragments, headers, too big, advertisements
#
#   client1 (scapy) ---- lan ---- acc1 (4 IOPs) == web1 (UDP echo)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_pkt=$(cd "$(dirname "$0")" && pwd)
. "$here_pkt/../lab/lib.sh"
lab_begin pkt6
need jq
python=/usr/bin/python3
$python -c 'import scapy' 2>/dev/null || skip_all 'needs python3-scapy'

cat >"$work/server.py" <<'P'
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7007))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(data, peer)
P
cat >"$work/pkt6.yaml" <<'Y'
ipv6: yes
networks:
  lan: {subnet: 10.1.0.0/24}
nodes:
  client1: {kind: client, networks: {lan: 10.1.0.10}}
  acc1:    {kind: npp, iops: 4, networks: {lan: 10.1.0.11}, options: {autoconf: yes}}
  web1:    {kind: host, stack: npp, npps: [acc1]}
Y
lab_up "$work/pkt6.yaml"
start server web1 $python -u "$work/server.py"
wait_for 10 grep -q ready "$evidence/server.log" || bail 'the server does not listen'
mac=$("$npplab" status "$lab" --json | jq -r '.nodes[] | select(.name == "acc1").networks[0].mac')

# The program prints TAP itself; its plan becomes ours.
on client1 env -u NPP_RUNDIR PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here_pkt" NPP="$npp" NPP_TARGET="$lab/acc1" NPP_IF=lan \
  NPP_MAC="$mac" NPP_IP=10.1.0.11 OUR_IP=10.1.0.10 SLOW=$slow \
  timeout --foreground $((200 * slow)) $python "$here_pkt/ipv6.py" 2>"$evidence/ipv6.err" | tee "$evidence/ipv6.tap"
if [ "${PIPESTATUS[0]}" != 0 ] || ! grep -q '^1\.\.' "$evidence/ipv6.tap"; then
  sed 's/^/# /' "$evidence/ipv6.err"
  tap_failed=1
  grep -q '^1\.\.' "$evidence/ipv6.tap" || echo 'Bail out! the program did not come to its end'
fi
[ "$tap_failed" = 0 ]
