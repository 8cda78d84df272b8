#!/bin/bash
# etcd grpc-proxy v3.7.3: a serializable read through the proxy, as of "who leads?" where a late answer would do.
# Guess: the answer is late by what a member or a cache lags, so a leader's key is gone soon after its lease ended.
# Behaviour: the proxy keeps the answer of every range it has served, also of linearizable ones, and hands it to later
#   serializable reads of the same range. Only writes through this same proxy drop it. An expired lease, or a write past
#   the proxy, never does: the dead leader stays, until somebody reads the same range linearizably.
source "$(dirname "$0")/etcd.bash"
proxy=127.0.0.1:$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
./etcd grpc-proxy start --endpoints "http://$client" --listen-addr "$proxy" >proxy-log 2>&1 &
proxied() { ./etcdctl --endpoints "$proxy" "$@"; }
for _ in $(seq 100); do proxied get ready >/dev/null 2>&1 && break; sleep 0.2; done

lease=$(ctl lease grant 2 | cut -d' ' -f2)
ctl put --lease="$lease" leader first >/dev/null
echo "linearizable, by the proxy:           $(proxied get --print-value-only leader)"
sleep 5
gone=$(ctl get --consistency=s --print-value-only leader)
echo "5 s later, serializable, by etcd:     ${gone:-(none)}"
ctl put leader second >/dev/null
sleep 2
stale=$(proxied get --consistency=s --print-value-only leader)
echo "second leads; serializable, by proxy: $stale"
echo "              linearizable, by proxy: $(proxied get --print-value-only leader)"
fresh=$(proxied get --consistency=s --print-value-only leader)
echo "              serializable, by proxy: $fresh"
[ "$gone" = "" ] && [ "$stale" = first ] && [ "$fresh" = second ]
echo "as found: the proxy told of a leader whose lease was over, with another already leading"
