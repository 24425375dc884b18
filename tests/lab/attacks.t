# SPDX-License-Identifier: GPL-2.0-or-later
# attacks.t - floods, holes, lies: what each costs, and that others are served meanwhile
#
#   client1 10.1.0.10 ----- lan 10.1.0.0/16, fd00:0:0:1::/64 ----- 10.1.0.11 acc1 (2 IOPs) == web1
#   evil    10.1.0.66 ------'                                      nginx, 612 bytes and 1 MB
#
# evil speaks Ethernet by hand (progs/flood.c). During each attack client1 asks for 200 pages a
# second, a connection each, in an open loop: none may fail. doc/attacks.md has the bounds.
# NPP_SOAK=1: all of them, ten seconds each (SECONDS_EACH), 100000 packets a second (RATE), and nine in ten
# requests must be served. ATTACKS='syn frag': only these.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin attacks
need nginx jq ping python3
load=$top_builddir/harness/load/npp-load
flood=$top_builddir/tests/lab/progs/flood
[ -x "$flood" ] || skip_all "needs $flood (make check builds it)"
seconds=0.6 rate=15000 long=false
[ -z "${NPP_SOAK:-}" ] || { seconds=${SECONDS_EACH:-10} rate=${RATE:-100000} long=true; }

cat >"$work/lab.yaml" <<'Y'
name: attacks
ipv6: yes
networks:
  lan: {subnet: 10.1.0.0/16}
nodes:
  client1: {kind: client, networks: {lan: 10.1.0.10}}
  evil:    {kind: client, networks: {lan: 10.1.0.66}}
  acc1:    {kind: npp, iops: 2, networks: {lan: 10.1.0.11}, gateway: 10.1.0.66}
  web1:    {kind: host, stack: npp, npps: [acc1]}
