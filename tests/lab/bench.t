# SPDX-License-Identifier: GPL-2.0-or-later
# bench.t - bench/idle works, and what ends the tools of bench/ ends their labs
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin bench
need python3 nc
idle() { exec python3 "$top_srcdir/bench/idle" --builddir "$top_builddir" -n 1 "$@"; }
labs_of() { "$npplab" list | awk '{print $1}' | grep "^cmp$1"; }

out=$(idle -c 200 -H 1 2>&1); is 'idle' $? 0
like 'says what a connection costs' "$out" '^N=1 +[0-9-]+ bytes'

TMPDIR=$work idle -c 200 -H 60 >"$work/out" 2>&1 & pid=$!
background+=("$pid")
ok 'one that holds its connections' wait_for 30 labs_of "$pid"
kill -TERM "$pid"
wait "$pid"; is 'ends when it is told to' $? 143
is 'and takes its labs with it' "$(labs_of "$pid")" ''
is 'and its files' "$(ls -d "$work"/npp-bench-* 2>/dev/null)" ''

TMPDIR=$work idle -c 200 -H 60 >"$work/out" 2>&1 & pid=$!
background+=("$pid")
ok 'another one' wait_for 30 labs_of "$pid"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
gone() { "$npplab" clean >/dev/null 2>&1; ! labs_of "$pid" >/dev/null; }
ok 'npp-lab clean takes what a killed one has left' wait_for 15 gone

if [ -d /sys/kernel/tracing/instances ]; then
  # instructions where this machine can count them
  count=$(perf stat -x, -e instructions:u,syscalls:sys_enter_sendto true 2>&1 | awk -F, '$1 > 0 { print "-i"; exit }')
  out=$(python3 "$top_srcdir/bench/wakes" --builddir "$top_builddir" -r 1 -s 0.1 $count process 2>&1); is 'wakes' $? 0
  like 'shows the chain of a round trip' "$out" '% +C>D[=!] D>I[=!] I>S[=!]'
  like 'and its system calls' "$out" '^  D: .*read [0-9.]+'
  [ -z "$count" ] || like 'and its instructions' "$out" '^  all: [1-9][0-9]* user, [1-9][0-9]* kernel'
  is 'and leaves no trace' "$(ls -d /sys/kernel/tracing/instances/npp-wakes-* 2>/dev/null)" ''
fi
done_testing
