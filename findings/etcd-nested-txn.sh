#!/bin/bash
# etcd v3.7.3, a transaction inside a transaction (request_txn), over the JSON gateway.
# Guess: the requests are carried out in their order. A range sees the puts before it, so the comparisons of a nested
#   transaction do, too.
# Behaviour: the range does, the comparisons do not: etcd makes them all before the first write, of all levels. One
#   answer says that the key is there, and takes the branch for its being missing.
source "$(dirname "$0")/etcd.bash"
python3 - "http://$client" <<'EOF'
import base64, json, sys
from urllib.request import urlopen


def call(path, **body):
    return json.load(urlopen(f"{sys.argv[1]}/v3/{path}", json.dumps(body).encode(), timeout=60))


def put(key, value):
    return {"request_put": {"key": text(key), "value": text(value)}}


def text(value):
    return base64.b64encode(value.encode()).decode()


def note_holder():
    """What a transaction reads that takes the free lock and then, nested, notes whether it is held."""
    missing = {"key": text("lock"), "target": "CREATE", "result": "EQUAL", "create_revision": 0}
    nested = {"compare": [missing], "success": [put("note", "free")], "failure": [put("note", "held")]}
    requests = [put("lock", "me"), {"request_range": {"key": text("lock")}}, {"request_txn": nested}]
    answers = call("kv/txn", compare=[missing], success=requests)["responses"]
    seen = answers[1]["response_range"]["kvs"][0]["value"]
    note = call("kv/range", key=text("note"))["kvs"][0]["value"]
    return tuple(base64.b64decode(value).decode() for value in (seen, note))


seen, note = note_holder()
print(f"in one transaction, after a put of the lock: the range reads {seen!r}, the nested comparison says {note!r}")
assert (seen, note) == ("me", "free")
EOF
echo "as found: a nested comparison is of what was there before the transaction"
