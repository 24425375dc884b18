# SPDX-License-Identifier: GPL-2.0-or-later
# programs.t - unmodified programs and what they lean on: reloads, children, stdio, errors
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin programs
need curl jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'
have() { command -v "$1" >/dev/null || { pass "$2 # SKIP needs $1"; return 1; }; }

# ---- a server of lines, by KIND: each line comes back with KIND in front -----------------
cat >"$work/server.py" <<'P'
import asyncio, ctypes, multiprocessing, os, signal, socket, socketserver, subprocess, sys
kind, port = sys.argv[1], int(sys.argv[2])
mark = kind.encode() + b":"
def listener():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    s.listen(128)
    return s
class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(mark + line)
class Tcp(socketserver.TCPServer):
    allow_reuse_address, request_queue_size = True, 128
class Forking(socketserver.ForkingMixIn, Tcp):
    max_children = 100
class Threading(socketserver.ThreadingMixIn, Tcp):
    daemon_threads = True
async def coroutines():
    async def lines(r, w):
        while line := await r.readline():
            w.write(mark + line)
            await w.drain()
        w.close()
    async with await asyncio.start_server(lines, "", port, backlog=128) as s:
        await s.serve_forever()
def worker(s):
    while True:
        c, _ = s.accept()
        with c, c.makefile("rwb") as f:
            for line in f:
                f.write(mark + line)
                f.flush()
sed = ["sed", "-u", "s/^/%s:/" % kind]
if kind == "forking":
    Forking(("", port), Lines).serve_forever()
elif kind == "threading":
    Threading(("", port), Lines).serve_forever()
elif kind == "asyncio":
    asyncio.run(coroutines())
elif kind == "prefork":
    s = listener()
    for _ in range(4):
        multiprocessing.get_context("fork").Process(target=worker, args=(s,)).start()
elif kind == "inetd":               # a program that knows stdin and stdout only, by stdio
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    s = listener()
    while True:
        c, _ = s.accept()
        if os.fork() == 0:
            os.dup2(c.fileno(), 0)
            os.dup2(c.fileno(), 1)
            os.closerange(3, 1000)
            os.execvp("sed", sed)
        c.close()
elif kind == "spawn":
    s, children = listener(), []
    while True:
        c, _ = s.accept()
        children = [p for p in children if os.waitpid(p, os.WNOHANG)[0] == 0]
        children.append(os.posix_spawnp("sed", sed, os.environ, setsigmask=[],
                        file_actions=[(os.POSIX_SPAWN_DUP2, c.fileno(), n) for n in (0, 1)]))
        c.close()
elif kind == "passing":             # as a Node.js cluster: one accepts, others serve; closes by number
    s, ways = listener(), []
    for _ in range(3):
        us, them = socket.socketpair()
        if os.fork() == 0:
            us.close()
            while True:
                _, fds, _, _ = socket.recv_fds(them, 1, 1)
                with socket.socket(fileno=fds[0]) as c, c.makefile("rwb") as f:
                    for line in f:
                        f.write(mark + line)
                        f.flush()
        ways.append(us)
    close = ctypes.CDLL(None).syscall if os.uname().machine == "x86_64" else lambda _, fd: os.close(fd)
    while True:
        c, _ = s.accept()
        ways.append(ways.pop(0))
        socket.send_fds(ways[0], [b"x"], [c.fileno()])
        close(3, c.detach())
elif kind == "popen":               # the same by vfork
    s, children = listener(), []
    while True:
        c, _ = s.accept()
        children = [p for p in children if p.poll() is None]
        children.append(subprocess.Popen(sed, stdin=c, stdout=c))
        c.close()
P
cat >"$work/client.py" <<'P'
import socket, sys, threading
kind, host, port, n = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
good = []
def one(i):
    with socket.create_connection((host, port), 20) as c, c.makefile("rwb") as f:
        for j in range(20):
            line = b"line %d %d\n" % (i, j)
            f.write(line)
            f.flush()
            assert f.readline() == kind.encode() + b":" + line
        c.shutdown(socket.SHUT_WR)
        assert f.read() == b""
    good.append(i)
threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
for t in threads: t.start()
for t in threads: t.join()
print(len(good))
P

lab_up "$topologies/pair.yaml"
port=6100
for kind in forking threading asyncio prefork inetd popen spawn passing; do
  port=$((port + 1)) n=16
  [ $kind != prefork ] || n=4
  start "$kind" web1 $python "$work/server.py" $kind $port
  wait_for 10 listening web1 $port
  is "server in Python: $kind" \
    "$(on client1 timeout $((20 * slow)) $python "$work/client.py" $kind web1 $port $n 2>&1 | tail -n1)" $n
  [ $kind != passing ] || is 'and what comes over the loopback, on the same numbers' \
    "$(on web1 timeout $((20 * slow)) $python "$work/client.py" $kind 127.0.0.1 $port 3 2>&1 | tail -n1)" 3
  kill "$started" 2>/dev/null
