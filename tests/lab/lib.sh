# SPDX-License-Identifier: GPL-2.0-or-later
# lib.sh - for lab tests: TAP, labs that go away again, evidence that stays on failure
#
#   . "$(dirname "$0")/lib.sh"
#   lab_begin fig4              # skip everything unless root; name the test
#   lab_up "$topologies/fig4.yaml"
#   ok 'client1 reaches web1' on client1 ping -c1 web1
#   done_testing
#
# A lab's name holds the test's pid. Labs, background programs and files go away at the
# end, however it comes; what they leave to look at is kept in $evidence if a case failed
# (not if the test was interrupted).
# $bulk is the size of bulk transfers: less in builds with sanitizers. $patience is how many seconds an answer
# may take before a test says that there is none, on a machine that has other things to do; helper programs find
# $NPP_SLOW in their environment, by which they multiply their own limits.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ -n "${BASH_VERSION:-}" ] || { echo 'Bail out! needs bash'; exit 1; }
: "${top_srcdir:=$(cd "$here/../.." && pwd)}" "${top_builddir:=$top_srcdir}"
topologies=$top_srcdir/topologies
npplab=$top_builddir/harness/npp-lab
npp=$top_builddir/npp/npp
[ -x "$npplab" ] || { echo "Bail out! $npplab is not built"; exit 1; }
sanitized=false
grep -q '^#define NPP_SANITIZED' "$top_builddir/config.h" 2>/dev/null && sanitized=true
bulk=$((1 << 30)) slow=1
if $sanitized; then
  bulk=$((1 << 26)) slow=6
  # Sanitized programs of ours run on npp hosts, where the preload library comes first.
  export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
fi
patience=$((10 * slow))
export NPP_SLOW=$slow

tap_n=0 tap_failed=0
todo=	# a reason: cases that fail are known to, and do not count
labs=() background=()
test_name= lab= evidence= work=
# Programs started before the preload library wants them must not carry ours.
PATH=$PATH:/usr/sbin:/sbin
unset NPP_RUNDIR NPP_HOST_SOCK
rundir=/run/npp

# ---- TAP ---------------------------------------------------------------------------

diag() { printf '# %s\n' "$*" | sed '2,$s/^/# /'; }

pass() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1"; }

fail()
{
  tap_n=$((tap_n + 1))
  if [ -n "$todo" ]; then
    echo "not ok $tap_n - $1 # TODO $todo"
  else
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_n - $1"
  fi
  shift
  [ $# = 0 ] || diag "$@"
}

# ok NAME COMMAND...: passes if the command succeeds; its output is shown if not.
ok()
{
  local name=$1 out
  shift
  if out=$("$@" 2>&1 </dev/null); then
    pass "$name"
  else
    fail "$name" "failed ($?): $*"
    [ -z "$out" ] || printf '%s\n' "$out" | tail -n 25 | sed 's/^/# /'
    return 1
  fi
}

# not_ok NAME COMMAND...: passes if it fails.
not_ok()
{
  local name=$1
  shift
  if "$@" >/dev/null 2>&1 </dev/null; then
    fail "$name" "succeeded: $*"
    return 1
  fi
  pass "$name"
}

# is NAME GOT WANTED
is()
{
  if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:    $2" "wanted: $3"; return 1; fi
}

# like NAME TEXT REGEX
like()
{
  if printf '%s\n' "$2" | grep -Eq -- "$3"; then pass "$1"
  else fail "$1" "wanted: $3"; printf '%s\n' "$2" | head -n 25 | sed 's/^/#   /'; return 1; fi
}

# cmp_num NAME A OP B, with OP as test(1) has it (-eq -ge ...)
cmp_num()
{
  if [ -n "$2" ] && [ -n "$4" ] && test "$2" "$3" "$4"; then pass "$1"
  else fail "$1" "$2 $3 $4 does not hold"; return 1; fi
}

skip_all() { echo "1..0 # SKIP $*"; trap - EXIT; exit 0; }
bail() { fail "$*"; done_testing; }

done_testing()
{
  echo "1..$tap_n"
  [ "$tap_failed" = 0 ]
  exit
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails after the deadline, and says so, since what
# comes after it may tell less.
wait_for()
{
  local end=$((SECONDS + $1 * slow))
  shift
  until "$@" >/dev/null 2>&1 </dev/null; do
    [ $SECONDS -lt $end ] || { diag "waited in vain: $*" >&2; return 1; }
    sleep 0.05
  done
}

# ---- what killed tests have left -----------------------------------------------------

# Has the test ended whose pid is in NAME (PREFIX PID - ...)?
of_dead_test() # NAME PREFIX
{
  local pid=${1#"$2"}
  pid=${pid%%-*}
  case $pid in ''|*[!0-9]*) return 1 ;; esac
  ! tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -q '\.t$'
}

# The directory of a dead test, and what has its run directory there.
sweep_dir()
{
  local pids
  [ ! -d "$1/run" ] || NPP_RUNDIR=$1/run "$npplab" clean
  pids=$(ps -eo pid=,args= | awk -v d="$1/run" '{for (i = 2; i < NF; i++) if ($i == "--rundir" && $(i + 1) == d) print $1}')
  # shellcheck disable=SC2086
  if [ -n "$pids" ]; then
    kill $pids
    wait_for 10 all_gone $pids || kill -KILL $pids
  fi
  rm -rf "$1"
}

all_gone() { local p; for p; do ! kill -0 "$p" 2>/dev/null || return 1; done; }

# A namespace of a dead test, of no lab.
sweep_ns()
{
  ip netns pids "$1" | xargs -r kill -KILL
  ip netns del "$1"
  rm -rf "/etc/netns/$1"
}

# A test that was killed at once (kill -9) could not clean up: the next one does.
sweep()
{
  local f name
  for f in "$rundir"/t[0-9]*-* "${TMPDIR:-/tmp}"/npp-{t,nppd}[0-9]*-* "$(dirname "$rundir")"/npp-logs-t[0-9]*-* \
    /run/netns/{t,nppd}[0-9]*-*; do
    [ -e "$f" ] || continue
    name=$(basename "$f")
    case $name in
      npp-logs-t*) ! of_dead_test "$name" npp-logs-t || rm -rf "$f" ;;
      npp-t*) ! of_dead_test "$name" npp-t || sweep_dir "$f" ;;
      npp-nppd*) ! of_dead_test "$name" npp-nppd || sweep_dir "$f" ;;
      nppd*) ! of_dead_test "$name" nppd || sweep_ns "$name" ;;
      *)
        of_dead_test "$name" t || continue
        if [ "$f" = "$rundir/$name" ]; then "$npplab" down "$name"; else sweep_ns "$name"; fi ;;
    esac
  done >/dev/null 2>&1 </dev/null
}