Y
lab_up "$work/lab.yaml"
nginx_start web1
head -c 1000000 /dev/urandom >"$work/nginx-web1/www/big"
chmod 644 "$work/nginx-web1/www/big"
ok 'nginx listens' wait_for 15 listening web1 80
state=$("$npplab" status "$lab" --json)
mac=$(jq -r '.nodes[] | select(.name == "acc1").networks[0].mac' <<<"$state")
us6=$(jq -r '.nodes[] | select(.name == "acc1").networks[0].address6' <<<"$state") us6=${us6%/*}

# ---- what it costs -----------------------------------------------------------------------

pids=$(npp_do stat acc1 --json | jq -r '[.. | objects | select(.role? and .pid?).pid] | unique | join(" ")')
# Nanoseconds that the processes of acc1 have run.
cpu()
{
  local p ns sum=0
  for p in $pids; do
    read -r ns _ <"/proc/$p/schedstat" && sum=$((sum + ns))
  done
  echo $sum
}
counters() { npp_do stat acc1 --json | jq -c "[$iops_filter"'.counters] | map(to_entries) | add
  | group_by(.key) | map({key: .[0].key, value: map(.value) | add}) | from_entries'; }
now_ms() { date +%s%3N; }
num() { jq -r "$1 // 0" <<<"$2" | cut -d. -f1; }

legit() # NAME
{
  on client1 "$load" -q -j -c 16 -k -r 200 -d "$seconds" -t $((5000 * slow)) http://10.1.0.11/index.html >"$evidence/legit-$1" 2>&1
}

# Frames that the dispatcher has read from the queue of strangers, where eBPF is permitted.
aside() { npp_do stat acc1 --json | jq '[.. | objects | select(.role? == "dispatch").counters["rx.aside"]] | add'; }
permitted=true
case $("$top_builddir/tests/unit/nppd/test_steer" 2>&1 </dev/null | head -n 1) in *SKIP*) permitted=false ;; esac

# What the same requests cost in peace.
before=$(cpu)
legit peace
peace=$(($(cpu) - before))
is 'in peace nothing fails' "$(jq .errors_total "$evidence/legit-peace")" 0
wanted=$(jq .requests "$evidence/legit-peace")

# attack NAME OPTION...: sets before, after (counters), packets, cost (ns per packet), served
# (percent); and the check on `ns` and `keep`, the bounds, if not 0.
attack()
{
  local name=$1 begin wall report errors lat
  shift
  before=$(counters)
  begin=$(cpu) wall=$(now_ms)
  legit "$name" &
  local legit_pid=$!
  on evil "$flood" -i lan -m "$mac" -r "$rate" -d "$seconds" "$@" >"$evidence/flood-$name" 2>&1
  wait $legit_pid
  cost=$(($(cpu) - begin - peace)) wall=$(($(now_ms) - wall))
  after=$(counters)
  report=$(tail -n1 "$evidence/flood-$name")
  packets=$(num .packets "$report") errors=$(num .errors_total "$(cat "$evidence/legit-$name")")
  lat=$(jq -r '.latency.p99_us / 1000 | . * 10 | round / 10' "$evidence/legit-$name")
  served=$(($(num .requests "$(cat "$evidence/legit-$name")") * 100 / (wanted > 0 ? wanted : 1)))
  diag "$name: $packets packets, $(num .pps "$report") /s, $((cost / (packets > 0 ? packets : 1))) ns of CPU each," \
    "$((cost / 10000 / (wall > 0 ? wall : 1))) % of a core; requests served $served %, failed $errors, p99 $lat ms"
  diag "  $(jq -rn --argjson a "$after" --argjson b "$before" '[$a | to_entries[] | .value -= ($b[.key] // 0)
    | select(.value != 0 and (.key | test("^drop|cookies|challenge|half_open|conns|rings|time_wait|recycled|rst_|echo_r|icmp.out|conflicts|probes|reass|syn_held|syn_share|retrans|mem[.]"))) | "\(.key) \(.value)"] | join(", ")')"
  cost=$((cost / (packets > 0 ? packets : 1)))
  cmp_num "$name: it was one" "$packets" -gt 20
  if $long; then
    cmp_num "$name: 90 % of the requests are served" "$served" -ge 90
    cmp_num "$name: less than 1 % fails" "$((errors * 100))" -le "$wanted"
  else
    is "$name: no request fails" "$errors" 0
  fi
  # Fewer do not pay for what it costs that time passes.
  $sanitized || [ "$packets" -lt 1000 ] || cmp_num "$name: at most ${ns:-20000} ns of CPU for a packet" "$cost" -le "${ns:-20000}"
}
grew() { echo $(($(num ".\"$1\"" "$after") - $(num ".\"$1\"" "$before"))); }
gauge() { num ".\"$1\"" "$after"; }
todo_attack() { [ -z "${ATTACKS:-}" ] || [[ " $ATTACKS " = *" $1 "* ]]; }

on_link=(-t 10.1.0.11 -s 10.1.128.0 -k 30000)
far=(-t 10.1.0.11 -s 172.16.0.0 -k 1000000)
six=(-t "$us6" -s fd00:0:0:1::1:0 -k 1000000)

# What two IOPs answer without a connection, at 10000 a second and 2000 at once, in the time of an attack and a bit.
answers=$((2 * (2000 + 10000 * (${seconds%.*} + 3))))

# ---- SYN ------------------------------------------------------------------------------------

if todo_attack syn; then
  # One sender cannot have more than its share: others need no cookies.
  attack syn-one -t 10.1.0.11 -s 172.31.5.0 -k 200 syn
  cmp_num 'syn-one: its share is what it gets' "$(grew tcp.syn_share)" -gt 0
  is 'syn-one: nobody else needs a cookie' "$(grew tcp.cookies_ok)" 0
  strangers=$(aside)
  attack syn "${far[@]}" syn
  ! $permitted || cmp_num 'syn: who has no connection is put aside' "$(aside)" -gt $((strangers + 20))
  strangers=$(aside)
  legit regular
  is 'who had one lately is not' "$(aside)" "$strangers"
  cmp_num 'syn: cookies were sent' "$(grew tcp.cookies_out)" -gt 0
  cmp_num 'syn: the SYN cache keeps its bound' "$(gauge tcp.half_open)" -le 8192
  attack syn-on-link "${on_link[@]}" syn
  cmp_num 'syn-on-link: frames that wait for neighbours are bounded' "$(grew drop.neigh_queue)" -gt 0
  ! $long || attack syn-closed "${far[@]}" -p 81 syn
  ! $long || attack syn6 "${six[@]}" syn
  attack ack "${far[@]}" ack
  cmp_num 'ack: resets are limited' "$(grew tcp.rst_out)" -le "$answers"
fi

# ---- into a connection of others ------------------------------------------------------------

blind() # NAME TIMESTAMPS
{
  local live port
  ip netns exec "$lab-client1" sysctl -qw net.ipv4.tcp_timestamps="$2"
  start "live-$1" client1 "$load" -q -j -c 1 -r 100 -d 600 -b 100 echo 10.1.0.11 7001
  live=$started
  wait_for 10 connected
  port=$(connected)
  ip netns exec "$lab-client1" sysctl -qw net.ipv4.tcp_timestamps=1
  attack "$1" -t 10.1.0.11 -p 7001 -v 10.1.0.10 -V "$port" blind
  cmp_num "$1: challenge ACKs are rationed" "$(grew tcp.challenge_ack)" -le $((6 + 3 * ${seconds%.*}))
  is "$1: the connection lives" "$(connected)" "$port"
  stop "$live" INT
  is "$1: and every byte of it was right" "$(jq .errors_total "$evidence/live-$1.log")" 0
}
connected() { ip netns exec "$lab-client1" ss -Htn state established 'dport = :7001' | awk '{print $3}' | sed 's/.*://' | grep .; }
if todo_attack blind; then
  start live web1 "$load" serve -p 7001 echo
  live_server=$started
  wait_for 10 listening web1 7001
  blind blind-ts 1
  blind blind 0
  cmp_num 'blind: a challenge was sent' "$(grew tcp.challenge_ack)" -gt 0
  stop "$live_server"
fi

# ---- fragments, ICMP, neighbours ----------------------------------------------------------------

received() { sed -n 's/.*, \([0-9]*\) received.*/\1/p'; }
pings() { on client1 ping "$@" -c 10 -i 0.06 -W 1 -q 2>/dev/null | received; }
if todo_attack frag; then
  for f in frag overlap; do
    pings -s 4000 10.1.0.11 >"$work/pings" &
    pinging=$!
    attack $f "${far[@]}" $f
    wait $pinging
    cmp_num "$f: whole datagrams in fragments come through" "$(cat "$work/pings")" -ge 7
    $long || [ $f = frag ] || continue
    pings -s 4000 "$us6" >"$work/pings" &
    pinging=$!
    attack ${f}6 "${six[@]}" $f
    wait $pinging
    cmp_num "${f}6: whole datagrams in fragments come through" "$(cat "$work/pings")" -ge 7
  done
fi
if todo_attack icmp; then
  attack echo "${far[@]}" echo
  cmp_num 'echo: answers are limited' "$(grew icmp.echo_replies)" -le "$answers"
  ! $long || attack unreach "${on_link[@]}" unreach
  attack toobig "${on_link[@]}" toobig
  attack toobig6 "${six[@]}" toobig
fi
if todo_attack neigh; then
  attack arp "${on_link[@]}" arp
  attack nd "${six[@]}" nd
  is 'nd: the neighbour that is in use stays' "$(ping_all 10 client1 -W$patience -q "$us6" | received)" 10
fi

# ---- from within connections ---------------------------------------------------------------------

inside=(-t 10.1.0.11 -s 10.1.200.0 -k 200)
within() # NAME CONNECTIONS OPTION...
{
  local name=$1 conns=$2
  shift 2
  # The handshakes are part of it, so that a packet costs more; it pays for these.
  inside[3]=10.1.$((200 + ${#tried[@]})).0
  tried+=("$name")
  ns=${ns:-60000} attack "$name" "${inside[@]}" -c "$conns" "$@" "$name"
  cmp_num "$name: connections were made" "$(num .opened "$(tail -n1 "$evidence/flood-$name")")" -ge $((conns * 8 / 10))
}
tried=()
if todo_attack inside; then
  within idle 800
  within gap 300
  cmp_num 'gap: memory for rings is bounded' "$(gauge mem.rings)" -le $((256 << 20))
  within ooo 20
  within sack 20 -u /big
  within zero 200 -u /big
  ! $long || within tinymss 10 -u /big
  within storm 10
  within fin2 200
  cmp_num 'fin2: records of 104 bytes wait' "$(gauge tcp.time_wait)" -ge 100
  within orphan 200
  ! $long || within tw 300
fi

# ---- more who hold than there is memory for ----------------------------------------------------------

# hold NAME SOURCES: 4000 connections that ask for 1 MB and take nothing of it; together they would have
# all memory for rings several times over.
hold()
{
  local seconds=$((6 * slow)) rate=15000 wanted=$((wanted * 10)) name=$1 sources=$2 ended
  $long && seconds=$((seconds < 10 ? 10 : seconds))
  wanted=$((200 * seconds))
  ns=300000 attack "$name" -t 10.1.0.11 -s "10.1.$((210 + ${#tried[@]})).0" -k "$sources" -c 4000 -u /big zero
  tried+=("$name" "$name" "$name" "$name")
  cmp_num "$name: connections were made" "$(num .opened "$(tail -n1 "$evidence/flood-$name")")" -ge 3000
  ended=$(($(grew mem.ended) + $(grew mem.refused)))
  cmp_num "$name: memory was short, and some were refused or ended" "$ended" -gt 0
  cmp_num "$name: the client is served" "$served" -ge 90
  diag "$name: $(grew mem.refused) refused, $(grew mem.ended) ended, $(grew mem.shrunk) shrunk, rings $(($(gauge mem.rings) >> 10)) KB"
}
if todo_attack hold; then
  hold hold 200
  hold hold-prefixes 800
fi

# ---- a program that never accepts, and its peers that send all the same ----------------------------------

if todo_attack backlog; then
  after=$(counters)
  pressure=$(gauge mem.pressure) # tight it may be still, from the attack before
  so_far=$(gauge mem.backlog_refused) # by the attack before
  start never web1 python3 "$here/greedy.py" never
  never=$started
  wait_for 15 listening web1 9001
  start stuff client1 python3 "$here/greedy.py" stuff 10.1.0.11 2000
  refused() { after=$(counters); [ $(($(gauge mem.backlog_refused) - so_far)) -ge 1000 ]; }
  ok 'backlog: its queue is full of data' wait_for 20 refused
  legit backlog
  is 'backlog: no request to another program fails' "$(jq .errors_total "$evidence/legit-backlog")" 0
  after=$(counters)
  cmp_num 'backlog: what waits has its budget' "$(gauge mem.backlog)" -le $((16 << 20))
  cmp_num 'backlog: which it uses' "$(gauge mem.backlog)" -ge $((1 << 20))
  cmp_num 'backlog: memory is no shorter than it was' "$(gauge mem.pressure)" -le "$pressure"
  stop "$started"
  stop "$never"
fi

st=$("$npplab" status "$lab" --json)
is 'no process of npp has died' "$(jq -r '[.nodes[].state] | unique | join(" ")' <<<"$st")" up
is 'nor was replaced' "$(npp_do stat acc1 --json | jq -r '[.. | objects | select(.role? and .pid?).pid] | unique | join(" ")')" "$pids"
legit after
is 'in peace again nothing fails' "$(jq .errors_total "$evidence/legit-after")" 0
# Tight it may be for as long as what the attackers left unacknowledged may wait for them.
rested() { [ "$(iop_counters acc1 mem.pressure | sort -n | tail -n1)" -le 1 ]; }
ok 'memory is not short any more' wait_for 60 rested
done_testing
