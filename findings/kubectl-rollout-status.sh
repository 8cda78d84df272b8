#!/bin/bash
# kubectl v1.36.3, `rollout status` of a Deployment with one replica, with kube-controller-manager v1.36.3, while the old Pod
# takes its time to end, on a node whose kubelet has not confirmed its end.
# Guess: it says "old replicas are pending termination" while they are, so that with "successfully rolled out" they have ended.
# Behaviour: a Pod that is told to end counts as gone. "successfully rolled out" is said while it works, for up to its grace
#   period, and so it is after `scale --replicas=0`. The Deployment's status has terminatingReplicas, which is not looked at.
source "$(dirname "$0")/apiserver.bash"
pushd kube >/dev/null
for program in kubectl kube-controller-manager; do
  CGO_ENABLED=0 go build -mod=mod -trimpath -gcflags=all=-dwarf=false -o .. k8s.io/kubernetes/cmd/$program 2>build.log || { tail build.log; exit 1; }
done
popd >/dev/null
cat >kubeconfig <<YAML
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://$api", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: admin}}]
YAML
./kube-controller-manager --kubeconfig=kubeconfig --leader-elect=false --secure-port=0 \
  --controllers=deployment-controller,replicaset-controller >manager.log 2>&1 &
cat >finding.py <<'PYTHON'
import subprocess, time

from kube import kube

PODS = "/api/v1/namespaces/default/pods"
APP = "/apis/apps/v1/namespaces/default/deployments"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}

def kubectl(*arguments):
    done = subprocess.run(["./kubectl", "--kubeconfig=kubeconfig", *arguments], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    print(f"$ kubectl {' '.join(arguments)}\n{done.stdout.strip()}")
    return done.returncode, done.stdout

def pods():
    return kube("GET", PODS)[1]["items"]

def starts(image):
    """As a kubelet does: the new Pod is ready."""
    for _ in range(300):
        for pod in pods():
            if pod["spec"]["containers"][0]["image"] == image:
                path = f"{PODS}/{pod['metadata']['name']}/status"
                assert kube("PATCH", path, {"status": READY}, content="application/merge-patch+json")[0] == 200
                return
        time.sleep(0.2)
    raise TimeoutError(image)

def rolled_out(ending):
    """It is said, while so many Pods have been told to end and have not ended."""
    code, said = kubectl("rollout", "status", "deployment/app", "--timeout=1m")
    time.sleep(2)
    found = [pod for pod in pods() if "deletionTimestamp" in pod["metadata"] and pod["status"]["phase"] == "Running"]
    terminating = kube("GET", f"{APP}/app")[1]["status"].get("terminatingReplicas")
    print(f"exit {code}; Pods that work until they have ended: {len(found)}; terminatingReplicas {terminating}")
    assert code == 0 and "successfully rolled out" in said and len(found) == ending

kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
pod = {"nodeName": "node", "terminationGracePeriodSeconds": 300, "containers": [{"name": "main", "image": "registry.invalid/main:1"}]}
labels = {"app": "app"}
spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
assert kube("POST", APP, {"metadata": {"name": "app"}, "spec": spec})[0] == 201
starts("registry.invalid/main:1")
rolled_out(0)
kubectl("set", "image", "deployment/app", "main=registry.invalid/main:2")
starts("registry.invalid/main:2")
rolled_out(1)
kubectl("scale", "deployment/app", "--replicas=0")
rolled_out(2)
PYTHON
python3 finding.py "$api"
echo "as found: rolled out, and the old one works"
