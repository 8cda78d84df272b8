#!/bin/bash
# etcd grpc-proxy v3.7.3: a serializable read through the proxy, as of "who leads?" where a late answer would do.
# Guess: the answer is late by what a member or a cache lags, so a leader's key is gone soon after its lease ended.
# Behaviour: the proxy keeps the answer of every range it has served, also of linearizable ones, and hands it to later
#   serializable reads of the same range. Only writes through this same proxy drop it. An expired lease, or a write past
#   the proxy, never does: the dead leader stays, until somebody reads the same range linearizably.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "$(jobs -p)" ] || { kill $(jobs -p); wait || true; }; rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
require (
	go.etcd.io/etcd/etcdctl/v3 v3.7.3
	go.etcd.io/etcd/server/v3 v3.7.3
)
tool (
	go.etcd.io/etcd/etcdctl/v3
	go.etcd.io/etcd/server/v3
)
EOF
go mod tidy 2>/dev/null
go build -trimpath -o etcd go.etcd.io/etcd/server/v3
go build -trimpath -o etcdctl go.etcd.io/etcd/etcdctl/v3
read -r client peer proxy < <(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*("127.0.0.1:%d" % x.getsockname()[1] for x in s))')
./etcd --version | sed -n 1p
./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
  --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
  --initial-cluster "default=http://$peer" >log 2>&1 &
./etcd grpc-proxy start --endpoints "http://$client" --listen-addr "$proxy" >proxy-log 2>&1 &
direct() { ./etcdctl --endpoints "$client" "$@"; }
proxied() { ./etcdctl --endpoints "$proxy" "$@"; }
for _ in $(seq 100); do proxied get ready >/dev/null 2>&1 && break; sleep 0.2; done

lease=$(direct lease grant 2 | cut -d' ' -f2)
direct put --lease="$lease" leader first >/dev/null
echo "linearizable, by the proxy:           $(proxied get --print-value-only leader)"
sleep 5
gone=$(direct get --consistency=s --print-value-only leader)
echo "5 s later, serializable, by etcd:     ${gone:-(none)}"
direct put leader second >/dev/null
sleep 2
stale=$(proxied get --consistency=s --print-value-only leader)
echo "second leads; serializable, by proxy: $stale"
echo "              linearizable, by proxy: $(proxied get --print-value-only leader)"
fresh=$(proxied get --consistency=s --print-value-only leader)
echo "              serializable, by proxy: $fresh"
[ "$gone" = "" ] && [ "$stale" = first ] && [ "$fresh" = second ]
echo "as found: the proxy told of a leader whose lease was over, with another already leading"
