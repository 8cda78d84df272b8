#!/bin/bash
# etcdctl v3.7.3: "etcdctl lock NAME -- COMMAND", whose lease ends while the command runs, and which gets a TERM.
# Guess: without a command, etcdctl lock ends with "session expired" as soon as its lease is gone; so with one it stops
#   the command or at least fails. TERM, as at a pod's end, goes to the command or ends it.
# Behaviour: with a command, nobody looks at the lease. The next holder's command runs beside the first, which ends as a
#   success with exit code 0. A TERM is swallowed: the command runs to its end, and the lock is held until then.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "$(jobs -p)" ] || { kill $(jobs -p) 2>/dev/null; wait || true; }; rm -rf "$work"' EXIT
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
read -r client peer < <(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*("127.0.0.1:%d" % x.getsockname()[1] for x in s))')
./etcdctl version | sed -n 1p
./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
  --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
  --initial-cluster "default=http://$peer" >log 2>&1 &
export ETCDCTL_ENDPOINTS=$client
for _ in $(seq 100); do ./etcdctl get ready >/dev/null 2>&1 && break; sleep 0.2; done
await() { for _ in $(seq 150); do [ -e "$1" ] && return; sleep 0.1; done; echo "no $1"; return 1; }
revoke() { ./etcdctl lease list | sed 1d | while read -r lease; do ./etcdctl lease revoke "$lease" >/dev/null; done; }

./etcdctl lock name -- sh -c 'touch first-began; while [ ! -e let-go ]; do sleep 0.1; done; touch first-ended' &
first=$!
await first-began
revoke
./etcdctl lock name -- sh -c 'touch second-began; while [ ! -e let-go ]; do sleep 0.1; done' &
second=$!
await second-began
[ ! -e first-ended ] && echo "the lease is revoked: the second command runs beside the first"
touch let-go
code=0; wait "$first" || code=$?
await first-ended
echo "the first ended with exit code $code"
[ "$code" = 0 ]
wait "$second"

rm let-go
./etcdctl lock name -- sh -c 'touch third-began; while [ ! -e let-go ]; do sleep 0.1; done; touch third-ended' &
third=$!
await third-began
kill -TERM "$third"
sleep 3
kill -0 "$third" && [ ! -e third-ended ] && echo "3 s after a TERM etcdctl and its command still run"
echo "keys of the lock: $(./etcdctl get --prefix --keys-only name/ | grep -c .)"
touch let-go
code=0; wait "$third" || code=$?
echo "once the command has ended: exit code $code"
[ "$code" = 0 ]

code=0; ./etcdctl lock name >held & held=$!
for _ in $(seq 100); do [ -s held ] && break; sleep 0.1; done
revoke
wait "$held" || code=$?
echo "without a command, after the lease: exit code $code"
[ "$code" != 0 ]
echo "as found: with a command, neither the end of the lease nor a TERM is heeded"
