#!/bin/bash
# kube-controller-manager v1.37.2, a Job that is suspended while its Pod takes its time to end; kubectl v1.37.2.
# Guess: the condition Suspended says that the Job is at rest, as Complete and Failed do, which wait for the last Pod's end.
# Behaviour: Suspended is True at once, and `kubectl wait --for=condition=Suspended` says "condition met", while the Pod works,
#   for up to its grace period. What tells is status.terminating. A Job that has failed is told so when its Pod has ended.
kubernetes=v1.37.2
source "$(dirname "$0")/controllers.bash" job-controller
cat >finding.py <<'PYTHON'
import time

from controllers import PODS, kube, kubectl, pods, starts, template

JOBS, MERGE = "/apis/batch/v1/namespaces/default/jobs", "application/merge-patch+json"

def created(name, **spec):
    body = {"metadata": {"name": name}, "spec": {**spec, "template": {"spec": template(restartPolicy="Never")}}}
    assert kube("POST", JOBS, body)[0] == 201
    return starts(lambda pod: pod["metadata"]["labels"]["job-name"] == name)["metadata"]["name"]

def found(name, pod):
    """The conditions of the Job that are true, how many of its Pods are ending, and what its Pod is."""
    status = kube("GET", f"{JOBS}/{name}")[1]["status"]
    true = [condition["type"] for condition in status.get("conditions", []) if condition["status"] == "True"]
    pod = kube("GET", f"{PODS}/{pod}")[1]
    told = pod["status"]["phase"], "ending" if "deletionTimestamp" in pod["metadata"] else "wanted"
    print(f"{name}: {true}, terminating {status.get('terminating')}; its Pod: {', '.join(told)}", flush=True)
    return true, status.get("terminating"), told

def waited(name, condition):
    return kubectl("wait", f"job/{name}", f"--for=condition={condition}", "--timeout=20s")[0]

pod = created("suspended")
assert kube("PATCH", f"{JOBS}/suspended", {"spec": {"suspend": True}}, content=MERGE)[0] == 200
assert waited("suspended", "Suspended") == 0
time.sleep(3)
assert found("suspended", pod) == (["Suspended"], 1, ("Running", "ending"))
pod = created("failed", activeDeadlineSeconds=5)
assert waited("failed", "Failed") == 1
assert found("failed", pod) == (["FailureTarget"], 1, ("Running", "ending"))
PYTHON
python3 finding.py "$api"
echo "as found: suspended, and at work"
