#!/bin/bash
# kube-apiserver v1.37.2, API Priority and Fairness with the configuration that it makes itself, which has a priority level
# "leader-election", and the renewal of a Lease by a service account.
# Guess: whoever renews a Lease does so at that level, which other requests of its account cannot fill.
# Behaviour: of service accounts, only those of kube-system do, and only with PUT: their PATCH is at "workload-high". In other
#   namespaces a leader's renewal is at "workload-low", one flow with all that its account asks for.
kubernetes=v1.37.2
source "$(dirname "$0")/apiserver.bash"
cat >finding.py <<'PYTHON'
from kube import kube, opened

FLOW, RBAC = "/apis/flowcontrol.apiserver.k8s.io/v1/", "/apis/rbac.authorization.k8s.io/v1/"

def created(path, **body):
    return kube("POST", path, body)[1]

def account(namespace):
    """A token of the namespace's service account, which may do everything."""
    created("/api/v1/namespaces", metadata={"name": namespace})
    created(f"/api/v1/namespaces/{namespace}/serviceaccounts", metadata={"name": "app"})
    subject = {"kind": "ServiceAccount", "name": "app", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    created(f"{RBAC}clusterrolebindings", metadata={"name": namespace}, subjects=[subject], roleRef=role)
    return created(f"/api/v1/namespaces/{namespace}/serviceaccounts/app/token", spec={})["status"]["token"]

def renewed(namespace, method="PUT", content="application/json"):
    """The priority level of the service account's renewal."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/lock"
    answer = opened(method, path, kube("GET", path)[1], tokens[namespace], content)
    level = levels[answer.headers["X-Kubernetes-PF-PriorityLevel-UID"]]
    print(f"{namespace}: {method} {answer.status}, {level}", flush=True)
    return level

tokens = {namespace: account(namespace) for namespace in ("app", "kube-system")}
found = kube("GET", f"{FLOW}prioritylevelconfigurations")[1]["items"]
levels = {level["metadata"]["uid"]: level["metadata"]["name"] for level in found}
for namespace in tokens:
    created(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", metadata={"name": "lock"})
assert renewed("kube-system") == "leader-election"
assert renewed("kube-system", "PATCH", "application/merge-patch+json") == "workload-high"
assert renewed("app") == "workload-low"
PYTHON
python3 finding.py "$api"
echo "as found: the level leader-election is kube-system's"
