#!/bin/bash
# kubectl v1.36.3, `rollout undo` of a Deployment with one replica and the strategy Recreate, with kube-controller-manager
# v1.36.3, while the upgrade that is to be taken back waits for the old Pod's end.
# Guess: it goes back to what was there before the upgrade: 1, 2, 3, undone, is 2.
# Behaviour: it is 1. The upgrade has no ReplicaSet before the old Pod has ended, so kubectl takes the one before it for the
#   last one, and goes back from there. `rollout history` does not show the upgrade, and the first one cannot be undone at all.
source "$(dirname "$0")/controllers.bash" deployment-controller,replicaset-controller
cat >finding.py <<'PYTHON'
import time

from controllers import PODS, kube, kubectl, pods, starts, template

APP = "/apis/apps/v1/namespaces/default/deployments"

def image(of):
    return of["spec"]["containers"][0]["image"].rpartition(":")[2]

def upgraded(version):
    """To that version, by `kubectl set image`; the old Pod has been told to end."""
    kubectl("set", "image", "deployment/app", f"main=registry.invalid/main:{version}")
    while not all("deletionTimestamp" in pod["metadata"] for pod in pods()):
        time.sleep(0.2)
    time.sleep(2)

def old_one_ends():
    """As its kubelet says."""
    for pod in pods():
        if "deletionTimestamp" in pod["metadata"]:
            assert kube("DELETE", f"{PODS}/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})[0] == 200

labels = {"app": "app"}
spec = {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": template()}}
assert kube("POST", APP, {"metadata": {"name": "app"}, "spec": spec})[0] == 201
starts(lambda pod: image(pod) == "1")
upgraded(2)
assert kubectl("rollout", "undo", "deployment/app")[0] == 1
old_one_ends()
starts(lambda pod: image(pod) == "2")
upgraded(3)
kubectl("rollout", "history", "deployment/app")
assert kubectl("rollout", "undo", "deployment/app")[0] == 0
wanted = image(kube("GET", f"{APP}/app")[1]["spec"]["template"])
old_one_ends()
print("starts now:", image(starts(lambda pod: "deletionTimestamp" not in pod["metadata"])))
assert wanted == "1"
PYTHON
python3 finding.py "$api"
echo "as found: undone too far"
