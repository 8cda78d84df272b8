#!/bin/bash
# A transaction of etcd v3.7.3 that compares the value of a key that is not there.
# Guess: for a missing key "value != x" holds, as it does for any other value; one of "= x" and "!= x" always does.
# Behaviour: each comparison of a missing key's value fails, "!=" too. Lease, version and both revisions count as 0.
source "$(dirname "$0")/etcd.bash"
python3 - "$client" <<'PY'
import base64, json, sys, urllib.request

def post(path, **fields):
    request = urllib.request.Request(f"http://{sys.argv[1]}/v3/{path}", json.dumps(fields).encode())
    return json.load(urllib.request.urlopen(request, timeout=30))

def encoded(text):
    return base64.b64encode(text.encode()).decode()

def holds(target, result, **operand):
    compare = {"key": encoded("k"), "target": target, "result": result, **operand}
    answer = post("kv/txn", compare=[compare]).get("succeeded", False)
    print(f"{target} {result} {operand}: {answer}")
    return answer

print("k is missing:")
assert not any(holds("VALUE", result, value=encoded("x")) for result in ("EQUAL", "NOT_EQUAL", "LESS", "GREATER"))
for target, field in (("VERSION", "version"), ("CREATE", "create_revision"), ("MOD", "mod_revision"), ("LEASE", "lease")):
    assert holds(target, "EQUAL", **{field: 0})
post("kv/put", key=encoded("k"), value=encoded("y"))
print("k is y:")
assert holds("VALUE", "NOT_EQUAL", value=encoded("x"))
PY
echo "as found: who takes a key unless its value is x never takes one that is missing"
