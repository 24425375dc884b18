# SPDX-License-Identifier: GPL-2.0-or-later
# fig3.t - a web site in three groups: who is let through to whom
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
lab_begin fig3
need nft haproxy nginx redis-server redis-cli curl
lab_up "$topologies/fig3.yaml"
answers() { for _ in 1 2 3 4 5 6; do on client curl -s -m $patience http://lb/ | head -n1; done | sort -u; }
both() { [ "$(answers | tr '\n' ' ')" = 'This is web1. This is web2. ' ]; }
ok 'the client gets answers of both web servers through the load balancer' wait_for 20 both
not_ok 'it does not get at a web server itself' on client curl -s -m 1 -o /dev/null http://web1/
not_ok 'nor at another port of the load balancer' on client curl -s -m 1 -o /dev/null http://lb:8080/
is 'a web server on an accelerator reaches the store' "$(on web1 timeout 10 redis-cli -h store ping 2>&1)" PONG
not_ok 'the load balancer does not' on lb timeout 1 redis-cli -h store ping
ok 'down' lab_down
is 'nothing is left' "$(leftovers "$lab")" ''
done_testing
