#!/bin/bash
# helm v4.3.1, an upgrade that is repeated after its hook, a Pod, was still running when the time was over. The hook has the
# default deletion policy, before-hook-creation, the release helm's default, server-side apply.
# Guess: helm waits until the old Pod is gone, as helm 3 does, or reports that it is still there; then it starts a new one.
# Behaviour: without --wait it does not wait for the deletion. It applies the hook onto the Pod that is being terminated, and
#   then waits for that one. If its process exits with 0 on TERM, the hook counts as succeeded and the upgrade goes on;
#   no new Pod was ever started. If not, helm waits for a Pod that is gone until its time is over.
source "$(dirname "$0")/helm.bash"
cat >finding.py <<'PYTHON'
import json, time

from helm import CORE, SPEC, chart, ended, helm, kube, started, there, wrote_status

POD = f"{CORE}pods/migrate"
HOOK = {"apiVersion": "v1", "kind": "Pod", "spec": {**SPEC, "nodeName": "node"},
        "metadata": {"name": "migrate", "annotations": {"helm.sh/hook": "pre-upgrade"}}}

def being_terminated():
    """The Pod, once it has been asked to end."""
    while "deletionTimestamp" not in (pod := there(POD))["metadata"]:
        time.sleep(0.2)
    return pod["metadata"]["uid"]

def gone():
    """What the kubelet writes when the process has ended."""
    assert kube("DELETE", POD, {"gracePeriodSeconds": 0})[0] == 200

chart(HOOK)
assert helm("install", "app", "app")[0] == 0
upgrade = started("upgrade", "app", "app", "--timeout", "5s")
first = there(POD)["metadata"]["uid"]
wrote_status(POD, {"phase": "Running"})
assert ended(upgrade)[0] == 1

upgrade = started("upgrade", "app", "app", "--timeout", "20s")
assert being_terminated() == first
time.sleep(5)
assert there(POD)["metadata"]["uid"] == first
wrote_status(POD, {"phase": "Succeeded"})
print("the old Pod's process has exited with 0 on TERM")
assert ended(upgrade)[0] == 0
assert json.loads(helm("history", "app", "-o", "json")[1])[-1]["status"] == "deployed"
print("started since:", there(POD)["metadata"]["uid"] != first)
assert there(POD)["metadata"]["uid"] == first
gone()
PYTHON
python3 finding.py "$api"
echo "as found: the release is deployed, its hook was only terminated"
