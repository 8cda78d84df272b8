# Sourced by the scripts: builds etcd and etcdctl v3.7.3 in a temporary folder, which becomes the current one, starts
# one etcd on free ports and waits until it answers. `$client` is its address, `ctl` etcdctl against it.
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
