#!/bin/bash
# kube-controller-manager v1.37.2, a CronJob with concurrencyPolicy Replace, while the old run's Pod takes its time to end; its
# Jobs have podReplacementPolicy Failed, by which a Job waits for a Pod's end before it starts another.
# Guess: when a run is replaced, the next one begins when the old run's Pod has ended; no two are at work at once.
# Behaviour: the old Job is deleted and gone, with its Pod told to end, and the next one starts in the same moment. Two Pods
#   work for up to the grace period; the CronJob's status has one.
kubernetes=v1.37.2
source "$(dirname "$0")/controllers.bash" cronjob-controller,job-controller,garbage-collector-controller
cat >finding.py <<'PYTHON'
import time

from controllers import kube, pods, starts, template

BATCH = "/apis/batch/v1/namespaces/default/"

def found(words):
    """The Pods that run, by whether they have been told to end, and the number of runs that the CronJob has active."""
    running = [pod for pod in pods() if pod["status"]["phase"] == "Running"]
    told = sorted("ending" if "deletionTimestamp" in pod["metadata"] else "wanted" for pod in running)
    active = len(kube("GET", f"{BATCH}cronjobs/cron")[1]["status"].get("active", []))
    jobs = len(kube("GET", f"{BATCH}jobs")[1]["items"])
    print(f"{words}: Pods {told}, Jobs {jobs}, active {active}", flush=True)
    return told, jobs, active

job = {"podReplacementPolicy": "Failed", "template": {"spec": template(restartPolicy="Never")}}
spec = {"schedule": "* * * * *", "concurrencyPolicy": "Replace", "jobTemplate": {"spec": job}}
assert kube("POST", f"{BATCH}cronjobs", {"metadata": {"name": "cron"}, "spec": spec})[0] == 201
first = starts(lambda pod: True)
time.sleep(3)
assert found("the first run") == (["wanted"], 1, 1)
second = starts(lambda pod: pod["metadata"]["name"] != first["metadata"]["name"])
time.sleep(10)
assert found("replaced") == (["ending", "wanted"], 1, 1)
PYTHON
python3 finding.py "$api"
echo "as found: two runs work at once"
