# SPDX-License-Identifier: GPL-2.0-or-later
# topology-errors.t - npp-lab check names file, line and key of everything that is wrong
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/npp-topo.XXXXXX")
trap 'rm -rf "$work"' EXIT

# check NAME REGEX < FILE
check()
{
  local out
  cat >"$work/t.yaml"
  out=$("$npplab" check "$work/t.yaml" 2>&1) && { fail "$1" "accepted"; return; }
  like "$1" "$out" "$2"
}

for f in "$topologies"/*.yaml; do ok "$(basename "$f") is right" "$npplab" check "$f"; done

check 'unknown network' "t.yaml:5: .*nodes.c.networks.lam.*there is no network 'lam' \(did you mean 'lan'" <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  b: {kind: client, networks: {lan: 10.0.0.2}}
  c: {kind: client, networks: {lam: 10.0.0.3}}
Y
check 'address outside the subnet' 't.yaml:4: .*nodes.b.networks.lan.*10.9.0.2 lies outside' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  b: {kind: client, networks: {lan: 10.9.0.2}}
Y
check 'address given twice' "t.yaml:5: .*nodes.c.networks.lan.*10.0.0.2 is node 'b' already" <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  b: {kind: client, networks: {lan: 10.0.0.2}}
  c: {kind: client, networks: {lan: 10.0.0.2}}
Y
is 'and reported once' "$("$npplab" check "$work/t.yaml" 2>&1 | grep -c t.yaml)" 1
check 'broadcast address' 't.yaml:4: .*broadcast' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  b: {kind: client, networks: {lan: 10.0.0.255}}
Y
check 'a weight for a host of another NPP' "t.yaml:4: .*nodes.acc.hosts.b.*'b' is no host of this NPP" <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, networks: lan, hosts: {a: 2, b: 1}}
  a: {kind: host, stack: npp, npps: [acc]}
Y
check 'a weight that is none' 't.yaml:4: .*nodes.acc.hosts.a.*a weight is a number from 0 to 100' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, networks: lan, hosts: {a: much}}
  a: {kind: host, stack: npp, npps: [acc]}
Y
check 'an option of an NPP that is none' "t.yaml:4: .*nodes.acc.options.konnections.*not known" <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, networks: lan, options: {konnections: 5}}
Y
check 'one with a value that it cannot have' "t.yaml:4: .*nodes.acc.options.tcp.ecn.*'maybe' is not one of passive, off, on" <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, networks: lan, options: {tcp: {ecn: maybe}}}
Y
check 'a hash that cannot name all IOPs' 't.yaml:4: .*nodes.acc.options.dispatch.*1 bits of select cannot name 4 IOPs' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, networks: lan, options: {dispatch: {select: {bits: 1}}}}
Y
check 'what follows from the topology is no option' 't.yaml:4: .*nodes.acc.options.iops.*not known' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, networks: lan, options: {iops: 2}}
Y
check 'memory that does not hold the sockets of a host' 't.yaml:5: .*nodes.a.memory.*16 MB is too little for 1000000 sockets' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, networks: lan}
  a: {kind: host, stack: npp, npps: [acc], memory: 16M, options: {sockets: 1000000}}
Y
check 'a client with hosts' 't.yaml:4: .*nodes.c.policy.*only an NPP has hosts' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  c: {kind: client, networks: lan, policy: standby}
Y
check 'NPP without a host' 't.yaml:4: .*nodes.acc.*NPP without a host' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, iops: 4, networks: {lan: 10.0.0.2}}
Y
check 'host on an NPP that is not there' "t.yaml:4: .*nodes.w.npps.*there is no node 'acc'" <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  w: {kind: host, stack: npp, npps: [acc]}
  c: {kind: client, networks: {lan: }}
Y
check 'no processors' 't.yaml:4: .*nodes.acc.iops.*0' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  acc: {kind: npp, iops: 0, networks: {lan: 10.0.0.2}}
  w: {kind: host, stack: npp, npps: [acc]}
Y
check 'name too long for a link' 't.yaml:4: .*a-name-of-17-char' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  a-name-of-17-char: {kind: client, networks: {lan: }}
Y
check 'unknown kind' 't.yaml:4: .*nodes.b.kind' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  b: {kind: server, networks: {lan: }}
Y
check 'unknown key' 't.yaml:4: .*iop' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  b: {kind: npp, iop: 4, networks: {lan: }}
Y
check 'gateway on no network of the node' 't.yaml:4: .*nodes.b.gateway.*10.1.0.1 lies on none' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  b: {kind: client, networks: {lan: }, gateway: 10.1.0.1}
Y
check 'a name that the kernel keeps for itself' "t.yaml:4: .*nodes.default.*means every link" <<'Y'
networks:
  a: {subnet: 10.0.0.0/24}
nodes:
  default: {kind: client, networks: a}
Y
check 'a name that is an address' "t.yaml:4: .*nodes.10.1.*would be taken for an address" <<'Y'
networks:
  a: {subnet: 10.0.0.0/24}
nodes:
  10.1: {kind: client, networks: a}
Y
check 'a name that everybody has' "t.yaml:4: .*nodes.localhost.*none can have" <<'Y'
networks:
  a: {subnet: 10.0.0.0/24}
nodes:
  localhost: {kind: client, networks: a}
Y
check 'IPv6 subnets that overlap' "t.yaml:3: .*networks.b.subnet6.*overlaps that of network 'a'" <<'Y'
networks:
  a: {subnet: 10.0.0.0/24, subnet6: 'fd00:7::/48'}
  b: {subnet: 10.0.1.0/24, subnet6: 'fd00:7:0:1::/64'}
nodes:
  c: {kind: client, networks: a}
Y
check 'one that another network would get' "t.yaml:4: .*networks.b.subnet6.*overlaps that of network 'a'" <<'Y'
ipv6: yes
networks:
  a: {subnet: 10.0.0.0/24}
  b: {subnet: 10.0.1.0/24, subnet6: 'fd00:0:0:1::/64'}
nodes:
  c: {kind: client, networks: a}
Y
check 'an IPv6 subnet under the key of IPv4' "t.yaml:2: .*networks.a.subnet.*is IPv6: that is key 'subnet6'" <<'Y'
networks:
  a: {subnet: 'fd00:7::/64'}
nodes:
  c: {kind: client, networks: a}
Y
check 'IPv4 on a network without it' "t.yaml:4: .*nodes.c.networks.a.*10.0.0.1 is IPv4, and network 'a' has no 'subnet'" <<'Y'
networks:
  a: {subnet6: 'fd00:7::/64'}
nodes:
  c: {kind: client, networks: {a: 10.0.0.1}}
Y
check 'a subnet of group addresses' 't.yaml:2: .*networks.a.subnet.*224.0.0.0/8 has no addresses for nodes' <<'Y'
networks:
  a: {subnet: 224.0.0.0/8}
nodes:
  c: {kind: client, networks: a}
Y
check 'an IPv6 address twice' "t.yaml:5: .*nodes.d.networks.a.*fd00:7::b is node 'c' already" <<'Y'
networks:
  a: {subnet: 10.0.0.0/24, subnet6: 'fd00:7::/64'}
nodes:
  c: {kind: client, networks: {a: 10.0.0.11}}
  d: {kind: client, networks: {a: {address6: 'fd00:7::b'}}}
Y
check 'subnets that overlap' "t.yaml:3: .*networks.b.subnet.*overlaps that of network 'a'" <<'Y'
networks:
  a: {subnet: 10.0.0.0/16}
  b: {subnet: 10.0.3.0/24}
nodes:
  c: {kind: client, networks: {a: }}
Y
check 'a network full' 't.yaml:6: .*no address is left' <<'Y'
networks:
  lan: {subnet: 10.0.0.0/30}
nodes:
  a: {kind: client, networks: {lan: }}
  b: {kind: client, networks: {lan: }}
  c: {kind: client, networks: {lan: }}
Y
check 'no YAML' 't.yaml:' <<'Y'
networks: {lan: [
Y
printf 'networks:\n\tlan: {subnet: 10.0.0.0/24}\n' >"$work/tab"
check 'a tab' 't.yaml:2: not YAML: .*a tab: YAML is indented with blanks' <"$work/tab"
check 'an NPP with five networks' 't.yaml:8: .*nodes.acc.networks.*at most 4 ports' <<'Y'
networks:
  a: {subnet: 10.0.0.0/24}
  b: {subnet: 10.0.1.0/24}
  c: {subnet: 10.0.2.0/24}
  d: {subnet: 10.0.3.0/24}
  e: {subnet: 10.0.4.0/24}
nodes:
  acc: {kind: npp, networks: [a, b, c, d, e]}
  web: {kind: host, stack: npp, npps: [acc]}
Y
check 'addresses of a node that is no NPP' "t.yaml:4: .*nodes.c1.addresses.*only an NPP" <<'Y'
networks:
  a: {subnet: 10.0.0.0/24}
nodes:
  c1: {kind: client, networks: [a], addresses: [10.9.0.1]}
Y
check 'an address of two NPPs' "t.yaml:7: .*nodes.acc2.addresses.*10.9.0.1 is node 'acc1' already" <<'Y'
networks:
  a: {subnet: 10.0.0.0/24}
nodes:
  web1: {kind: host, stack: npp, npps: [acc1]}
  web2: {kind: host, stack: npp, npps: [acc2]}
  acc1: {kind: npp, networks: [a], addresses: [10.9.0.1]}
  acc2: {kind: npp, networks: [a], addresses: [10.9.0.1]}
Y

check 'switches in a circle' 't.yaml:7: .*nodes.t.networks.b.*frames would go in circles' <<'Y'
networks:
  a: {subnet: 10.0.0.0/24}
  b: {}
nodes:
  c: {kind: client, networks: [a]}
  s: {kind: switch, networks: [a, b]}
  t: {kind: switch, networks: {a: , b: }}
Y
check 'a network without a subnet' 't.yaml:3: .*networks.b.subnet.*is missing' <<'Y'
networks:
  a: {subnet: 10.0.0.0/24}
  b: {}
nodes:
  c: {kind: client, networks: [a]}
Y

cat >"$work/many.yaml" <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  a: {kind: client, networks: {lan: 10.9.0.1}}
  b: {kind: client, networks: {lam: }}
  c: {kind: router, iops: 3, networks: {lan: }}
Y
out=$("$npplab" check "$work/many.yaml" 2>&1)
is 'all errors at once' "$(grep -c 'many.yaml:[456]:' <<<"$out")" 3

# Values that make no sense do not keep other errors back, and what only follows from them is no error:
# acc1 has a host if web1's stack is npp, far a subnet if sw is a switch.
cat >"$work/all.yaml" <<'Y'
ipv6: perhaps
networks:
  lan: {subnet: 10.0.0.0/33}
  dmz: {subent: 10.1.0.0/24}
  isp: {subnet: 10.2.0.0/24, mtu: 5}
  far: {}
nodes:
  c1: {kind: cleint, networks: lan}
  c2: {knid: client, networks: [isp]}
  c3: {kind: client, networks: {isp: {address: 10.2.0.300}}}
  c4: {kind: client, networks: {isp: 10.9.0.1, lan: , lam: , dmz: {address6: 'fd00::1'}}, gateway: 10.8.0.1}
  c5: {kind: client, netwroks: isp}
  sw: {kind: swich, networks: [isp, far]}
  r1: {kind: router, networks: [lan, isp], routes: [{to: 10.50.0.0/16, via: nowhere}]}
  acc1: {kind: npp, iops: many, networks: isp, addresses: [10.6.0.1, x], hosts: {web1: 2, web9: 1}}
  acc2: {kind: npp, networks: isp}
  web1: {kind: host, stack: nqp, npps: [acc1]}
  web2: {kind: host, stack: npp, npps: [acc4, c1], start: [{name: x}, {command: y, ready: {port: 70000}}]}
  web3: {kind: host, networks: isp, memory: 1G, start: [{command: y}, {command: y}]}
  web4: {kind: client, networks: isp, gateway: 10.8.0.1}
Y
out=$("$npplab" check "$work/all.yaml" 2>&1)
is 'all that can be told is told at once, by line, and nothing that follows from it' \
  "$(sed "s/^[^:]*:\([0-9]*\): key '\([^']*\)'.*/\1 \2/" <<<"$out")" '1 ipv6
