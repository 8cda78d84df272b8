#!/bin/bash
# kine v0.17.5 (k3s' stand-in for etcd, here on SQLite), spoken to by etcdctl v3.7.3.
# Guess: what kine does not have of etcd's leases it refuses at once, or each grant gives a lease of its own as in etcd.
# Behaviour: LeaseGrant succeeds, and the ID is the TTL: all who ask for 10 s get the same lease, so a key named after a
#   lease, or a comparison of leases, takes one candidate for another. Keep-alive, time-to-live and revoke are refused,
#   after the grant. The status says version 3.6.11, so a check of the version finds nothing.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "${kine-}" ] || { kill "$kine"; wait "$kine" || true; }; rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
tool (
	github.com/k3s-io/kine
	go.etcd.io/etcd/etcdctl/v3
)
require (
	github.com/k3s-io/kine v0.17.5
	go.etcd.io/etcd/etcdctl/v3 v3.7.3
)
EOF
go mod tidy 2>/dev/null
CGO_ENABLED=1 go build -trimpath -o kine github.com/k3s-io/kine
go build -trimpath -o etcdctl go.etcd.io/etcd/etcdctl/v3
read -r address < <(python3 -c 'import socket
with socket.create_server(("127.0.0.1", 0)) as s: print("127.0.0.1:%d" % s.getsockname()[1])')
go list -m github.com/k3s-io/kine go.etcd.io/etcd/etcdctl/v3
./kine --endpoint "sqlite://$work/db" --listen-address "http://$address" --metrics-bind-address 0 >log 2>&1 &
kine=$!
export ETCDCTL_ENDPOINTS=$address
for _ in $(seq 100); do ./etcdctl get ready >/dev/null 2>&1 && break; sleep 0.2; done

first=$(./etcdctl lease grant 10) second=$(./etcdctl lease grant 10) third=$(./etcdctl lease grant 11)
printf 'granted: %s\n' "$first" "$second" "$third"
[[ $first == "lease 000000000000000a granted"* && $second == "$first" && $third == "lease 000000000000000b granted"* ]]
for call in "keep-alive --once" timetolive revoke; do
  code=0; answer=$(./etcdctl lease $call a 2>&1) || code=$?
  echo "$call: exit code $code: $(tail -1 <<<"$answer")"
  [[ $code != 0 && $answer == *"is not supported"* ]]
done
status=$(./etcdctl endpoint status -w json)
python3 - "$status" <<'EOF'
import json, sys
status = json.loads(sys.argv[1])[0]["Status"]
print("status: version", status["version"], "cluster", status["header"].get("cluster_id", 0))
assert status["version"] == "3.6.11" and "cluster_id" not in status["header"]
EOF
echo "as found: one lease for all who ask for the same TTL"
