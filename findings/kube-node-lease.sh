#!/bin/bash
# kube-controller-manager v1.37.2, the controller that tells by the Leases of kubelets which nodes are there; its feature
# NodeControllerLeaseCircuitBreaker, which compares a Lease's resourceVersion with the one it knows, is new and on.
# Guess: whatever else is in its Lease, a node that renews it no more is NotReady after the grace period of 50 s, by the
#   controller's own clock; then its Pods are replaced.
# Behaviour: a Lease is taken for renewed if its renewTime is later than the latest one seen; it is taken for unread if it
#   has another resourceVersion than the one with that renewTime, and then the node is left as it is. So a node that is
#   lost stays Ready, for as long as the controller runs, if its clock was put back before, or if somebody has written its
#   Lease since the last renewal, as with an annotation.
kubernetes=v1.37.2
source "$(dirname "$0")/controllers.bash" node-lifecycle-controller
cat >finding.py <<'PYTHON'
import time
from datetime import datetime, timedelta, timezone

from kube import kube

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MERGE = "application/merge-patch+json"
begin = time.monotonic()

def written(node, change):
    code, answer = kube("PATCH", f"{LEASES}/{node}", change, content=MERGE)
    assert code == 200, answer

def clock(hours=0):
    """That of a node that is ahead by so much."""
    return f"{datetime.now(timezone.utc) + timedelta(hours=hours):%FT%T.%fZ}"

def renews(node, hours=0):
    written(node, {"spec": {"renewTime": clock(hours)}})

def found(node):
    """Its condition Ready, and the taints by which its Pods are told to end."""
    node = kube("GET", f"/api/v1/nodes/{node}")[1]
    ready, = (condition["status"] for condition in node["status"]["conditions"] if condition["type"] == "Ready")
    return ready, [taint["key"] for taint in node["spec"].get("taints", []) if taint["effect"] == "NoExecute"]

def meanwhile(seconds, words, renew):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        renew()
        time.sleep(3)
    print(f"{time.monotonic() - begin:.0f} s, {words}: {', '.join(f'{node} {found(node)}' for node in NODES)}", flush=True)

def one_renews():
    renews("alive")

def all_renew(hours=0):
    one_renews(), renews("plain"), renews("annotated"), renews("put-back", hours)

NODES = ["alive", "plain", "put-back", "annotated"]
for node in NODES:
    spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": clock()}
    assert kube("POST", LEASES, {"metadata": {"name": node}, "spec": spec})[0] == 201
    past = "2026-01-01T00:00:00Z"
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": past, "lastTransitionTime": past}
    assert kube("POST", "/api/v1/nodes", {"metadata": {"name": node}, "status": {"conditions": [ready]}})[0] == 201
meanwhile(30, "all renew, one with a clock that is an hour ahead", lambda: all_renew(1))
meanwhile(20, "its clock is put right", all_renew)
assert all(found(node) == ("True", []) for node in NODES)
meanwhile(15, "only one renews any more", one_renews)
written("annotated", {"metadata": {"annotations": {"note": "x"}}})
for _ in range(4):
    meanwhile(60, "the others are lost, the last one's Lease is annotated", one_renews)
assert found("plain") == ("Unknown", ["node.kubernetes.io/unreachable"])
assert found("alive") == found("put-back") == found("annotated") == ("True", [])
PYTHON
python3 finding.py "$api"
grep 'Skipping - no pods will be evicted' manager.log | tail -2
echo "as found: two nodes that nobody has heard of for minutes are Ready"
