# SPDX-License-Identifier: GPL-2.0-or-later
# python.t - Python's http.server and urllib on npp
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin python
need curl jq
python=/usr/bin/python3
[ -x $python ] || skip_all 'needs python3'

lab_up "$topologies/pair.yaml"
mkdir "$work/www"
head -c 5000000 /dev/urandom >"$work/www/file"
echo hello >"$work/www/index.html"
want=$(sha256sum <"$work/www/file")

start http web1 $python -m http.server -d "$work/www" 8000
ok 'http.server listens on npp' wait_for 15 listening web1 8000
is 'a page' "$(on client1 curl -s --max-time $patience http://web1:8000/)" hello
is 'a file of 5 MB' "$(on client1 curl -s --max-time $((3 * patience)) http://web1:8000/file | sha256sum)" "$want"
is 'a directory is listed' "$(on client1 curl -s -o /dev/null -w '%{http_code}' --max-time $patience http://web1:8000/)" 200
is 'what is not there is 404' "$(on client1 curl -s -o /dev/null -w '%{http_code}' --max-time $patience http://web1:8000/none)" 404
jobs=()
for i in 1 2 3 4 5 6 7 8; do
  (on client1 curl -s --max-time $((3 * patience)) http://web1:8000/file | sha256sum >"$work/sum$i") &
  jobs+=($!)
done
wait "${jobs[@]}"
is 'eight at once' "$(cat "$work"/sum? | sort -u)" "$want"
like 'it knows its client' "$(cat "$evidence/http.log")" '^10\.1\.0\.10 - '

start kernel client1 $python -m http.server -d "$work/www" 8001
wait_for 10 listening client1 8001
is 'urllib on npp fetches from the kernel' "$(on web1 $python -c '
import hashlib, urllib.request
print(hashlib.sha256(urllib.request.urlopen("http://client1:8001/file", timeout=100).read()).hexdigest())')" "${want%% *}"
is 'urllib on npp fetches from its own host' "$(on web1 $python -c '
import urllib.request
print(urllib.request.urlopen("http://web1:8000/", timeout=100).read().decode().strip())')" hello
is 'a connection to a closed port is refused' "$(on web1 $python -c '
import socket, sys
try: socket.create_connection(("client1", 9), int(sys.argv[1]))
except ConnectionRefusedError: print("at once")' $patience 2>&1 | tail -n1)" 'at once'
done_testing
