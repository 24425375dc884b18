# SPDX-License-Identifier: GPL-2.0-or-later
# bulk.t - 1 GB each way between a program on npp and the kernel, for N = 1, 3, 4 IOPs
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin bulk
need nc sha256sum jq

head -c "$bulk" /dev/urandom >"$work/data"
want=$(sha256sum <"$work/data")
mb=$((bulk >> 20))
limit=$((60 * slow))

for n in 1 3 4; do
  lab_up "$topologies/pair.yaml" --set "nodes.acc1.iops=$n"

  start "in-$n" web1 sh -c "nc -d -l 5001 | sha256sum >'$work/in'"
  server=$started
  ok "N=$n: nc listens" wait_for 10 listening web1 5001
  ok "N=$n: the kernel sends $mb MB" timeout $limit \
    "$npplab" exec --lab "$lab" client1 -- sh -c "nc -N web1 5001 <'$work/data'"
  wait $server
  is "N=$n: they arrive as sent" "$(cat "$work/in")" "$want"

  start "out-$n" web1 sh -c "nc -N -l 5002 <'$work/data'"
  server=$started
  ok "N=$n: nc listens again" wait_for 10 listening web1 5002
  got=$(on client1 timeout $limit sh -c 'nc -d web1 5002 | sha256sum')
  is "N=$n: npp sends $mb MB as they are" "$got" "$want"
  stop $server

  start "open-$n" client1 sh -c "nc -d -l 5003 | sha256sum >'$work/open'"
  server=$started
  ok "N=$n: nc of the client listens" wait_for 10 listening client1 5003
  ok "N=$n: a program on npp opens a connection and sends $mb MB" timeout $limit \
    "$npplab" exec --lab "$lab" web1 -- sh -c "nc -N client1 5003 <'$work/data'"
  wait $server
  is "N=$n: they arrive as sent" "$(cat "$work/open")" "$want"

  # Both ways at once, four connections each, every byte checked against its place.
  start "serve-sink-$n" web1 "$top_builddir/harness/load/npp-load" serve -p 6001 sink
  start "serve-source-$n" web1 "$top_builddir/harness/load/npp-load" serve -p 6002 source
  wait_for 10 listening web1 6001
  wait_for 10 listening web1 6002
  start "load-recv-$n" client1 timeout $limit \
    "$top_builddir/harness/load/npp-load" -q -j -c 4 -n 4 -b $((bulk / 8)) recv web1 6002
  recv=$started
  ok "N=$n: four streams in" on client1 timeout $limit \
    "$top_builddir/harness/load/npp-load" -q -j -c 4 -n 4 -b $((bulk / 8)) send web1 6001
  wait $recv
  is "N=$n: while four go out" $? 0
  lab_down
done
done_testing
