#!/bin/bash
# kube-apiserver v1.36.3, server-side apply as a lock: a candidate applies its name as holderIdentity, without force, and
# releases the Lease by applying null for it.
# Guess: as with a merge patch, null takes the field away, and with it the candidate's ownership: the next one may apply its
#   name.
# Behaviour: the field is gone, and stays the candidate's in managedFields: everybody else is refused with 409, over a Lease
#   that names nobody. Only an apply that leaves the field out releases it.
source "$(dirname "$0")/apiserver.bash"
cat >finding.py <<'PYTHON'
from kube import kube

LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/lock"

def apply(who, words, **spec):
    """The status, and whom the Lease names afterwards."""
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lock"}}
    code, answer = kube("PATCH", f"{LEASE}?fieldManager={who}", {**body, "spec": {"leaseDurationSeconds": 15, **spec}},
                        content="application/apply-patch+yaml")
    holder = kube("GET", LEASE)[1]["spec"].get("holderIdentity")
    print(f"{who} applies {words}: {code}, the Lease names {holder}; {answer.get('message', '')}")
    return code, holder

assert apply("a", "its name", holderIdentity="a") == (201, "a")
assert apply("b", "its name", holderIdentity="b") == (409, "a")
assert apply("a", "null", holderIdentity=None) == (200, None)
assert apply("b", "its name", holderIdentity="b") == (409, None)
assert apply("a", "a spec without the field") == (200, None)
assert apply("b", "its name", holderIdentity="b") == (200, "b")
PYTHON
python3 finding.py "$api"
echo "as found: a Lease without a holder that nobody else could take"
