# SPDX-License-Identifier: GPL-2.0-or-later
# twins.t - random programs see the same of npp's sockets as of the kernel's
#
#   client1 (the peer) ---- lan ---- acc1 (4 IOPs) == web1
#                            |
#                         client2 (the kernel)
#
# The same seeded steps run on web1 and on client2, each with a peer on client1; what they print must be the same.
# TWINS="FIRST COUNT SECONDS" runs other seeds; `make soak` takes more of them.
# tests/lab/twins/README says what to do about a difference.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
here_lab=$(cd "$(dirname "$0")" && pwd)
. "$here_lab/lib.sh"
lab_begin twins
need python3
twin=$top_builddir/tests/lab/twins/twin
[ -x "$twin" ] || skip_all "$twin is not built"
some='1 90 12'
[ -z "${NPP_SOAK:-}" ] || some="1 1000 120"
read -r first count seconds <<<"${TWINS:-$some}"

# One that dies in its first case and never again.
dies='while read -r _; do echo "${died-the program died: b}"; died=nothing; echo end; done'
not_ok 'a program that dies once is a difference' python3 "$here_lab/twins.py" 1 2 60 60 \
  sh -c 'while read -r _; do echo nothing; echo end; done' vs sh -c "$dies"

sed 's/^  acc1:/  client2: {kind: client, networks: {lan: 10.1.0.12}}\n&/' "$topologies/pair.yaml" >"$work/twins.yaml"
lab_up "$work/twins.yaml" --set ipv6=yes
export TWIN_PEER4=10.1.0.10 TWIN_PEER6=fd00:0:0:1::a
# What the peer does not say at once, it says late; and whoever waits for that, waits.
dev=$(on client1 ip -o route get 10.1.0.12 | sed 's/.* dev \([^ ]*\).*/\1/')
on client1 ip route change 10.1.0.0/24 dev "$dev" proto kernel scope link src 10.1.0.10 quickack 1
on client1 ip -6 route change fd00:0:0:1::/64 dev "$dev" proto kernel metric 256 quickack 1
on client1 sysctl -qw net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
on client1 sysctl -qw net.ipv4.icmp_msgs_per_sec=1000000 2>/dev/null
start peer client1 "$twin" peer "$work/peer"
ok 'the peer is there' wait_for 10 test -S "$work/peer"

# twins NAME [FIRST COUNT STEPS SECONDS | FILE]
twins()
{
  local name=$1 said
  shift
  said=$(python3 "$here_lab/twins.py" "$@" \
    "$npplab" exec --lab "$lab" web1 -- env TWIN_ME4=10.1.0.11 TWIN_ME6=fd00:0:0:1::b "$twin" run "$work/peer" vs \
    "$npplab" exec --lab "$lab" client2 -- env TWIN_ME4=10.1.0.12 TWIN_ME6=fd00:0:0:1::c "$twin" run "$work/peer" \
    2>>"$evidence/twins.log")
  if [ $? = 0 ]; then pass "$name"; else fail "$name"; fi
  printf '%s\n' "$said" | sed 's/^[^#]/# &/'
}
twins 'cases that once were different' "$here_lab/twins/cases"
twins 'random programs' "$first" "$count" 60 "$seconds"
is 'no protocol errors' "$(iop_sum acc1 host.protocol_errors)" 0
done_testing