3 networks.lan.subnet
4 networks.dmz.subent
5 networks.isp.mtu
8 nodes.c1.kind
9 nodes.c2.knid
10 nodes.c3.networks.isp.address
11 nodes.c4.networks.lam
11 nodes.c4.networks.isp
12 nodes.c5.netwroks
13 nodes.sw.kind
14 nodes.r1.routes[0].via
15 nodes.acc1.iops
15 nodes.acc1.addresses[1]
15 nodes.acc1.hosts.web9
17 nodes.web1.stack
18 nodes.web2.start[0].command
18 nodes.web2.start[1].ready.port
18 nodes.web2.npps[0]
19 nodes.web3.start[1]
19 nodes.web3.memory
20 nodes.web4.gateway'
check 'nodes without networks' "t.yaml:1: .*'networks': is missing" <<'Y'
nodes:
  c: {kind: client, networks: lan}
Y
is 'is one error' "$("$npplab" check "$work/t.yaml" 2>&1 | grep -c .)" 1
check 'what stands here twice is not all' "t.yaml:5: .*there is no network 'lam'" <<'Y'
networks:
  lan: {subnet: 10.0.0.0/24}
nodes:
  c: {kind: client, kind: client, networks: lan}
  d: {kind: client, networks: lam}
Y
is 'is told as well' "$("$npplab" check "$work/t.yaml" 2>&1 | grep -c .)" 2
prog=$(readlink -f "$npplab")
ok 'a topology that comes with npp is found by its name' env -C "$work" "$prog" check pair
ok 'so is a scenario' env -C "$work" "$prog" check isp-loss
like 'and a name that none has is told' "$(env -C "$work" "$prog" check pear 2>&1)" "no topology 'pear' comes with npp"

like 'an override is checked as well' \
  "$("$npplab" check "$topologies/pair.yaml" --set nodes.acc1.iops=33 2>&1)" 'nodes.acc1.iops.*33'
like 'with the line of what it replaces' \
  "$("$npplab" check "$topologies/pair.yaml" --set 'nodes.client1.networks={lan: {wire: {los: 1%}}}' 2>&1)" \
  "pair.yaml:$(grep -n '^ *client1:' "$topologies/pair.yaml" | cut -d: -f1): .*nodes.client1.networks.lan.wire.los"
like 'an override of a node that is not there' \
  "$("$npplab" check "$topologies/pair.yaml" --set nodes.acc9.iops=3 2>&1)" "no map 'nodes.acc9'"
like 'a topology from standard input' "$("$npplab" check - <"$topologies/pair.yaml" 2>&1)" "lab 'pair', 1 network, 3 nodes"
like 'which needs a name' "$(sed '/^name:/d' "$topologies/pair.yaml" | "$npplab" check - 2>&1)" "needs a name: key 'name', or --name"
ok 'a good override' "$npplab" check "$topologies/pair.yaml" --set nodes.acc1.iops=2 --set 'nodes.client1.networks={lan: 10.1.0.7}'
done_testing
