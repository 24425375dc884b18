# SPDX-License-Identifier: GPL-2.0-or-later
# fig14.t - two hosts with two NPPs each, on two networks: one network fails, service goes on
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin fig14
need jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
failover=$here/failover.py

cat >"$work/ask.py" <<'P'
# ask.py KIND ADDR...: one word for each address: who answers
import os, socket, sys
for a in sys.argv[2:]:
    w = "-"
    for attempt in range(3):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM)
        s.settimeout(2 * int(os.environ["NPP_SLOW"]))
        try:
            s.connect((a, 7000)); s.send(b"x\n"); w = s.recv(99).split()[0].decode(); break
        except OSError:
            pass
        finally:
            s.close()
    print(w, end=" ")
P
cat >"$work/talk.py" <<'P'
# talk.py ADDR...: connects to each, and sends a datagram to each from one socket; prints where from
import os, socket, sys
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(2 * int(os.environ["NPP_SLOW"]))
for a in sys.argv[1:]:
    try:
        s = socket.create_connection((a, 7000), 10 * int(os.environ["NPP_SLOW"]))
        print(s.getsockname()[0], end=" ")
    except OSError as e:
        print(e.strerror, end=" ")
    for attempt in range(3):
        u.sendto(b"x", (a, 7000))
        try:
            print(u.recvfrom(99)[0].split()[0].decode(), end=" ")
            break
        except OSError:
            pass
P

lab_up "$topologies/fig14.yaml"
serve() { start "serve-$1" "$1" $python -u "$failover" serve "$1" 7000; }
for w in web1 web2 client2; do
  serve $w
  ok "$w serves" wait_for 10 grep -q ready "$evidence/serve-$w.log"
done
for k in tcp udp; do
  is "one socket is heard on both networks ($k)" \
    "$(on client1 $python "$work/ask.py" $k 10.6.15.11 10.6.16.11 10.6.15.12 10.6.16.12)" 'web1 web1 web2 web2 '
done
is 'what a host opens takes the NPP that leads there, datagrams of one socket, too' \
  "$(on web1 timeout $((5 * patience)) $python "$work/talk.py" 10.6.15.21 10.6.16.21)" '10.6.15.11 client2 10.6.16.11 client2 '
is 'one listener has replicas on all IOPs of both' \
  "$(npp_do listeners web1 --json | jq -c '[.listeners[] | select(.proto == "tcp").replicas | length] | add')" 4

# ---- network 615 fails: all its links -----------------------------------------------------
links() { local n; for n in acc11 acc21; do "$npplab" fault --lab "$lab" link $n.n615 "$1" || return 1; done; }
start probe client1 $python "$failover" probe $((6 * slow)) "$work/probe" 10.6.15.11 10.6.16.11 10.6.15.12 10.6.16.12
probing=$started
sleep $slow
t=$(date +%s.%N)
ok 'network 615 fails' links down
down=$(on web1 timeout $((5 * patience)) $python "$work/talk.py" 10.6.16.21)
sleep 1
t2=$(date +%s.%N)
ok 'and is back' links up
wait $probing
sum=$($python "$failover" sum "$work/probe" "$t")
sum2=$($python "$failover" sum "$work/probe" "$t2")
diag "after the failure: $sum"
diag "after the return: $(jq -c '[.[].last_bad_begun]' <<<"$sum2")"
is 'before, nothing fails' "$(jq '[.[].failed_before] | add' <<<"$sum")" 0
is 'by the other network not one request fails, in no way' \
  "$(jq '[.[].failed_at | (.["10.6.16.11"], .["10.6.16.12"])] | add' <<<"$sum")" 0
is 'no connection is lost, by neither network' "$(jq .stay.failed <<<"$sum")" 0
is 'a host opens connections by the other one' "$down" '10.6.16.11 client2 '
for k in tcp udp; do
  is "afterwards all four addresses answer ($k)" \
    "$(on client1 $python "$work/ask.py" $k 10.6.15.11 10.6.16.11 10.6.15.12 10.6.16.12)" 'web1 web1 web2 web2 '
done

# ---- an NPP of a host goes ------------------------------------------------------------------
ok 'an NPP is stopped' "$npp" stop "$lab/acc12"
is 'the host serves by its other one' "$(on client1 $python "$work/ask.py" tcp 10.6.15.11)" 'web1 '
is 'with datagrams, too' "$(on client1 $python "$work/ask.py" udp 10.6.15.11)" 'web1 '
is 'no protocol error' "$(iop_sum acc11 host.protocol_errors)" 0
ok 'down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing
