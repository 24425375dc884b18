# SPDX-License-Identifier: GPL-2.0-or-later
# bad-input.t - what must not be is a counted drop, and a connection beside it goes on
#
#   client1 (scapy, a connection) ---- lan ---- acc1 (4 IOPs) == web1 (echo server)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_pkt=$(cd "$(dirname "$0")" && pwd)
. "$here_pkt/../lab/lib.sh"
lab_begin bad
need jq ping
python=/usr/bin/python3
$python -c 'import scapy' 2>/dev/null || skip_all 'needs python3-scapy'

cat >"$work/server.py" <<'P'
import socket, threading

def serve(c):
    while (data := c.recv(65536)):
        c.sendall(data)
    c.close()

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 7007))
s.listen(64)
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
P
lab_up "$topologies/pair.yaml"
# Where br_netfilter is loaded a bridge checks IP headers itself: this one shall pass everything on.
for f in iptables ip6tables arptables; do
  ip netns exec "$lab-net-lan" sysctl -qw "net.bridge.bridge-nf-call-$f=0" 2>/dev/null
done
start server web1 $python -u "$work/server.py"
wait_for 10 grep -q ready "$evidence/server.log" || bail 'the server does not listen'
status=$("$npplab" status "$lab" --json)
field() { jq -r --arg n "$1" '.nodes[] | select(.name == $n).networks[0].'"$2" <<<"$status"; }

# The program prints TAP itself; its plan becomes ours.
on client1 env -u NPP_RUNDIR PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here_pkt" NPP="$npp" NPP_TARGET="$lab/acc1" NPP_IF=lan \
  NPP_MAC="$(field acc1 mac)" NPP_IP=10.1.0.11 OUR_IP=10.1.0.10 SLOW=$slow \
  timeout --foreground $((300 * slow)) $python "$here_pkt/bad_input.py" 7007 2>"$evidence/bad_input.err" | tee "$evidence/bad_input.tap"
if [ "${PIPESTATUS[0]}" != 0 ] || ! grep -q '^1\.\.' "$evidence/bad_input.tap"; then
  sed 's/^/# /' "$evidence/bad_input.err"
  tap_failed=1
  grep -q '^1\.\.' "$evidence/bad_input.tap" || echo 'Bail out! the program did not come to its end'
fi
[ "$tap_failed" = 0 ]