done

# ---- nginx: reload under load, reuseport, proxy -------------------------------------------
mkdir -p "$work/www" "$work/tmp"
chmod 755 "$work/www"
head -c 20000000 /dev/urandom >"$work/www/file"
echo hello >"$work/www/index.html"
want=$(sha256sum <"$work/www/file")
start backend client1 $python -m http.server -d "$work/www" 8000
wait_for 10 listening client1 8000
is 'bash: printf and read on /dev/tcp' "$(on web1 timeout $((20 * slow)) bash -c 'exec 3<>/dev/tcp/10.1.0.10/8000
  printf "GET /index.html HTTP/1.0\r\n\r\n" >&3; while read -r l <&3; do last=$l; done; echo "$last"' 2>&1)" hello
# splice() both ways: a proxy whose bytes go through pipes.
cat >"$work/splice.py" <<'P'
import os, socket, threading
def pump(a, b):
    r, w = os.pipe()
    while n := os.splice(a.fileno(), w, 1 << 20):
        while n:
            n -= os.splice(r, b.fileno(), n)
    b.shutdown(socket.SHUT_WR)
s = socket.create_server(("", 6120))
while True:
    c, _ = s.accept()
    d = socket.create_connection(("10.1.0.10", 8000))
    for ends in (c, d), (d, c):
        threading.Thread(target=pump, args=ends, daemon=True).start()
P
start splice web1 $python "$work/splice.py"
wait_for 10 listening web1 6120
is 'a proxy by splice()' "$(on client1 curl -s --max-time $((3 * patience)) http://web1:6120/file | sha256sum)" "$want"
kill "$started"
if have nginx 'nginx'; then
  cat >"$work/nginx.conf" <<CONF
daemon off;
worker_processes 2;
pid $work/nginx.pid;
error_log $evidence/nginx-error.log info;
events { worker_connections 1024; }
http {
  access_log off; client_header_timeout 600s;
  client_body_temp_path $work/tmp; proxy_temp_path $work/tmp; fastcgi_temp_path $work/tmp;
  uwsgi_temp_path $work/tmp; scgi_temp_path $work/tmp;
  server { listen 80 backlog=1024; root $work/www; location /proxy/ { proxy_pass http://10.1.0.10:8000/; }
    location = /status { stub_status; } }
  server { listen 81 reuseport; root $work/www; }
  server { listen 82 deferred; root $work/www; }
}
CONF
  start nginx web1 nginx -e "$evidence/nginx-error.log" -c "$work/nginx.conf"
  wait_for 10 listening web1 82
  wait_for 10 listening client1 8000
  is 'nginx: proxy_pass to the kernel' "$(on client1 curl -s --max-time $((3 * patience)) http://web1/proxy/file | sha256sum)" "$want"
  is 'nginx: a listener with reuseport' "$(on client1 curl -s --max-time $((3 * patience)) http://web1:81/file | sha256sum)" "$want"
  # Those that nginx has: the one that asks, and the one that came later than the silent one at the deferred listener.
  is 'nginx: a deferred listener keeps who is silent' "$(on client1 $python - $((20 * slow)) 2>&1 <<'P'
import socket, sys, time, urllib.request
silent, later = [socket.create_connection(("web1", port), 60) for port in (82, 80)]
end, seen = time.time() + int(sys.argv[1]), 0
while seen != 2 and time.time() < end:
    time.sleep(0.05)
    seen = int(urllib.request.urlopen("http://web1/status", timeout=60).read().split()[2])
silent.send(b"GET /index.html HTTP/1.0\r\n\r\n")
print(seen, silent.makefile("rb").read().split()[-1].decode())
P
)" '2 hello'
  is 'nginx: a deferred listener' "$(on client1 curl -s --max-time $((3 * patience)) http://web1:82/file | sha256sum)" "$want"
  for p in 80 81; do
    on client1 $python - $p >"$work/load$p" 2>&1 <<'P' &
import sys, time, urllib.request
good, end = 0, time.time() + 3
while time.time() < end:
    assert urllib.request.urlopen("http://web1:%s/" % sys.argv[1], timeout=60).read() == b"hello\n"
    good += 1
print("served", good)
P
    load=$!
    for _ in 1 2 3 4 5; do sleep 0.5; kill -HUP "$(cat "$work/nginx.pid")"; done
    wait $load
    like "nginx: no request is lost when it reloads, port $p" "$(tail -n1 "$work/load$p")" '^served [1-9][0-9]'
  done
  kill -QUIT "$(cat "$work/nginx.pid")"
fi

# ---- others, if they are here -------------------------------------------------------------
if have redis-benchmark 'redis' && have redis-server 'redis'; then
  start redis web1 redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save '' --dir "$work/tmp"
  wait_for 10 listening web1 6379
  like 'redis: 50 connections, pipelined' \
    "$(on client1 timeout $((3 * patience)) redis-benchmark -h 10.1.0.11 -n 20000 -P 8 -c 50 -q -t set,get 2>&1 | tr '\r' '\n')" 'GET: [0-9.]+ requests per second'
  kill "$started"
