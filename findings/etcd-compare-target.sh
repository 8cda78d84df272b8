#!/bin/bash
# etcd v3.7.3, transactions over its JSON gateway, as a holder writes: only if the lock's key is still the one it made.
# Guess: a comparison that gives a create_revision, and nothing else, compares that, or is refused.
# Behaviour: what is compared is said by `target` alone, which is VERSION if it is left out; the create_revision is passed
#   over, and the version that is not given is 0. The comparison holds when the key is not there: the holder's write is
#   refused while it holds the lock, and done once it has lost it.
source "$(dirname "$0")/etcd.bash"
cat >finding.py <<'EOF'
import base64, json, sys
from urllib.request import urlopen

def call(path, **body):
    return json.load(urlopen(f"http://{sys.argv[1]}/v3/{path}", json.dumps(body).encode(), timeout=10))

def text(value):
    return base64.b64encode(value.encode()).decode()

def written(**target):
    """Whether the holder's write was done."""
    held = {"key": text("lock"), "result": "EQUAL", "create_revision": mine, **target}
    put = {"request_put": {"key": text("data"), "value": text("holder")}}
    return call("kv/txn", compare=[held], success=[put]).get("succeeded", False)

lease = call("lease/grant", TTL=60)["ID"]
mine = call("kv/put", key=text("lock"), lease=lease)["header"]["revision"]
held = written(), written(target="CREATE")
print("while it holds the lock, without and with a target, its write is done:", *held)
call("lease/revoke", ID=lease)
lost = written(), written(target="CREATE")
print("once its lease is over:", *lost)
assert held == (False, True) and lost == (True, False)
EOF
python3 finding.py "$client"
echo "as found: without a target, the write is done when the lock is lost"
