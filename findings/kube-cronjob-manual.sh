#!/bin/bash
# kube-controller-manager v1.36.3, a CronJob with concurrencyPolicy Forbid; kubectl v1.36.3, `create job --from=cronjob/…`.
# Guess: a run that was started by hand, whose Job belongs to the CronJob, is one of its runs: while it lasts, no other starts.
# Behaviour: only runs that the controller has started itself count. The next one starts beside it, on time; all that is told
#   is an Event "UnexpectedJob".
source "$(dirname "$0")/controllers.bash" cronjob-controller,job-controller
cat >finding.py <<'PYTHON'
import time

from controllers import kube, kubectl, pods, starts, template

BATCH = "/apis/batch/v1/namespaces/default/"

def unfinished():
    """Each unfinished Job whose controller is the CronJob, with its Pods that run."""
    return {job["metadata"]["name"]: job["status"].get("active", 0) for job in kube("GET", f"{BATCH}jobs")[1]["items"]
            if not job["status"].get("conditions") and job["metadata"]["ownerReferences"][0]["controller"]}

def job(name):
    return lambda pod: pod["metadata"]["labels"]["job-name"].startswith(name)

while not 5 < time.time() % 60 < 30:
    time.sleep(1)  # the run by hand has begun before the first one by the schedule
spec = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": {"template": {"spec": template(restartPolicy="Never")}}}}
assert kube("POST", f"{BATCH}cronjobs", {"metadata": {"name": "cron"}, "spec": spec})[0] == 201
kubectl("create", "job", "by-hand", "--from=cronjob/cron")
starts(job("by-hand"))
print("by hand:", unfinished())
assert unfinished() == {"by-hand": 1}
starts(job("cron-"))
for minute in range(2):
    time.sleep(60 * minute + 5)
    print("minutes later:", unfinished(), {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods()})
    assert len(unfinished()) == 2 and unfinished()["by-hand"] == 1
kubectl("get", "events", "--field-selector=involvedObject.kind=CronJob")
PYTHON
python3 finding.py "$api"
echo "as found: two runs at once"
