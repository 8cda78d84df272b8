#!/bin/bash
# etcdctl lock NAME COMMAND v3.7.3, when the lease of its lock ends while the command runs.
# Guess: as without a command, etcdctl notices ("session expired"); it stops the command, or its exit code tells of it.
# Behaviour: nobody watches the session while a command runs. The command works on beside that of the next holder, and
#   the exit code is the command's own, 0.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "$(jobs -p)" ] || { kill $(jobs -p) 2>/dev/null; wait || true; }; rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'GO'
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
GO
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
ctl() { ./etcdctl --endpoints "$client" "$@"; }
for _ in $(seq 100); do ctl get ready >/dev/null 2>&1 && break; sleep 0.2; done
ctl lock --ttl 5 name -- bash -c 'for _ in $(seq 20); do date +%s.%N; sleep 0.5; done' >first 2>errors &
first=$!
until [ -s first ]; do sleep 0.1; done
key=$(ctl get --prefix name/ --keys-only | head -1)
ctl lease revoke "${key##*/}"
began=$(ctl lock --ttl 5 name -- date +%s.%N)
code=0
wait "$first" || code=$?
python3 - "$began" "$(tail -1 first)" "$code" "$(cat errors)" <<'PY'
import sys
began, last, code, errors = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
print(f"the first command worked for {last - began:.1f} s beside the second; its etcdctl ended with {code}, saying {errors!r}")
assert last - began > 2 and code == "0" and not errors
PY
echo "as found: a command under a lock that is lost is not stopped, and nothing says so"