# ---- labs ----------------------------------------------------------------------------

lab_begin()
{
  test_name=$1
  lab=t$$-$1
  trap lab_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP PIPE
  [ "$(id -u)" = 0 ] || skip_all "needs root for network namespaces"
  sweep
  export NPP_LAB_KEEPER=$$
  umask 022 # servers that drop privileges shall read what is made for them
  evidence=$top_builddir/tests/lab/evidence/$test_name.$$
  mkdir -p "$evidence"
  evidence=$(cd "$evidence" && pwd)
  # Not below the build directory: servers that drop privileges must reach it.
  work=$(mktemp -d "${TMPDIR:-/tmp}/npp-$lab.XXXXXX")
  chmod 755 "$work"
}

need()
{
  local p
  for p; do command -v "$p" >/dev/null || skip_all "needs $p"; done
}

# lab_up FILE [--set ...]: the test's lab; a failure ends the test. NPP_ENGINE in the environment is
# the engine of its NPPs, so that the whole suite can be run with each.
lab_up()
{
  local out node engines=()
  if [ -n "${NPP_ENGINE:-}" ]; then
    for node in $(sed -n 's/^ *\([a-z0-9._-]*\): *{.*kind: npp\>.*/\1/p' "$1"); do
      engines+=(--set "nodes.$node.engine=$NPP_ENGINE")
    done
  fi
  labs+=("$lab")
  if ! out=$("$npplab" up "$@" "${engines[@]}" --name "$lab" 2>&1 </dev/null); then
    fail "lab comes up" "$out"
    done_testing
  fi
  [ -z "$out" ] || diag "$out"
}

# After a failure what can be seen of it is kept first: there is nothing left to see at the end.
lab_down()
{
  [ "$tap_failed" = 0 ] || collect
  keep_logs "${1:-$lab}"
  "$npplab" down "${1:-$lab}" </dev/null
}

