# SPDX-License-Identifier: GPL-2.0-or-later
# user.t - an ordinary user makes a lab in namespaces of his own
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
need ping jq unshare setpriv
# A test that is root becomes nobody; programs must be readable for nobody, then.
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
user() { "${as[@]}" timeout $((60 * slow)) "$top_srcdir/harness/npp-lab-user" "$@" </dev/null; }
"${as[@]}" test -x "$npplab" || skip_all 'the build directory cannot be read by an ordinary user'
user true 2>/dev/null || skip_all 'this system does not let users have such namespaces'

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
done_testing
