#!/bin/bash
# kube-apiserver v1.36.3, an update (PUT) of a Lease that has been deleted, with the resourceVersion that it had.
# Guess: the resourceVersion makes it a comparison, so of an object that is gone it answers 404 or 409.
# Behaviour: a Lease may be created by PUT, and then the resourceVersion is not looked at: the answer is 201, and there
#   is a new Lease of another uid. Only the old uid in the body makes it 409. Of a ConfigMap it is 404.
source "$(dirname "$0")/apiserver.bash"
cat >finding.py <<'PYTHON'
from kube import kube

KINDS = {"Lease": "/apis/coordination.k8s.io/v1/namespaces/default/leases",
         "ConfigMap": "/api/v1/namespaces/default/configmaps"}

def object_of(kind, **metadata):
    body = {"kind": kind, "apiVersion": "coordination.k8s.io/v1" if kind == "Lease" else "v1"}
    body["metadata"] = {"name": "x", **metadata}
    return {**body, **({"spec": {"holderIdentity": "a"}} if kind == "Lease" else {"data": {"holder": "a"}})}

def put_deleted(kind, *fields):
    """The answer to a PUT with these fields of the metadata that the deleted object had."""
    path = KINDS[kind]
    code, created = kube("POST", path, object_of(kind))
    assert code == 201, created
    assert kube("DELETE", f"{path}/x")[0] == 200
    code, answer = kube("PUT", f"{path}/x", object_of(kind, **{field: created["metadata"][field] for field in fields}))
    same = answer["metadata"].get("uid") == created["metadata"]["uid"]
    told = answer.get("reason") or ("the old uid" if same else "a new uid")
    print(f"{kind} deleted, PUT with its {' and '.join(fields)}: {code}, {told}")
    kube("DELETE", f"{path}/x")
    return code, told

kube("DELETE", f"{KINDS['Lease']}/x")
assert put_deleted("Lease", "resourceVersion") == (201, "a new uid")
assert put_deleted("Lease", "resourceVersion", "uid") == (409, "Conflict")
assert put_deleted("ConfigMap", "resourceVersion") == (404, "NotFound")
PYTHON
python3 finding.py "$api"
echo "as found: the Lease was back"
