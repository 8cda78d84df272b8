#!/bin/bash
# kubectl v1.36.3, `rollout status` of a Deployment with one replica, with kube-controller-manager v1.36.3, while the old Pod
# takes its time to end, on a node whose kubelet has not confirmed its end.
# Guess: it says "old replicas are pending termination" while they are, so that with "successfully rolled out" they have ended.
# Behaviour: a Pod that is told to end counts as gone. "successfully rolled out" is said while it works, for up to its grace
#   period, and so it is after `scale --replicas=0`. The Deployment's status has terminatingReplicas, which is not looked at.
source "$(dirname "$0")/controllers.bash" deployment-controller,replicaset-controller
cat >finding.py <<'PYTHON'
import time

from controllers import kube, kubectl, pods, starts, template

APP = "/apis/apps/v1/namespaces/default/deployments"

def version(number):
    return lambda pod: pod["spec"]["containers"][0]["image"] == f"registry.invalid/main:{number}"

def rolled_out(ending):
    """It is said, while so many Pods have been told to end and have not ended."""
    code, said = kubectl("rollout", "status", "deployment/app", "--timeout=1m")
    time.sleep(2)
    found = [pod for pod in pods() if "deletionTimestamp" in pod["metadata"] and pod["status"]["phase"] == "Running"]
    terminating = kube("GET", f"{APP}/app")[1]["status"].get("terminatingReplicas")
    print(f"exit {code}; Pods that work until they have ended: {len(found)}; terminatingReplicas {terminating}")
    assert code == 0 and "successfully rolled out" in said and len(found) == ending

labels = {"app": "app"}
spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": template()}}
assert kube("POST", APP, {"metadata": {"name": "app"}, "spec": spec})[0] == 201
starts(version(1))
rolled_out(0)
kubectl("set", "image", "deployment/app", "main=registry.invalid/main:2")
starts(version(2))
rolled_out(1)
kubectl("scale", "deployment/app", "--replicas=0")
rolled_out(2)
PYTHON
python3 finding.py "$api"
echo "as found: rolled out, and the old one works"
