#!/bin/bash
# kube-controller-manager v1.37.2, StatefulSets whose Pods are Ready while they lead, when another Pod leads than the first one
# that is wanted; kubectl v1.37.2.
# Guess: a StatefulSet of one has one Pod at most; a Pod that its `replicas` or `ordinals.start` leave out is told to end.
# Behaviour: such a Pod is told to end when all that are wanted are Ready, and not before. With one replica and another
#   `ordinals.start` there are two Pods. If the old one leads, the new one is not Ready, so both stay, without a limit in
#   time; so does the leader app-1 after `scale --replicas=1`. `rollout status` says "complete".
kubernetes=v1.37.2
source "$(dirname "$0")/controllers.bash" statefulset-controller
cat >finding.py <<'PYTHON'
import time

from controllers import PODS, kube, kubectl, pods, template

SETS, MERGE = "/apis/apps/v1/namespaces/default/statefulsets", "application/merge-patch+json"

def created(name, replicas):
    labels = {"app": name}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "serviceName": name,
            "template": {"metadata": {"labels": labels}, "spec": template()}}
    assert kube("POST", SETS, {"metadata": {"name": name}, "spec": spec})[0] == 201
    for number in range(replicas):
        leads(f"{name}-{number}", True)

def leads(name, yes):
    """Writes what a kubelet would of a Pod that runs and leads, or waits."""
    ready = {"type": "Ready", "status": str(yes), "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {"phase": "Running", "conditions": [ready]}
    for _ in range(600):
        if kube("PATCH", f"{PODS}/{name}/status", {"status": status}, content=MERGE)[0] == 200:
            return
        time.sleep(0.2)  # the Pod is not there yet
    raise TimeoutError(name)

def found(name, seconds):
    """Its Pods: whether they lead, and whether they have been told to end."""
    time.sleep(seconds)
    said = {pod["metadata"]["name"]: (pod["status"]["conditions"][-1]["status"] == "True",
            "ending" if "deletionTimestamp" in pod["metadata"] else "wanted") for pod in pods()}
    said = {pod: facts for pod, facts in sorted(said.items()) if pod.startswith(name)}
    print("; ".join(f"{pod} {'leads' if leading else 'waits'}, {told}" for pod, (leading, told) in said.items()), flush=True)
    return said

def complete(name):
    code, said = kubectl("rollout", "status", f"statefulset/{name}", "--timeout=10s")
    assert code == 0 and "complete: 2 " in said

created("app", 2)
leads("app-0", False)
kubectl("scale", "statefulset/app", "--replicas=1")
both = {"app-0": (False, "wanted"), "app-1": (True, "wanted")}
assert found("app", 60) == both
complete("app")
leads("app-0", True)
assert found("app", 20) == {"app-0": (True, "wanted"), "app-1": (True, "ending")}

created("one", 1)
assert kube("PATCH", f"{SETS}/one", {"spec": {"ordinals": {"start": 1}}}, content=MERGE)[0] == 200
print("one: ordinals.start 1")
leads("one-1", False)
assert found("one", 60) == {"one-0": (True, "wanted"), "one-1": (False, "wanted")}
complete("one")
PYTHON
python3 finding.py "$api"
echo "as found: two Pods where one is wanted, and the leader is the other one"
