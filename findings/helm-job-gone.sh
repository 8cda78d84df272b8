#!/bin/bash
# helm v4.3.1, --wait (as --rollback-on-failure has it, too) for a chart with a Job that has ttlSecondsAfterFinished and a
# Deployment that takes longer than the Job.
# Guess: the Job has succeeded, so that it counts as ready; helm waits for the Deployment.
# Behaviour: what counts is each object's last state. The Job that was taken away after its success is "NotFound", which helm
#   waits out until its time is over. Then the install has failed although all is well, and is rolled back if that was asked.
source "$(dirname "$0")/helm.bash"
cat >finding.py <<'PYTHON'
import time

from helm import APPS, BATCH, SPEC, chart, ended, finished, helm, job, kube, started, there, wrote_status

POD = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": SPEC["containers"]}}
APP = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
       "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "app"}}, "template": POD}}

def ready():
    """What the Deployment's controller writes when the pod is ready."""
    counts = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}
    conditions = [{"type": "Available", "status": "True"},
                  {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
    wrote_status(f"{APPS}deployments/app", {**counts, "conditions": conditions})
    print("the Deployment is ready")

def installed(*flags, taken_away):
    """Whether helm calls it a success."""
    command = started("install", "app", "app", "--timeout", "40s", *flags)
    there(f"{APPS}deployments/app")
    finished("migrate")
    time.sleep(3)  # helm has seen it
    if taken_away:
        assert kube("DELETE", f"{BATCH}jobs/migrate", {"propagationPolicy": "Background"})[0] == 200
        print("its ttlSecondsAfterFinished is over: the Job is taken away")
    time.sleep(3)
    ready()
    code, said = ended(command)
    assert code == 0 or "Job/default/migrate not ready. status: NotFound" in said, said
    assert helm("uninstall", "app")[0] == 0
    return code == 0

chart(job("migrate", ttlSecondsAfterFinished=1), APP)
assert installed("--wait", "--wait-for-jobs", taken_away=False)
assert not installed("--wait", "--wait-for-jobs", taken_away=True)
assert not installed("--wait", taken_away=True)
PYTHON
python3 finding.py "$api"
echo "as found: the Job's success was forgotten, the install has failed"
