#!/bin/bash
# kube-apiserver v1.37.2, a Lease with a finalizer, as controllers put it onto what they look after, that is told to be
# deleted while its holder renews it by PUT, with what a holder knows: name, resourceVersion and spec.
# Guess: the answer 200 to a PUT says that the Lease is stored, and whose it is.
# Behaviour: an update that leaves out the last finalizer of what is being deleted deletes it. The answer is 200, with the
#   Lease, its holder and its new duration, and there is no Lease. Who comes next creates one, and has the answer 201.
kubernetes=v1.37.2
source "$(dirname "$0")/apiserver.bash"
cat >finding.py <<'PYTHON'
import json

from kube import kube, opened

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

def lease(holder, **metadata):
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lock", **metadata},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}}

def told(words, code, answer):
    metadata = answer["metadata"]
    holder = answer.get("spec", {}).get("holderIdentity")
    print(f"{words}: {code}, holder {holder}, deletionTimestamp {metadata.get('deletionTimestamp')}, "
          f"finalizers {metadata.get('finalizers')}")
    return code, holder

def renewed(holder):
    """The answer to a renewal of what is there now."""
    version = kube("GET", f"{LEASES}/lock")[1]["metadata"]["resourceVersion"]
    return told(f"{holder} renews by PUT", *kube("PUT", f"{LEASES}/lock", lease(holder, resourceVersion=version)))

def there():
    return told("the Lease", *kube("GET", f"{LEASES}/lock"))

code, made = kube("POST", LEASES, lease("a", finalizers=["example.com/watched"]))
assert told("a creates", code, made) == (201, "a")
since = made["metadata"]["resourceVersion"]
with opened("GET", f"{LEASES}?watch=true&resourceVersion={since}") as watch:
    assert told("somebody deletes", *kube("DELETE", f"{LEASES}/lock")) == (200, "a")
    assert there() == (200, "a")
    assert renewed("a") == (200, "a")
    assert there() == (404, None)
    events = [json.loads(watch.readline())["type"] for _ in range(2)]
print("events of the Lease since it was created:", events)
assert events == ["MODIFIED", "DELETED"]
assert told("b creates", *kube("POST", LEASES, lease("b"))) == (201, "b")
PYTHON
python3 finding.py "$api"
echo "as found: the last two writes were accepted, a's renewal and b's Lease"
