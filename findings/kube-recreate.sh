#!/bin/bash
# kube-controller-manager v1.36.3, a Deployment with one replica and the strategy Recreate, while its old Pod takes its time to
# end; kubectl v1.36.3.
# Guess: whatever is changed meanwhile, no Pod starts until the old one has ended, as that is what Recreate is for.
# Behaviour: it waits for Pods of other revisions. If the change is taken back meanwhile, as by a rollback, the old Pod's
#   revision is the wanted one again: another Pod of it starts at once, beside the old one.
source "$(dirname "$0")/controllers.bash" deployment-controller,replicaset-controller
cat >finding.py <<'PYTHON'
import time

from controllers import kube, kubectl, pods, starts, template

APP = "/apis/apps/v1/namespaces/default/deployments"

def image(pod):
    return pod["spec"]["containers"][0]["image"].partition(":")[2]

def seen(what):
    """The Pods of which nobody has said that they have ended: their version, and whether they have been told to end."""
    time.sleep(5)
    found = sorted((image(pod), "ending" if "deletionTimestamp" in pod["metadata"] else "wanted") for pod in pods())
    print(f"{what}: {found}")
    return found

labels = {"app": "app"}
spec = {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": template()}}
assert kube("POST", APP, {"metadata": {"name": "app"}, "spec": spec})[0] == 201
starts(lambda pod: image(pod) == "1")
assert seen("created") == [("1", "wanted")]
kubectl("set", "image", "deployment/app", "main=registry.invalid/main:2")
assert seen("while version 1 ends") == [("1", "ending")]
kubectl("set", "image", "deployment/app", "main=registry.invalid/main:1")
assert seen("taken back") == [("1", "ending"), ("1", "wanted")]
PYTHON
python3 finding.py "$api"
echo "as found: the new Pod did not wait for the old one"