# With sanitizers: the logs of a lab outlive it, for what a process says at its end.
keep_logs()
{
  local logs
  logs=$(dirname "$rundir")/npp-logs-$1
  $sanitized && [ -e "$rundir/$1" ] || return 0
  mkdir -p "$logs"
  ln -f "$rundir/$1"/*.log "$logs" 2>/dev/null
}

# Have the sanitizers said anything in FILES...?
sanitizer_reports()
{
  local f
  $sanitized || return 1
  for f; do
    grep -aqsE 'ERROR: [A-Za-z]*Sanitizer|runtime error:|Sanitizer has encountered' "$f" || continue
    echo "# $f:"
    grep -aE -A30 'ERROR: [A-Za-z]*Sanitizer|runtime error:|Sanitizer has encountered' "$f" | head -n 60 | sed 's/^/# /'
    return 0
  done
  return 1
}

# on NODE COMMAND...
on()
{
  local node=$1
  shift
  "$npplab" exec --lab "$lab" "$node" -- "$@"
}

# ping_all COUNT NODE OPTION... ADDRESS: what ping says of so many questions at once, each of whose answers it waits
# for. (Once it has had an answer it waits for the last one no longer than its interval, or two round trips.)
ping_all() { on "$2" ping -c "$1" -l "$1" -i "$patience" "${@:3}" 2>&1; }

# start NAME NODE COMMAND...: in the background, output to $evidence/NAME.log.
# Sets $started to its pid.
start()
{
  local name=$1 node=$2
  shift 2
  : >"$evidence/$name.log" # now: nobody shall take the words of one that had the name before for its own
  "$npplab" exec --lab "$lab" "$node" -- "$@" >"$evidence/$name.log" 2>&1 </dev/null &
  started=$!
  background+=("$started")
}

# Is PID a child of ours that runs? (The number of one that has ended may be a stranger's.)
ours() { case " $(jobs -rp | xargs) " in *" $1 "*) ;; *) return 1 ;; esac; }

# stop PID [SIGNAL]: and wait for its end.
stop()
{
  ! ours "$1" || kill "-${2:-TERM}" "$1" 2>/dev/null
  wait "$1" 2>/dev/null
  return 0
}

# What can be seen of the lab goes to $evidence.
collect()
{
  local l node
  for l in "${labs[@]}"; do
    [ -e "$rundir/$l/lab.json" ] || continue
    rm -rf "$evidence/rundir-$l" # of another lab of that name
    cp -r "$rundir/$l" "$evidence/rundir-$l" 2>/dev/null
    find "$evidence/rundir-$l" -type s -delete 2>/dev/null
    "$npplab" status "$l" --json >"$evidence/status-$l.json" 2>&1
    for node in $(jq -r '.nodes[].name' "$evidence/status-$l.json" 2>/dev/null); do
      {
        ip netns exec "$l-$node" ip -s -d address
        ip netns exec "$l-$node" ip route
        ip netns exec "$l-$node" ip neighbour
        ip netns exec "$l-$node" ss -anpemi
      } >"$evidence/kernel-$l-$node" 2>&1
    done
    for node in $(jq -r '.nodes[] | select(.kind == "npp" or .stack == "npp").name' \
      "$evidence/status-$l.json" 2>/dev/null); do
      for what in stat conns listeners; do
        timeout 10 "$npp" $what "$l/$node" --json >"$evidence/npp-$what-$l-$node.json" 2>&1
      done
    done
  done
  dmesg 2>/dev/null | tail -n 50 >"$evidence/dmesg"
}

# What a test has made beside its labs and files, it removes here, if it is there.
at_end() { :; }

lab_end()
{
  local status=$? p l interrupted=false
  trap - EXIT
  # Nothing ends this before it is done: neither another Ctrl-C nor that nobody reads.
  trap '' INT TERM HUP PIPE
  case $status in 130|143) interrupted=true ;; esac
  if ! $interrupted && { [ "$status" != 0 ] || [ "$tap_failed" != 0 ]; }; then collect; fi
  for p in $(jobs -rp); do kill "$p" 2>/dev/null; done
  for l in "${labs[@]}"; do
    keep_logs "$l"
    "$npplab" down "$l" >"$evidence/down-$l" 2>&1 </dev/null || [ ! -e "$rundir/$l" ] || {
      echo "# lab $l did not go down:"
      sed 's/^/# /' "$evidence/down-$l"
      status=1
    }
  done
  wait 2>/dev/null
  at_end
  for l in "${labs[@]}"; do
    l=$(dirname "$rundir")/npp-logs-$l
    ! sanitizer_reports "$l"/*.log || { status=1; cp -r "$l" "$evidence"; }
    rm -rf "$l"
  done
  ! sanitizer_reports "$evidence"/*.log || status=1
  rm -rf "$work"
  if $interrupted || { [ "$status" = 0 ] && [ "$tap_failed" = 0 ]; }; then
    rm -rf "$evidence"
    rmdir "$(dirname "$evidence")" 2>/dev/null
  else
    echo "# evidence is in $evidence"
  fi
  exit "$status"
}

# Everything on the machine that carries the name of lab $1, one line each.
leftovers()
{
  local l=$1
  ls -d /run/netns/"$l"-* /etc/netns/"$l"-* "$rundir/$l" 2>/dev/null
  grep -o "/run/netns/$l-[^ ]*" /proc/self/mountinfo
  ps -eo pid,args | grep -F "$rundir/$l" | grep -v grep
  return 0
}

# ---- what npp says of itself ---------------------------------------------------------

# npp_do VERB NODE [ARGUMENT...]: npp stat, conns, listeners of a node of the lab.
npp_do()
{
  local verb=$1 node=$2
  shift 2
  timeout $((20 * slow)) "$npp" "$verb" "$lab/$node" "$@" </dev/null
}

# iop_counters NPP COUNTER: its value in each IOP, one line each, in order.
iop_counters()
{
  npp_do stat "$1" --json | jq -r --arg c "$2" "$iops_filter"' | .counters[$c]'
}
# iop_sum NPP COUNTER: over all IOPs.
iop_sum() { iop_counters "$1" "$2" | awk '{n += $1} END {print n + 0}'; }
# iop_min NPP COUNTER: of the IOP that has least.
iop_min() { iop_counters "$1" "$2" | sort -n | head -n1; }
# dispatch_counter NPP COUNTER; osm_counter HOST COUNTER
dispatch_counter() { npp_do stat "$1" --json | jq -r --arg c "$2" "$dispatch_filter"' | .counters[$c]'; }
osm_counter() { npp_do stat "$1" --json | jq -r --arg c "$2" "$osm_filter"' | .counters[$c]'; }
# sum_is NPP COUNTER VALUE, for wait_for
sum_is() { [ "$(iop_sum "$1" "$2")" = "$3" ]; }
osm_is() { [ "$(osm_counter "$1" "$2")" = "$3" ]; }
iops_filter='[.. | objects | select(.role? == "ism")] | sort_by(.index) | .[]'
dispatch_filter='[.. | objects | select(.role? == "dispatch")] | .[0]'
osm_filter='[.. | objects | select(.role? == "osm")] | .[0]'

# iperf_listens NAME N: `start NAME ... iperf3 -s --forceflush` listens for the Nth time, as it does anew for each test;
# who comes between two is refused.
iperf_listens() { [ "$(grep -c 'Server listening' "$evidence/$1.log")" -ge "$2" ]; }

# listening NODE PORT: a program listens there, on npp with all its replicas.
listening()
{
  if "$npplab" status "$lab" --json | jq -e --arg n "$1" '.nodes[] | select(.name == $n and .stack == "npp")' >/dev/null; then
    npp_do listeners "$1" --json | jq -e --argjson p "$2" 'any(.listeners[]; .port == $p and (.replicas | length) > 0)'
  else
    ip netns exec "$lab-$1" ss -Hltn "sport = :$2" | grep -q .
  fi
}

# transcript READER WRITER ADDRESS PORT PROGRAM HEARS SPEAKS: runs PROGRAM HEARS PORT on node READER and PROGRAM
# SPEAKS ADDRESS PORT on node WRITER; $seen is what both say, the writer first.
transcript()
{
  local t=$((120 * slow))
  start "heard$4" "$1" timeout $t python3 "$5" "$6" "$4"
  wait_for 15 listening "$1" "$4" >/dev/null || diag 'nobody listens'
  seen=$(on "$2" timeout $t python3 "$5" "$7" "$3" "$4" 2>&1)
  wait_for 10 over "$started" || seen="$seen the other end goes on"
  seen=$seen$(cat "$evidence/heard$4.log")
}
over() { ! ours "$1"; }

# ---- nginx -------------------------------------------------------------------------------

# nginx_start NODE [WORKERS]: serves $work/www-NODE on port 80 with an unmodified nginx;
# index.html is 612 bytes. Returns when it listens.
nginx_start()
{
  local node=$1 workers=${2:-2} dir=$work/nginx-$1
  mkdir -p "$dir/www" "$dir/tmp"
  chmod 755 "$dir" "$dir/www"
  { printf 'This is %s.\n' "$node"; head -c 2000 /dev/zero | tr '\0' '.'; } | head -c 612 >"$dir/www/index.html"
  cat >"$dir/nginx.conf" <<CONF
daemon off;
worker_processes $workers;
pid $dir/nginx.pid;
error_log $evidence/nginx-$node-error.log info;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000;
  sendfile on;
  client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp;
  uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
  server { listen 80 backlog=1024; root $dir/www; }
}
CONF
  start "nginx-$node" "$node" nginx -e "$evidence/nginx-$node-error.log" -c "$dir/nginx.conf"
  nginx_pid=$started
}
