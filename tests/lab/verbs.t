# SPDX-License-Identifier: GPL-2.0-or-later
# verbs.t - links, logs, impair, fault, capture, replay, graph on a lab that is up
#
#   web1 == acc1 (2 IOPs) -- lan -- router -- isp ==wire== client1; client2 on isp
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin verbs
need ping curl jq nft python3 tcpdump
# Unnamed labs are looked for here: never at those of others.
export NPP_RUNDIR=$work/run
rundir=$NPP_RUNDIR
cat >"$work/t.yaml" <<'Y'
ipv6: yes
networks:
  lan: {subnet: 10.1.0.0/24}
  isp: {subnet: 10.2.0.0/24}
nodes:
  web1: {kind: host, stack: npp, npps: [acc1], start: [{name: py, command: "exec python3 -m http.server 80", ready: {port: 80}}]}
  acc1: {kind: npp, iops: 2, networks: lan}
  router: {kind: router, networks: [lan, isp]}
  client1: {kind: client, networks: {isp: {wire: {delay: 1ms}}}}
  client2: {kind: client, networks: isp}
Y
# On a terminal it tells meanwhile what it waits for.
cat >"$work/on-tty" <<P
#!$(command -v python3)
import os, subprocess, sys
ours, its = os.openpty()
p = subprocess.Popen(["$npplab"] + sys.argv[1:], stdout=its, stderr=its)
os.close(its)
seen = b""
try:
    while more := os.read(ours, 4096):
        seen += more
except OSError:
    pass	# nobody holds the other end any more
open("$work/up.out", "wb").write(seen)
if p.wait():
    sys.exit(seen.decode())
P
chmod +x "$work/on-tty"
TERM=xterm npplab=$work/on-tty lab_up "$work/t.yaml"
like 'while it works, up tells what it waits for' "$(tr '\r' '\n' <"$work/up.out")" ': waiting for web1 and its 128 MiB of memory'

# What cannot be done is said in JSON, too.
for words in 'status nolab' "links --lab nolab" "logs --lab $lab nobody" "impair --lab $lab client1 dely=1ms" "fault --lab $lab kill npp.acc9.ism0" \
  "capture --lab $lab nobody -w $work/x" "replay --lab $lab nobody $work/x" 'graph nolab' 'up nofile.yaml' 'down nolab' 'check nofile.yaml'; do
  # shellcheck disable=SC2086
  is "$(cut -d' ' -f1 <<<"$words"): an error is JSON" "$("$npplab" $words --json 2>/dev/null | jq -c '[.ok, (.errors | length > 0)]')" '[false,true]'
