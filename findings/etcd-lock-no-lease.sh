#!/bin/bash
# etcd v3.7.3, the Lock and the Election service of the server, called over the JSON gateway, without a lease.
# Guess: the call is refused; or, without a lease to end it, the lock is held until Unlock, the leader leads until Resign.
# Behaviour: etcd grants a lease of 60 s of its own, which nobody keeps alive and the answer of Lock does not name. After
#   a minute the next in the queue has the lock, and the first one's Unlock answers success all the same.
source "$(dirname "$0")/etcd.bash"
python3 - "http://$client" <<'EOF'
import base64, json, sys, threading, time
from urllib.error import HTTPError
from urllib.request import urlopen


def call(path, **body):
    try:
        return json.load(urlopen(f"{sys.argv[1]}/v3/{path}", json.dumps(body).encode(), timeout=180))
    except HTTPError as error:
        return {"error": json.load(error)["message"]}


def text(value):
    return base64.b64encode(value.encode()).decode()


def lease(answer, path):
    """The lease that etcd gave this key, and its TTL in seconds."""
    held = call("kv/range", key=answer["key"])["kvs"][0]["lease"]
    return f"{path} without a lease: a lease of", int(call("lease/timetolive", ID=held)["grantedTTL"]), "s"


first = call("lock/lock", name=text("lock"))
start = time.monotonic()
told = [lease(first, "Lock"), lease(call("election/campaign", name=text("election"), value=text("A"))["leader"], "Campaign")]
answers = []
waiter = threading.Thread(target=lambda: answers.append(call("lock/lock", name=text("lock"))))
waiter.start()
waiter.join(40)
assert not answers, "the second did not wait"
waiter.join()
waited = time.monotonic() - start
for words in told:
    print(*words)
print(f"the second has the lock {waited:.0f} s after the first, which did not unlock:", answers[0]["key"] != first["key"])
while "error" not in (leader := call("election/leader", name=text("election"))):
    assert time.monotonic() - start < 120
    time.sleep(1)
unlocked = call("lock/unlock", key=first["key"])
print("the election:", leader["error"], "\nthe first one's Unlock:", "error" if "error" in unlocked else "success")
assert [words[1] for words in told] == [60, 60] and waited < 120 and "error" not in unlocked
assert answers[0]["key"] != first["key"] and leader["error"] == "election: no leader"
EOF
echo "as found: who names no lease holds the lock for a minute"
