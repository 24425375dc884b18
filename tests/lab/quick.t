# SPDX-License-Identifier: GPL-2.0-or-later
# quick.t - the site of every figure is up within 3 seconds and down within 1
#
# Wall-clock time is also other people's: what a try took beside what it had to wait for a core
# (/proc/pressure/cpu) is shown, and one good try of four will do.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin quick
need jq nginx haproxy redis-server
labs+=("$lab")
ms() { date +%s%3N; }
# Microseconds in which somebody waited for a core, so far.
waited() { sed -n 's/^some .*total=//p' /proc/pressure/cpu 2>/dev/null || echo 0; }
try() # FILE [--set ...]: sets $up and $down, in ms
{
  local a b c w
  w=$(waited) a=$(ms)
  "$npplab" up "$@" --name "$lab" >"$evidence/up.log" 2>&1 </dev/null || { cat "$evidence/up.log"; return 1; }
  b=$(ms)
  "$npplab" down "$lab" >"$evidence/down.log" 2>&1 </dev/null || { cat "$evidence/down.log"; return 1; }
  c=$(ms)
  up=$((b - a)) down=$((c - b))
  diag "$(basename "$1"): up $up ms, down $down ms (somebody waited for a core for $((($(waited) - w) / 1000)) ms meanwhile)"
}
good() { [ "$up" -lt $((3000 * slow)) ] && [ "$down" -lt $((1000 * slow)) ]; }
most=0 largest=
for f in "$topologies"/fig*.yaml; do
  n=$("$npplab" check "$f" --json | jq '.nodes + .networks')
  if [ "$n" -gt "$most" ]; then most=$n largest=$(basename "$f"); fi
  for i in 1 2 3 4; do
    try "$f" || break
    good && break
  done
  ok "$(basename "$f") is up within 3 s and down within 1 s" good
done
# Routers with BIRD are waited for; RIP needs no five seconds between two things that a router says (bird.c).
if command -v bird >/dev/null; then
  for i in 1 2 3 4; do
    try "$topologies/ring.yaml" --set=nodes.r{1,2,3}.protocol=rip || break
    good && break
  done
  ok 'so is a ring of routers that speak RIP' good
fi
diag "the largest is $largest: $most networks and nodes"
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing
