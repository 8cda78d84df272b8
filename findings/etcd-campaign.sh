#!/bin/bash
# etcd v3.7.3, the Election service of the server (v3election), called over the JSON gateway.
# Guess: Campaign answers only a candidate that leads. One whose lease ended while it waited gets an error, as it does
#   from the Lock service. A repeated Campaign of the same lease is the same candidate, and the end of the first call
#   changes nothing.
# Behaviour: Campaign waits for the keys before its own and does not look whether its own is still there. Victory is
#   told to a candidate whose lease is revoked, and to one whose key went when the client hung up its first call.
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
print(*(x.getsockname()[1] for x in s))')
url=http://127.0.0.1:$client peer=http://127.0.0.1:$peer
./etcd --version | sed -n 1p
./etcd --data-dir data --listen-client-urls "$url" --advertise-client-urls "$url" --listen-peer-urls "$peer" \
  --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" >log 2>&1 &
etcd=$!
python3 - "$url" <<'EOF'
import base64, http.client, json, sys, threading, time
from urllib.error import HTTPError
from urllib.request import urlopen

url = sys.argv[1]

def call(path, **body):
    try:
        return json.load(urlopen(f"{url}/v3/{path}", json.dumps(body).encode(), timeout=60))
    except HTTPError as error:
        return {"error": json.load(error)["message"]}

def text(value):
    return base64.b64encode(value.encode()).decode()

def background(path, **body):
    answer = {}
    threading.Thread(target=lambda: answer.update(call(path, **body)), daemon=True).start()
    time.sleep(1)
    return answer

def keys(name):
    return int(call("kv/range", key=text(f"{name}/"), range_end=text(f"{name}0")).get("count", 0))

def leases():
    return [call("lease/grant", TTL=600)["ID"] for _ in range(3)]
for _ in range(100):
    try:
        call("maintenance/status")
        break
    except OSError:
        time.sleep(0.2)

first, second, third = leases()
call("election/campaign", name=text("e"), lease=first)
answers = [background("election/campaign", name=text("e"), lease=lease) for lease in (second, third)]
call("lease/revoke", ID=second), call("lease/revoke", ID=first), time.sleep(1)
print("revoked candidate:", answers[0].get("leader"))
print("the next one:     ", answers[1].get("leader"), "\nkeys:", keys("e"))
assert "leader" in answers[0] and "leader" in answers[1] and keys("e") == 1

first, second, third = leases()
call("lock/lock", name=text("l"), lease=first)
answer = background("lock/lock", name=text("l"), lease=second)
call("lease/revoke", ID=second), call("lease/revoke", ID=first), time.sleep(1)
print("revoked, Lock service:", answer)
assert "session is expired" in answer["error"]

first, second, third = leases()
call("election/campaign", name=text("r"), lease=first)
hung_up = http.client.HTTPConnection(url.removeprefix("http://"))
hung_up.request("POST", "/v3/election/campaign", json.dumps({"name": text("r"), "lease": second}))
time.sleep(1)
answers = [background("election/campaign", name=text("r"), lease=second)]
hung_up.close(), time.sleep(1)
answers.append(background("election/campaign", name=text("r"), lease=third))
call("lease/revoke", ID=first), time.sleep(1)
print("repeated call:", answers[0].get("leader"), "\nthe next one: ", answers[1].get("leader"), "\nkeys:", keys("r"))
assert "leader" in answers[0] and "leader" in answers[1] and keys("r") == 1
EOF
echo "as found: two candidates were told that they lead, in both cases"
