# SPDX-License-Identifier: GPL-2.0-or-later
# hostile.t - a host that spoils its doorbells or all of its memory harms nobody but itself
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin hostile
need curl jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'

cat >"$work/two.yaml" <<'Y'
name: two
networks:
  lan: {subnet: 10.1.0.0/24}
nodes:
  client1: {kind: client, networks: {lan: 10.1.0.10}}
  acc1:    {kind: npp, iops: 2, networks: {lan: 10.1.0.11}}
  web1:    {kind: host, stack: npp, npps: [acc1]}
  web2:    {kind: host, stack: npp, npps: [acc1]}
  mad1:    {kind: host, stack: npp, npps: [acc1]}
  mad2:    {kind: host, stack: npp, npps: [acc1]}
Y
[ -z "${NPP_SOAK:-}" ] || for n in 3 4 5 6; do
  echo "  mad$n:    {kind: host, stack: npp, npps: [acc1]}" >>"$work/two.yaml"
done
cat >"$work/hostile.py" <<'P'
# A child waits in accept(); it is stopped, and every doorbell that it holds is filled and
# made blocking. Who rings by a plain write waits for ever now.
import ctypes, fcntl, os, signal, socket, struct, time
PIDFD_OPEN, PIDFD_GETFD = 434, 438
libc = ctypes.CDLL(None, use_errno=True)
pid = os.fork()
if pid == 0:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    s = socket.socket()
    s.bind(("", 7000))
    s.listen(64)
    while True:
        s.accept()
def idle():
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "S" and any(
            "eventfd" in os.readlink("/proc/%d/fd/%s" % (pid, f)) for f in os.listdir("/proc/%d/fd" % pid))

seen = 0
while seen < 20: # it stays asleep and has a doorbell: it waits in accept()
    time.sleep(0.01)
    try:
        seen = seen + 1 if idle() else 0
    except FileNotFoundError: # a descriptor went
        seen = 0
os.kill(pid, signal.SIGSTOP)
pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
bells = 0
for f in os.listdir("/proc/%d/fd" % pid):
    if "eventfd" not in os.readlink("/proc/%d/fd/%s" % (pid, f)):
        continue
    fd = libc.syscall(PIDFD_GETFD, pidfd, int(f), 0)
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        os.read(fd, 8) # what is in it
    except BlockingIOError:
        pass
    os.write(fd, struct.pack("Q", 0xfffffffffffffffe))
    fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
    bells += 1
print("spoilt", bells, flush=True)
signal.pause()
P
cat >"$work/client.py" <<'P'
import os, socket
patience = 10 * int(os.environ["NPP_SLOW"])
waiting = [socket.create_connection(("10.1.0.11", 7000), patience) for _ in range(16)]
good = 0
for _ in range(200):
    c = socket.create_connection(("10.1.0.11", 80), patience)
    c.settimeout(patience)
    c.sendall(b"GET / HTTP/1.0\r\n\r\n")
    good += c.recv(15) == b"HTTP/1.0 200 OK"
    c.close()
print(good)
P

lab_up "$work/two.yaml"
mkdir "$work/www"
start http web2 $python -m http.server -d "$work/www" 80
ok 'a well-behaved host listens' wait_for 15 listening web2 80
start hostile web1 $python "$work/hostile.py"
ok 'the other one spoils its doorbells' wait_for 15 grep -q 'spoilt [1-9]' "$evidence/hostile.log"
is 'all requests to the first are answered' "$(on client1 timeout $((30 * slow)) $python "$work/client.py" 2>&1 | tail -n1)" 200
stop "$started" KILL
ok 'the second serves again after its program is gone' wait_for 10 on web1 $python -c '
import socket
s = socket.socket()
s.bind(("", 7000))
s.listen()'

# ---- garbage in every shared word that a host can reach ---------------------------------------

scribble=$top_builddir/tests/lab/progs/scribble load=$top_builddir/harness/load/npp-load
[ -x "$scribble" ] || { diag 'no scribble: make check builds it'; done_testing; }
children() { npp_do stat acc1 --json | jq -r '[.. | objects | select(.role? and .pid?).pid] | unique | join(" ")'; }
before=$(children) errors=$(iop_sum acc1 host.protocol_errors)
start echo web2 "$load" serve -p 7001 echo
wait_for 15 listening web2 7001
mad=$(sed -n 's/^  \(mad[0-9]\):.*/\1/p' "$work/two.yaml") turns=0
start load client1 "$load" -q -j -c 8 -d 600 -b 2000 -t $((5000 * slow)) echo 10.1.0.11 7001
steady=$started
for host in $mad; do
  turns=$((turns + 1)) port=$((7200 + turns))
  start "victims-$host" "$host" "$load" serve -p $port echo
  victim=$started
  wait_for 10 listening "$host" $port
  # Connections of the host that goes mad, for the ISMs to look at; what becomes of them is open.
  start "madness-$host" client1 "$load" -q -j -c 16 -d 3 -t 1000 -b 2000 echo 10.1.0.11 $port
  client=$started
  start "scribble-$host" "$host" "$scribble" 2 "$turns" $((7300 + 2 * turns))
  scribbler=$started
  ok "$host: it maps and scribbles" wait_for 10 grep -q '^mapped [1-9]' "$evidence/scribble-$host.log"
  wait "$scribbler" 2>/dev/null
  stop "$client" KILL
  stop "$victim" KILL
  is "$host: no process of the NPP has died" "$(children)" "$before"
  ok "$host: new connections to the one that behaves" \
    on client1 timeout $((20 * slow)) "$load" -q -j -c 8 -n 200 -k -t $((5000 * slow)) http://10.1.0.11/
done
stop "$steady" INT
is 'the other host lost no byte meanwhile' "$(jq .errors_total "$evidence/load.log")" 0
cmp_num 'and was served' "$(jq .requests "$evidence/load.log")" -ge $((100 * turns))
cmp_num 'wrong words were counted as protocol errors' "$(iop_sum acc1 host.protocol_errors)" -gt "$errors"
diag "protocol errors: $(($(iop_sum acc1 host.protocol_errors) - errors))"
ok 'nppd of the NPP answers' npp_do stat acc1
# Garbage must not keep anybody busy for ever either.
cpu_ms()
{
  local p ns sum=0
  for p in $before; do
    read -r ns _ <"/proc/$p/schedstat" && sum=$((sum + ns / 1000000))
  done
  echo $sum
}
calm() { local a; a=$(cpu_ms); sleep 1; [ $(($(cpu_ms) - a)) -lt $((300 * slow)) ]; }
ok 'the NPP is calm again' wait_for 15 calm
done_testing
