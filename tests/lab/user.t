# SPDX-License-Identifier: GPL-2.0-or-later
# user.t - an ordinary user makes labs in namespaces of his own, with NPPs, too
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
need ping jq curl unshare setpriv python3 nginx
work=$(mktemp -d "${TMPDIR:-/tmp}/npp-user.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
# A test that is root becomes nobody; programs must be readable for nobody, then.
as=() tun=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
# Where users may not open the machine's own /dev/net/tun, one that they may, for this test alone.
mkdir "$work/dev"
cat >"$work/tun.sh" <<'S'
dev=$(dirname "$0")/dev
mount -t tmpfs -o mode=755 tmpfs "$dev" && mknod -m 666 "$dev/tun" c 10 200 && mount --bind "$dev/tun" /dev/net/tun && exec "$@"
S
may_open() { bash -c ': <>/dev/net/tun' 2>/dev/null; }
[ "$(id -u)" != 0 ] || "${as[@]}" bash -c ': <>/dev/net/tun' 2>/dev/null || tun=(unshare --mount sh "$work/tun.sh")
user() { "${tun[@]}" "${as[@]}" timeout $((120 * slow)) "$top_srcdir/harness/npp-lab-user" "$@" </dev/null; }
"${as[@]}" test -x "$npplab" || skip_all 'the build directory cannot be read by an ordinary user'
"${as[@]}" "$top_srcdir/harness/npp-lab-user" true 2>/dev/null || skip_all 'this system does not let users have such namespaces'

# shellcheck disable=SC2016
out=$(user sh -c '
  lab=$1 topo=$2
  "$lab" up "$topo" --name u --json &&
  "$lab" exec --lab u client1 -- ping -c1 -W5 web1 >/dev/null && echo "it answers"
  "$lab" list
  "$lab" down u && echo "it went"
  ls -A /run/netns /etc/netns | grep u- ; ls -A /run/npp 2>/dev/null | grep -v "^hugepages"' sh "$npplab" "$topologies/pair-kernel.yaml" 2>&1)
like 'up as an ordinary user' "$out" '"ok": true'
like 'its host answers its client' "$out" '^it answers$'
like 'it is listed' "$out" '^u +up'
like 'it goes down' "$out" '^it went$'
is 'and leaves nothing there' "$(sed -n '/^it went$/,$p' <<<"$out" | tail -n +2)" ''
# shellcheck disable=SC2016
user sh -c '"$1" up "$2" --name left' sh "$npplab" "$topologies/pair-kernel.yaml" >/dev/null 2>&1
is 'what was not taken down ends with the command' "$(ls -d /run/netns/left-* /run/npp/left 2>/dev/null)" ''

# ---- an NPP ----------------------------------------------------------------------------
if [ ${#tun[@]} = 0 ] && ! may_open; then
  diag 'no NPPs: /dev/net/tun cannot be opened'
  done_testing
fi
cat >"$work/in.sh" <<'S'
lab=$1 npp=$2 topo=$3
trap '"$lab" down u 2>/dev/null' EXIT
"$lab" up "$topo/pair.yaml" --name u --set 'nodes.client1.networks={lan: {address: 10.1.0.10, wire: yes}}' \
  --set "nodes.web1.start=[{name: py, command: 'exec python3 -m http.server -d $topo 80', ready: {port: 80}}]" \
  --set "nodes.client1.start=[{name: nginx, command: 'exec sh \"\$NPP_LAB_FILES/files/serve-nginx\"', ready: {port: 80}}]" || exit 1
echo "logs: $("$lab" logs --lab u acc1 | tr '\n' ' ')"
for i in 1 2 3 4 5 6 7 8; do "$lab" exec --lab u client1 -- curl -s -m 10 http://web1/pair.yaml | cmp - "$topo/pair.yaml" && echo same; done
echo "nginx: $("$lab" exec --lab u web1 -- curl -s -m 10 -o /dev/null -w '%{http_code}' http://client1/)"
"$lab" exec --lab u web1 -- curl -s -m 10 -o /dev/null http://10.1.0.10:81/; echo "refused: $?"
echo "caps: $(for p in $(pgrep -f '^npp-(ism|dispatch|osm)'); do grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/$p/status; done | awk '{print $1 $2}' | sort -u | tr '\n' ' ')"
echo "restart: $("$npp" restart ism 2 u/acc1)"
"$lab" exec --lab u client1 -- curl -s -m 10 http://web1/pair.yaml | cmp - "$topo/pair.yaml" && echo 'same again'
"$lab" impair --lab u client1 delay=1ms && echo impaired
"$lab" fault --lab u memory web1 gone && "$lab" fault --lab u hugepages gone && "$lab" fault --lab u hugepages back &&
  "$lab" exec --lab u client1 -- curl -s -m 10 http://web1/pair.yaml | cmp - "$topo/pair.yaml" && echo 'served without memory'
echo "ready: $("$npp" stat --json u/acc1 | jq -c '[.processes[].up] | all')"
"$lab" down u && echo 'it went'
"$lab" up "$topo/pair.yaml" --name k --set nodes.acc1.engine=kernel
S
out=$(user sh "$work/in.sh" "$npplab" "$npp" "$topologies" 2>&1)
[ -z "${SHOW:-}" ] || diag "$out"
is 'unmodified programs on an NPP, without root' "$(grep -c '^same$' <<<"$out")" 8
like 'that uids do not keep them apart is said' "$out" 'logs: .*there is no uid [0-9]+ in this user namespace'
like 'that hugepages cannot be had, too' "$out" "logs: .*(cannot raise the system's number of hugepages|hugepages)"
like 'connections go out' "$out" '^refused: 7$'
like 'nginx of the shipped topologies runs where there is one uid' "$out" '^nginx: 200$'
like 'its processes have no capabilities and a filter' "$out" \
  "^caps: CapBnd:0000000000000000 CapEff:0000000000000000 NoNewPrivs:1 Seccomp:$($sanitized && echo 0 || echo 2) *$"
like 'a process is replaced' "$out" '^restart: u/acc1: ism 2: pid [0-9]+ took over'
like 'and serves on' "$out" '^same again$'
like 'a wire works' "$out" '^impaired$'
like 'memory of a host can be taken, and hugepages' "$out" '^served without memory$'
like 'all live' "$out" '^ready: true$'
like 'it goes down' "$out" '^it went$'
like 'what needs root itself is refused with its reason' "$out" "'engine: process' does"
if [ ${#tun[@]} != 0 ]; then
  tun=()
  like 'so is a machine that keeps /dev/net/tun to itself' "$(user "$npplab" up "$topologies/pair.yaml" --name u 2>&1)" \
    '/dev/net/tun: Permission denied .others than root can have NPPs where its mode is 0666'
fi
mkdir "$work/run"
chmod 777 "$work/run"
[ ${#as[@]} = 0 ] || like 'nppd says that it is not root' \
  "$(printf 'npp: {name: a, addresses: [10.1.0.1/24]}\n' >"$work/a.yaml"; chmod 644 "$work/a.yaml"
     "${as[@]}" timeout 20 "$top_builddir/nppd/nppd" --rundir "$work/run" "$work/a.yaml" 2>&1)" 'started without being root'
done_testing