done
do_() { local v=$1; shift; "$npplab" "$v" --lab "$lab" "$@"; }
get() { on "$1" curl -4 -s -m $patience -o /dev/null http://web1/README; }
ok 'it serves' get client1

is 'links: one for each' "$(do_ links --json | jq 'length')" 5
is 'links: state and wire' "$(do_ links --json | jq -c '.[] | select(.node == "client1") | [.up, .carrier, .wire.up.settings.delay_us]')" '[true,true,1000]'
like 'links: for people' "$(do_ links)" 'client1.isp +10.2.0.10/24 fd00:[^ ]+ +up .*delay=1ms'

ok 'impair changes a wire' do_ impair client1 delay=15ms
cmp_num 'which shows' "$(on client1 ping -q -c2 -i0.1 router | sed -n 's|^rtt[^=]*= \([0-9]*\).*|\1|p')" -ge 30
is 'impair --json shows the settings' "$(do_ impair client1.isp up.loss=2% --json | jq -c '[.up.settings.loss, .down.settings.loss]')" '[0.02,0]'
like 'impair shows it to people' "$(do_ impair client1 show)" 'client1.isp \(up: from client1\).*'
like 'by direction, as it is set' "$(do_ impair client1)" '^up +delay=15ms loss=2%$'
like 'with what became of frames' "$(do_ impair client1)" '^ +[0-9]+ frames in, [0-9]+ out'
like 'clear turns all off, also what the topology gave' "$(do_ impair client1 clear)" '^down +clean$'
like 'reset is the topology' "$(do_ impair client1 reset)" '^down +delay=1ms$'
like 'words that make no sense' "$(do_ impair client1 reset now 2>&1)" "'reset' is no setting: expected KEY=VALUE.*, clear, reset"
like 'an empty word' "$(do_ impair client1 '' 2>&1)" "npp-lab: '' is no setting"
like 'a word without a value' "$(do_ impair client1 loss 2>&1; echo "status $?")" "'loss' is no setting: expected KEY=VALUE"
do_ impair client1 loss=5% corrupt=200% >/dev/null 2>&1
is 'a value that makes no sense, the others are left' "$? $(do_ impair client1 --json | jq .up.settings.loss)" '2 0'
like 'a link without a wire says so' "$(do_ impair client2 loss=1% 2>&1)" "has no wire: give it 'wire: yes'"
like 'a node with two links wants to know which' "$(do_ impair router loss=1% 2>&1)" 'several links'
like 'no such link' "$(do_ impair client9 loss=1% 2>&1)" "has no link 'client9'"

# Processes by role
like 'kill an ISM' "$(do_ fault kill npp.acc1.ism1)" '^killed npp.acc1.ism1: 1 process$'
ok 'it comes back and serves' wait_for 10 get client2
like 'stop an OSM' "$(do_ fault stop host.web1.osm --json)" '"done": "stopped host.web1.osm: 1 process"'
ok 'its NPP does not need it' on client2 ping -c1 -W$patience acc1
ok 'and let it go on' do_ fault cont host.web1.osm
like 'a program by its name in the topology' "$(do_ fault kill host.web1.py)" ': 1 process'
not_ok 'it is gone' get client2
like 'nobody is there now' "$(do_ fault kill host.web1.py 2>&1)" "no process is 'host.web1.py' now"
like 'no such role' "$(do_ fault kill host.acc1.osm 2>&1)" "is no role: expected KIND.NODE.WHAT"
do_ fault kill npp.acc9.ism0 >/dev/null 2>&1
is 'exit status of what failed' $? 1
do_ fault hit npp.acc1.ism0 >/dev/null 2>&1
is 'exit status of what makes no sense' $? 2

# A flap that is interrupted leaves the link up, and meanwhile it is known to be down.
"$npplab" fault --lab "$lab" link client2 flap 600s >"$work/flap" 2>&1 &
flap=$!
background+=("$flap")
faults() { do_ links --json | jq -c '.[] | select(.node == "client2").up'; "$npplab" status "$lab" --json | jq -c .faults; }
is_down() { [[ $(faults) == false*client2.isp\ down* ]]; }
ok 'a link that flaps is told to be down' wait_for 10 is_down
stop "$flap" INT
is 'one who is stopped takes it up again' "$(faults | xargs)" 'true []'
like 'and says so' "$(cat "$work/flap")" 'stopped by signal 2: the link is up again'
like 'no such link to break' "$(do_ fault link client9 down 2>&1)" "has no link 'client9'"
# Without a name, what breaks things keeps its hands off what others have made.
for v in down 'fault kill npp.acc1.ism0' 'impair client1 loss=1%'; do
  like "$v in another session wants a name" "$(env -u SUDO_UID setsid -w "$npplab" $v 2>&1)" "$lab' .* was made in another session: name it"
done
ok 'status does not' setsid -w "$npplab" status
like 'in this session it does not, either' "$("$npplab" fault kill npp.acc9.ism0 2>&1)" 'no node|acc9'

# Links and networks
reach() { on client2 ping -c1 -W1 "$1"; }
ok 'link down' do_ fault link router.isp down
not_ok 'nothing passes' reach acc1
is 'links says so' "$(do_ links --json | jq -c '.[] | select(.node == "router" and .network == "isp") | .up')" false
ok 'link up' do_ fault link router.isp up
ok 'and it passes again' wait_for 5 reach acc1
ok 'a link of an NPP flaps' do_ fault link acc1 flap 200ms
ok 'and it is back' wait_for 5 reach acc1
ok 'partition' do_ fault partition isp client2
not_ok 'one side does not reach the other' reach client1
ok 'within a side all is well' on client1 ping -c1 -W$patience router
ok 'heal' do_ fault heal isp
like 'one network at a time' "$(do_ fault heal isp lan 2>&1)" 'expected heal NETWORK'
ok 'the network is whole' wait_for 5 reach client1
like 'a node that is not there' "$(do_ fault partition isp acc1 2>&1)" "'acc1' is no node on network 'isp'"

# Captures
start py web1 python3 -m http.server 80
ok 'a server again' wait_for 10 get client2
do_ capture client2 -w "$evidence/c.pcap" --seconds 20 --json tcp port 80 >"$work/c.json" 2>"$work/c.err" &
cap=$!
background+=("$cap")
wait_for 10 grep -q capturing "$work/c.err"
get client2
get client2 # of which the last frames may come too late
stop "$cap" INT
cmp_num 'capture has the frames of a request' "$(jq .frames "$work/c.json")" -ge 8
like 'tcpdump reads them' "$(tcpdump -nr "$evidence/c.pcap" 2>/dev/null)" '10.2.0.11.* > 10.1.0.10.80: Flags \[S\]'
like 'a filter that makes no sense' "$(do_ capture client2 -w "$work/x.pcap" --seconds 1 tcp prt 80 2>&1)" 'filter: '
for words in '--count 0' '--count 1.5' '--seconds 0'; do
  # shellcheck disable=SC2086
  like "no capture with $words" "$(do_ capture client2 -w "$work/x.pcap" $words 2>&1; echo "status $?")" 'is not a (whole )?number'
done
out=$(do_ replay client1 "$evidence/c.pcap" --to web1 --speed 0 --json)
cmp_num 'replay sends the client side' "$(jq .sent <<<"$out")" -ge 4
cmp_num 'and leaves out the answers' "$(jq .other_direction <<<"$out")" -ge 3
is 'nothing is lost on the way' "$(jq .skipped <<<"$out")" 0
like 'a node with several links sends where the server is' "$(do_ replay router "$evidence/c.pcap" --to web1 --speed 0 --json)" '"link": "router.lan", "sent": [1-9]'
like 'or where it is told to' "$(do_ replay router "$evidence/c.pcap" --link isp --to client1 --speed 0)" '^[1-9][0-9]* frames sent on isp,'
like 'if there is a way from there' "$(do_ replay router "$evidence/c.pcap" --link router.isp --to web1 2>&1)" 'no other router from isp to lan'
like 'and such a link' "$(do_ replay router "$evidence/c.pcap" --link dmz 2>&1)" "'router' has no link to a network 'dmz': it is on lan, isp"
ok 'without --to it goes where it went' do_ replay client1 "$evidence/c.pcap"
do_ capture client2 -w "$evidence/c6.pcap" --seconds 20 --json ip6 and udp >"$work/c6.json" 2>"$work/c6.err" &
cap=$!
background+=("$cap")
wait_for 10 grep -q capturing "$work/c6.err"
start udp6 web1 "$top_builddir/harness/load/npp-load" serve -b :: -p 7006 udp
udp6() { on client2 "$top_builddir/harness/load/npp-load" -q -j -6 -n 20 -c 1 -b 3000 udp web1 7006 >"$work/udp6"; [ "$(jq .requests "$work/udp6")" -ge 10 ]; }
ok 'datagrams of IPv6' wait_for 10 udp6
stop "$cap" INT
before=$(iop_sum acc1 udp.in)
out=$(do_ replay client1 "$evidence/c6.pcap" --to web1 --speed 0 --json)
cmp_num 'a capture of IPv6 can be sent by another node' "$(jq .sent <<<"$out")" -ge 20
is 'nothing of it is left out' "$(jq .skipped <<<"$out")" 0
received() { [ "$(iop_sum acc1 udp.in)" -gt "$before" ]; }
ok 'and is received with right checksums' wait_for 5 received
# The frames of a capture as those of other link types, or with the tag of a VLAN
relink() # FILE
{
  python3 - "$1" "$work" <<'P'
import struct, sys
data = open(sys.argv[1], 'rb').read()
kinds = {'vlan': (1, lambda f: f[:12] + b'\x81\0\0\5\x88\xa8\0\6' + f[12:]), 'sll': (113, lambda f: bytes(14) + f[12:]),
         'sll2': (276, lambda f: f[12:14] + bytes(18) + f[14:]), 'raw': (101, lambda f: f[14:]),
         'null': (0, lambda f: bytes(4) + f[14:]), 'wifi': (105, lambda f: f),
         'headers': (1, lambda f: f[:62]), 'scraps': (1, lambda f: f[:13])}
for name, (link, change) in kinds.items():
    out, at = data[:20] + struct.pack('=I', link), 24
    while at + 16 <= len(data):
        sec, usec, n, _ = struct.unpack('=IIII', data[at:at + 16])
        f = change(data[at + 16:at + 16 + n])
        out += struct.pack('=IIII', sec, usec, len(f), len(f)) + f
        at += 16 + n
    open(f'{sys.argv[2]}/{name}.pcap', 'wb').write(out)
P
}
ok 'captures of other link types' relink "$evidence/c6.pcap"
for kind in vlan sll sll2 raw null; do
  is "a capture of $kind is sent whole" "$(do_ replay client1 "$work/$kind.pcap" --to web1 --speed 0 --json | jq -c '[.sent, .skipped]')" \
    "$(jq -c '[.sent, .skipped]' <<<"$out")"
done
for kind in headers scraps; do
  like "what was not captured whole could not be sent: $kind" "$(do_ replay client1 "$work/$kind.pcap" --to web1 --speed 0 2>&1)" \
    'nothing was sent: [0-9]+ frames were not for the server, [1-9][0-9]* could not be sent'
done
like 'of others their name is said' "$(do_ replay client1 "$work/wifi.pcap" --to web1 2>&1)" 'wifi.pcap: frames of link type IEEE802_11'
head -c 24 "$work/raw.pcap" >"$work/none.pcap"
like 'a replay of nothing has failed' "$(do_ replay client1 "$work/none.pcap" --to web1 --json 2>/dev/null; echo "status $?")" 'none.pcap: nothing was sent'
like 'nobody is sent his own frames' "$(do_ replay client1 "$work/raw.pcap" --to client1 2>&1)" "'client1' is the node itself"
like 'an NPP makes no frames' "$(do_ replay acc1 "$evidence/c.pcap" 2>&1)" 'no node with a link of the kernel'
head -c $(($(stat -c %s "$evidence/c.pcap") - 7)) "$evidence/c.pcap" >"$work/cut.pcap"
like 'a capture that was cut off is not taken for whole' "$(do_ replay client1 "$work/cut.pcap" 2>&1; echo "status $?")" '[1-9][0-9]* frames were sent before'
like 'a file that is no capture' "$(do_ replay client1 "$work/t.yaml" 2>&1)" 't.yaml: unknown file format'
ok 'the lab still serves' get client1

# Load, and commands whose output is wanted as JSON
start http web1 "$top_builddir/harness/load/npp-load" serve -p 8080 http
ok 'a server for load' wait_for 10 listening web1 8080
ok 'load, though the first address of the name refuses' do_ load client2 -q -n 40 -c 4 http://web1:8080/
is 'load as JSON, with the word at the end' "$(do_ load client2 -n 40 -c 4 http://web1:8080/ --json | jq -c '[.requests, (.errors | add)]')" '[40,0]'
start udp web1 "$top_builddir/harness/load/npp-load" serve -p 7007 udp
wait_for 10 grep -q serve: "$evidence/udp.log"
is 'datagrams as well' "$(do_ load client2 -n 40 -c 4 udp web1 7007 --json | jq -c '[.requests >= 30, (.errors | add)]')" '[true,0]'
like 'that nobody is there has a reason' "$(do_ load client2 -4 -q -d 0.3 udp web1 7008)" 'reset [0-9]* \(Connection refused\)'
do_ load client2 -q -n 4 -t 500 connect web1 9 >/dev/null 2>&1
is 'load with errors' $? 1
do_ load client2 nonsense >/dev/null 2>&1
is 'load of nonsense' $? 2
do_ load client9 http://web1/ >/dev/null 2>&1
is 'load from nobody' $? 125
is 'exec as JSON' "$(do_ exec --json client1 -- sh -c 'echo out; printf "\377\n" >&2; sleep 60 & exit 3' | jq -c '[.ok, .status, .stdout, .stderr]')" \
  '[false,3,"out\n","�\n"]'
do_ exec --json client1 -- no-such-program >"$work/x.json" 2>&1
is 'of a program that is not there' "$?$(jq -c '.status' "$work/x.json")" 127127
is 'of a node that is not there' "$(do_ exec --json client9 -- true 2>/dev/null | jq -c '[.ok, (.errors | length)]')" '[false,1]'

# A capture on standard output is there at once, and ends with who reads it; a full disk is told.
"$npplab" capture --lab "$lab" client2 -w - icmp 2>"$work/c.err" | timeout 20 tcpdump -c 2 -nr - 2>/dev/null >"$work/c.txt" &
cap=$!
background+=("$cap")
wait_for 10 grep -q capturing "$work/c.err"
on client2 ping -4 -c 2 -W$patience router >/dev/null
ok 'a capture on standard output' wait_for 10 grep -q 'ICMP echo reply' "$work/c.txt"
stop "$cap"
on client2 ping -q -c 20 -i 0.1 router >/dev/null &
like 'a capture to a full disk' "$(do_ capture client2 -w /dev/full --count 3 2>&1)" 'cannot write /dev/full: No space left'
wait $!

# Memory of a host
shortage() { on "$1" python3 "$top_srcdir/tests/lab/shortage.py" "${@:2}"; }
listens() { for p in "$@"; do shortage client2 ask web1 "$p" 1 2 2>/dev/null | grep -q 1$ || return; done; }
faults() { "$npplab" status "$lab" --json | jq -c '[.faults[].fault]'; }
start forker web1 python3 "$top_srcdir/tests/lab/shortage.py" fork 7070
start keeper web1 python3 "$top_srcdir/tests/lab/shortage.py" accept 7072
ok 'servers that fork and that keep what they accept' wait_for 10 listens 7070 7072
is 'a program opens what it likes' "$(shortage web1 try client2)" 'ECONNREFUSED ok ok'
like 'memory gone' "$(do_ fault memory web1 gone)" '^memory of web1: [1-9][0-9]* KB and [1-9][0-9]* socket records are gone, 0 KB and 0 are left$'
is 'status lists it' "$(faults)" '["memory web1"]'
like 'also for people' "$("$npplab" status "$lab")" 'fault: memory of web1: '
ok 'who serves, serves on' get client1
# A program that ended just before gives its memory back a moment later.
no_room() { [ "$(shortage web1 try client2 2>/dev/null)" = 'ENOBUFS ENOBUFS ENOBUFS' ]; }
all_gone() { do_ fault memory web1 gone >/dev/null && no_room && [ "$(shortage client2 ask web1 7070 1 $patience)" = 'ENOMEM 1' ]; }
ok 'a new program hears that there is no buffer space, and fork says that there is no memory' wait_for 20 all_gone
shortage client2 ask web1 7072 300 $((6 * patience)) >"$work/asked" 2>&1 &
asker=$!
background+=("$asker")
ok 'accept says that no more files can be open' wait_for 10 grep -q ENFILE "$evidence/keeper.log"
ok 'an OSM that is killed' do_ fault kill host.web1.osm
ok 'and its successor: there is none' wait_for 10 no_room
like 'half of it back' "$(do_ fault memory web1 gone 50%)" ': [1-9][0-9]* KB and [1-9][0-9]* socket records are gone, [1-9][0-9]* KB and [1-9][0-9]* are left$'
is 'does for a program' "$(shortage web1 try client2)" 'ECONNREFUSED ok ok'
like 'memory back' "$(do_ fault memory web1 back --json)" '"done": "memory of web1: all is back, '
is 'which ends the fault' "$(faults)" '[]'
is 'fork works again' "$(shortage client2 ask web1 7070 1 $patience)" 'child 1'
wait "$asker"
is 'who had to wait has been served' "$(cat "$work/asked")" 'here 300'
like 'no such host' "$(do_ fault memory web9 gone 2>&1)" "has no node 'web9'"
like 'not of a kernel node' "$(do_ fault memory client1 gone 2>&1)" "'client1' is no host on NPPs"
like 'more than there is' "$(do_ fault memory web1 gone 101% 2>&1)" "'101%' is no part of what is free"

# Hugepages: what runs goes on; who comes up without them says what is missing.
huge() { # free ones that are ours: a share in the ledger, which ends with a process
  sleep 600 &
  pages_pid=$!
  background+=("$pages_pid")
  exec 9>>/run/npp/hugepages
  flock 9
  local pages=/sys/kernel/mm/hugepages/hugepages-2048kB nr surplus
  nr=$(<$pages/nr_hugepages) surplus=$(<$pages/surplus_hugepages)
  echo $((nr - surplus + 3)) >$pages/nr_hugepages
  echo "verbs:$$ $(($(<$pages/nr_hugepages) - $(<$pages/surplus_hugepages) - nr + surplus)) $pages_pid $(awk '{print $22}' "/proc/$pages_pid/stat") $(</proc/sys/kernel/random/boot_id)" >&9
  exec 9>&-
}
host_up() { # HUGEPAGES SECONDS
  echo "host: {name: late, npps: [acc1], memory: 32M, reserve: yes, hugepages: $1}" >"$work/late.yaml"
  timeout "$2" "$top_builddir/nppd/nppd" --rundir "$rundir/$lab" "$work/late.yaml" 2>&1
}
huge
like 'hugepages gone' "$(do_ fault hugepages gone)" '^hugepages: [0-9]+ that were free are gone, and none are to be borrowed$'
is 'status lists it, too' "$(faults)" '["hugepages"]'
like 'they cannot go twice' "$(do_ fault hugepages gone 2>&1)" 'gone already'
for role in npp.acc1.ism0 npp.acc1.dispatch host.web1.osm; do
  ok "$role is killed" do_ fault kill $role
  ok 'and its successor serves' wait_for 10 get client2
done
is 'a program opens what it likes' "$(shortage web1 try client2)" 'ECONNREFUSED ok ok'
# Others that come up at the same moment may have just borrowed what it then finds.
says() { host_up "$1" $((1 + slow)) >"$work/said"; grep -Eq "$2" "$work/said"; }
ok 'a host that must have hugepages says how many are missing' wait_for 20 says always \
  "late.yaml:1: key 'host.hugepages': there are not enough for npp-host: [0-9]+ of 16 pages of 2 MB are missing: .*vm.nr_hugepages=[0-9]+"
ok 'one that need not says so, too' wait_for 20 says auto 'ordinary pages for npp-host.* [0-9]+ of 16 pages of 2 MB are missing'
like 'and comes up' "$(cat "$work/said")" 'host late is up'
like 'hugepages back' "$(do_ fault hugepages back)" 'are back$'
is 'which ends it' "$(faults)" '[]'
if [ "$("$npp" status "$lab/acc1" --json | jq '.[0].hugepages')" -gt 0 ]; then
  ok 'and then a host can have them' wait_for 20 says always 'host late is up'
fi
like 'there is nothing more to give back' "$(do_ fault hugepages back 2>&1)" 'no hugepages are gone'
do_ fault hugepages gone >/dev/null
do_ fault link client2 down >/dev/null
is 'links that are down are faults, too' "$(faults)" '["hugepages","link client2.isp"]'
do_ fault link client2 up >/dev/null
closed="^closed:[0-9]*:$(stat -c %i "$rundir/$lab")"
ok 'the ledger knows' grep -q "$closed " /run/npp/hugepages
kill "$pages_pid"; wait "$pages_pid" 2>/dev/null

like 'logs of a node' "$(do_ logs acc1)" '^acc1\| .*has taken over'
like 'logs of nobody' "$(do_ logs nobody 2>&1)" "no log of 'nobody'"
ok 'graph as text' do_ graph -w "$work/g.dot"
like 'has networks' "$(cat "$work/g.dot")" '"net lan" -- "acc1".*10.1.0.10'
like 'and accelerators at their hosts' "$(cat "$work/g.dot")" '"acc1" -- "web1" \[penwidth=5'
ln -s g.dot "$work/link.dot"
mkfifo "$work/pipe.dot"
cat "$work/pipe.dot" >"$work/piped" &
ok 'graph into a link' do_ graph -w "$work/link.dot"
ok 'graph into a pipe' do_ graph -w "$work/pipe.dot"
wait $!
is 'leaves both what they are' "$(test -L "$work/link.dot" && test -p "$work/pipe.dot" && head -c 5 "$work/piped")" graph
if command -v dot >/dev/null; then
  ok 'graph as a picture' do_ graph -w "$work/g.svg"
  if dot -Tpng </dev/null >/dev/null 2>&1; then
    do_ graph -w "$work/g.png"
    is 'as the file is called' "$(head -c 4 "$work/g.png" | tail -c 3)" PNG
  fi
  like 'which is SVG' "$(head -c 300 "$work/g.svg")" '<\?xml|<svg'
fi
is 'shell is exec' "$(echo 'echo I am on $(hostname -I)' | do_ shell client2 2>/dev/null | grep -o '10.2.0.11')" '10.2.0.11'
is 'list as JSON' "$("$npplab" list --json | jq -c --arg l "$lab" '.[] | select(.name == $l).state')" '"up"'
is 'check as JSON' "$("$npplab" check "$work/t.yaml" --json | jq -c '[.ok, .nodes, .errors]')" '[true,5,[]]'
is 'with errors' "$("$npplab" check "$work/t.yaml" --set nodes.web1.kind=x --json | jq -c '[.ok, (.errors | length > 0)]')" '[false,true]'
"$npplab" capture --lab "$lab" isp -w "$work/last.pcap" >"$work/last" 2>&1 &	# who looks on when the lab goes
cap=$!
wait_for 10 grep -q capturing "$work/last"
ok 'down' lab_down
wait "$cap"
is 'a capture that is cut short has failed' $? 1
like 'and says why' "$(cat "$work/last")" 'isp has gone; [0-9]+ frames were written before'
is 'nothing is left' "$(leftovers "$lab")" ''
not_ok 'not in the ledger, either' grep -Eq "$closed |^verbs:$$ " /run/npp/hugepages
done_testing