fi
if have haproxy 'haproxy'; then
  printf '%s\n' global ' nbthread 2' defaults ' mode http' ' timeout connect 50s' ' timeout client 90s' ' timeout server 90s' \
    'frontend f' ' bind :8088' ' default_backend b' 'backend b' ' server s 10.1.0.10:8000' >"$work/haproxy.cfg"
  start haproxy web1 haproxy -db -f "$work/haproxy.cfg"
  wait_for 10 listening web1 8088
  is 'haproxy between two clients' "$(on client1 curl -s --max-time $((3 * patience)) http://web1:8088/file | sha256sum)" "$want"
  kill "$started"
fi

if have vsftpd 'vsftpd' && id ftp >/dev/null 2>&1; then # asks for children in namespaces of their own
  mkdir -p "$work/ftp"
  ln "$work/www/file" "$work/ftp/file"
  chmod -R a+rX "$work/ftp"
  printf '%s\n' listen=YES listen_port=6121 background=NO anonymous_enable=YES port_enable=YES \
    anon_root="$work/ftp" secure_chroot_dir="$work/ftp" >"$work/vsftpd.conf"
  start vsftpd web1 vsftpd "$work/vsftpd.conf"
  wait_for 10 listening web1 6121
  is 'vsftpd: passive' "$(on client1 curl -s --max-time $((3 * patience)) ftp://web1:6121/file | sha256sum)" "$want"
  is 'vsftpd: active' "$(on client1 curl -s --max-time $((3 * patience)) -P - ftp://web1:6121/file | sha256sum)" "$want"
  kill "$started"
fi

if have dig 'dig'; then # libuv: socket calls by number
  cat >"$work/dns.py" <<'P'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 53))
print("ready", flush=True)
while True:
    q, peer = s.recvfrom(2000)
    end = q.index(b"\0", 12) + 5
    s.sendto(q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + q[12:end] +
             b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\0\x63", peer)
P
  for node in client1 web1; do
    start "dns-$node" $node $python "$work/dns.py"
    wait_for 10 grep -q ready "$evidence/dns-$node.log"
  done
  is 'dig on npp asks the kernel' "$(on web1 dig +short +tries=2 +time=$patience @10.1.0.10 a.example)" 10.1.0.99
  is 'dig on the kernel asks npp' "$(on client1 dig +short +tries=2 +time=$patience @10.1.0.11 a.example)" 10.1.0.99
fi

# ---- what programs learn when it does not work ------------------------------------------------
cat >"$work/errors.py" <<'P'
import errno, select, socket, struct, sys
net = "10.1.0."
def name(e): return errno.errorcode[e.errno] if e.errno else repr(e)
def attempt(f):
    try: f()
    except OSError as e: return name(e)
    return "ok"
def refused():
    s = socket.socket(); s.setblocking(False)
    assert s.connect_ex((net + "10", 9)) == errno.EINPROGRESS
    assert select.select([], [s], [], 20)[1]
    return errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]
def silent():
    s = socket.socket(); s.settimeout(20)
    return attempt(lambda: s.connect((net + "99", 80)))
def udp_refused():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
    s.connect((net + "10", 9)); s.send(b"x")
    return attempt(lambda: s.recv(1))
def timed():
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 200000))
    return attempt(lambda: s.connect((net + "98", 80)))
def again():
    s = socket.socket()
    return attempt(lambda: s.connect((net + "10", 9))) + "," + attempt(lambda: s.connect((net + "10", 8000)))
print({f: globals()[f]() for f in sys.argv[1:]}[sys.argv[1]])
P
err() { on web1 timeout $((30 * slow)) $python "$work/errors.py" "$1" 2>&1 | tail -n1; }
is 'non-blocking connect to a closed port' "$(err refused)" ECONNREFUSED
is 'connect to a neighbour that is not there' "$(err silent)" EHOSTUNREACH
is 'connect with SO_SNDTIMEO' "$(err timed)" EINPROGRESS
is 'a refused socket connects again' "$(err again)" ECONNREFUSED,ok
is 'a connected datagram socket hears of a closed port' "$(err udp_refused)" ECONNREFUSED
is 'getaddrinfo() knows that there are addresses of IPv4' "$(on web1 $python -c "
import socket
print(socket.getaddrinfo('10.1.0.10', 80, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)[0][4])" 2>&1 | tail -n1)" "('10.1.0.10', 80)"
if echo 'int main(void){return 0;}' | gcc -static -x c - -o "$work/static" 2>/dev/null; then
  like 'a static program is told of' "$(on web1 "$work/static" 2>&1)" 'linked statically'
  is 'but not on a host of the kernel' "$(on client1 "$work/static" 2>&1)" ''
fi
is 'no protocol error' "$(iop_sum acc1 host.protocol_errors)" 0
done_testing
