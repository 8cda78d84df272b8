#!/bin/bash
# kube-controller-manager v1.37.2, a ResourceQuota of one Pod beside a Deployment of one, whose Pod is told to end on a node that
# is cut off, so that nobody confirms its end. The quota is counted anew each 10 s; by default it is each 5 min.
# Guess: a Pod counts until it is gone or has finished; so with `pods: 1` no second one starts until the first one has ended.
# Behaviour: a Pod counts until its grace period has passed twice since it was told to end. Then it is left out, though it is in
#   the API as Running; the next one starts.
kubernetes=v1.37.2
source "$(dirname "$0")/controllers.bash" deployment-controller,replicaset-controller,resourcequota-controller --resource-quota-sync-period=10s
cat >finding.py <<'PYTHON'
import time

from controllers import PODS, kube, pods, starts, template

QUOTAS = "/api/v1/namespaces/default/resourcequotas"

def found():
    """The Pods, by whether they have been told to end, and the number that the quota has as used."""
    told = sorted(("ending" if "deletionTimestamp" in pod["metadata"] else "wanted") for pod in pods())
    return told, kube("GET", f"{QUOTAS}/one")[1].get("status", {}).get("used", {}).get("pods")

assert kube("POST", QUOTAS, {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}})[0] == 201
for _ in range(300):
    if found() == ([], "0"):
        break
    time.sleep(0.2)
labels = {"app": "app"}
spec = {"replicas": 1, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": template(terminationGracePeriodSeconds=20)}}
assert kube("POST", "/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "app"}, "spec": spec})[0] == 201
name = starts(lambda pod: True)["metadata"]["name"]
assert kube("DELETE", f"{PODS}/{name}")[0] == 200
begin = time.monotonic()
seen = []
while found()[0] != ["ending", "wanted"] and time.monotonic() < begin + 600:
    if found() not in seen:
        seen.append(found())
        print(f"{time.monotonic() - begin:.0f} s after it was told to end: Pods {seen[-1][0]}, used {seen[-1][1]}", flush=True)
    time.sleep(0.5)
seconds = time.monotonic() - begin
print(f"{seconds:.0f} s: Pods {found()[0]}; the first one is {kube('GET', f'{PODS}/{name}')[1]['status']['phase']}")
assert seen[0] == (["ending"], "1") and seconds > 35 and found()[0] == ["ending", "wanted"]
PYTHON
python3 finding.py "$api"
echo "as found: two Pods beside a quota of one"
