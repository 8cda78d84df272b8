#!/bin/bash
# etcd v3.7.3 asked for a lease of no time, or of less.
# Guess: a TTL of 0 or below is refused, as one that is too long is; what has expired stays expired.
# Behaviour: it grants a lease of the shortest TTL, 2 s with the usual settings, on which keys live.
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
python3 - "$client" <<'PY'
import base64, json, sys, urllib.error, urllib.request

def post(path, **fields):
    request = urllib.request.Request(f"http://{sys.argv[1]}/v3/{path}", json.dumps(fields).encode())
    try:
        return json.load(urllib.request.urlopen(request, timeout=30))
    except urllib.error.HTTPError as error:
        return json.load(error)

key = base64.b64encode(b"k").decode()
for ttl in (0, -5):
    granted = post("lease/grant", TTL=ttl)
    print(f"TTL {ttl}: granted {granted.get('TTL')} s")
    assert granted["TTL"] == "2"
    post("kv/put", key=key, value=key, lease=granted["ID"])
    assert post("kv/range", key=key).get("count") == "1"
refused = post("lease/grant", TTL=10**10)
print(f"TTL {10**10}: {refused['message']}")
assert "too large" in refused["message"]
PY
echo "as found: a TTL that was reckoned to have passed gives a live lease"
