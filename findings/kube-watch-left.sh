#!/bin/bash
# kube-apiserver v1.37.2, a watch with a label selector, when another client takes a Lease over and gives it another label
# in one update, so that the watch has the event DELETED.
# Guess: an object with a resourceVersion is what was stored at it. So the event has the new holder; or it has the old one,
#   and then the old resourceVersion, so that an update with it is a conflict.
# Behaviour: the event has the Lease from before the update, with the resourceVersion of the update. A PUT of it is accepted:
#   it undoes the take-over, and the label.
kubernetes=v1.37.2
source "$(dirname "$0")/apiserver.bash"
cat >finding.py <<'PYTHON'
import json

from kube import kube, opened

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

def shown(words, lease):
    """What matters of it: the resourceVersion, the label and the holder."""
    what = lease["metadata"]["resourceVersion"], lease["metadata"]["labels"]["shard"], lease["spec"]["holderIdentity"]
    print(f"{words}: resourceVersion {what[0]}, shard {what[1]}, holder {what[2]}")
    return what

def renewed(lease):
    """The answer to a PUT of the Lease, with nothing but another duration."""
    lease["spec"]["leaseDurationSeconds"] += 1
    return kube("PUT", f"{LEASES}/lock", lease)

spec = {"holderIdentity": "a", "leaseDurationSeconds": 15}
code, first = kube("POST", LEASES, {"metadata": {"name": "lock", "labels": {"shard": "one"}}, "spec": spec})
assert code == 201, first
since = first["metadata"]["resourceVersion"]
with opened("GET", f"{LEASES}?watch=true&labelSelector=shard%3Done&resourceVersion={since}") as watch:
    shown("created", first)
    taken = json.loads(json.dumps(first))
    taken["metadata"]["labels"]["shard"], taken["spec"]["holderIdentity"] = "two", "b"
    code, taken = kube("PUT", f"{LEASES}/lock", taken)
    assert code == 200, taken
    now, *left = shown("taken over", taken)
    event = json.loads(watch.readline())
assert shown(f"the event {event['type']}", event["object"]) == (now, "one", "a") and left == ["two", "b"]
assert event["type"] == "DELETED"

code, answer = renewed(first)
print("a PUT of the Lease as it was created:", code, answer["reason"])
assert code == 409
code, answer = renewed(event["object"])
print("a PUT of the Lease as it is in the event:", code)
assert code == 200 and shown("stored", kube("GET", f"{LEASES}/lock")[1])[1:] == ("one", "a")
PYTHON
python3 finding.py "$api"
echo "as found: the take-over was undone, without a conflict"
