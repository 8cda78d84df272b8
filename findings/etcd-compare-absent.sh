#!/bin/bash
# etcd v3.7.3: comparisons of a transaction on a key that does not exist.
# Guess: an absent key is compared as an empty one, as it is for version, create revision and lease, which are 0; so
#   value != "me" holds. At least one of = and != holds, and all comparisons hold for a range that has no keys.
# Behaviour: every comparison of the value fails on an absent key: =, !=, < and >. On a range without keys it fails too,
#   and the numbers are compared as one key of zeros, so "all versions > 0" fails and "all versions = 0" holds.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "${etcd-}" ] || { kill "$etcd"; wait "$etcd" || true; }; rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
require go.etcd.io/etcd/server/v3 v3.7.3
tool go.etcd.io/etcd/server/v3
EOF
go mod tidy 2>/dev/null
go build -trimpath -o etcd go.etcd.io/etcd/server/v3
read -r client peer < <(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*("http://127.0.0.1:%d" % x.getsockname()[1] for x in s))')
./etcd --version | sed -n 1p
./etcd --data-dir data --listen-client-urls "$client" --advertise-client-urls "$client" --listen-peer-urls "$peer" \
  --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" >log 2>&1 &
etcd=$!
python3 - "$client" <<'EOF'
import base64, json, sys, time
from urllib.request import urlopen

def call(path, **body):
    return json.load(urlopen(f"{sys.argv[1]}/v3/{path}", json.dumps(body).encode(), timeout=60))

def text(value):
    return base64.b64encode(value.encode()).decode()

def holds(target, result, operand, **key):
    compare = {"target": target, "result": result, **operand, **key}
    return call("kv/txn", compare=[compare]).get("succeeded", False)

for _ in range(100):
    try:
        call("maintenance/status")
        break
    except OSError:
        time.sleep(0.2)

absent, empty = {"key": text("absent")}, {"key": text("empty")}
no_keys = {"key": text("none/"), "range_end": text("none0")}
call("kv/put", **empty, value="")
me, results = {"value": text("me")}, ("EQUAL", "NOT_EQUAL", "LESS", "GREATER")
for name, key, expected in (("empty key", empty, [False, True, True, False]),
                            ("absent key", absent, [False] * 4), ("range without keys", no_keys, [False] * 4)):
    found = [holds("VALUE", result, me, **key) for result in results]
    print(f'{name}: value =, !=, <, > "me":', *found)
    assert found == expected
for target, operand in (("VERSION", "version"), ("CREATE", "create_revision"), ("LEASE", "lease")):
    found = [holds(target, result, {operand: 0}, **key) for key in (absent, no_keys) for result in results]
    print(f"absent key, range without keys: {operand} =, !=, <, > 0:", *found)
    assert found == [True, False, False, False] * 2
EOF
echo "as found: no comparison of an absent key's value holds"
