#!/bin/bash
# kubectl v1.36.3, `drain --grace-period=0`.
# Guess: as with `kubectl delete pod --grace-period=0`, which without --force asks for one second: the Pod stays until the
#   kubelet confirms that its processes have ended, and drain waits for that.
# Behaviour: drain sends the 0 as it stands, and the API server removes the Pod at once, as `delete --force` would, which
#   warns of that. "evicted" and "drained" are said while the processes run; their successor may start beside them.
source "$(dirname "$0")/apiserver.bash"
pushd kube >/dev/null
CGO_ENABLED=0 go build -mod=mod -trimpath -gcflags=all=-dwarf=false -o .. k8s.io/kubernetes/cmd/kubectl
popd >/dev/null
cat >finding.py <<'PYTHON'
import subprocess, sys

from kube import kube

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app", "uid": "app", "controller": True}
PODS = "/api/v1/namespaces/default/pods"
SERVER = [f"--server=https://{sys.argv[1]}", "--token=admin", "--insecure-skip-tls-verify", "--kubeconfig=/dev/null"]

def left(*arguments):
    """Whether the Pod of a node without kubelet, as when it is cut off, is there after kubectl's 10 s, and its exit."""
    code, answer = kube("POST", PODS, {"metadata": {"name": "app", "ownerReferences": [OWNER]}, "spec": {
        "nodeName": "node", "containers": [{"name": "main", "image": "registry.invalid/main"}]}})
    assert code == 201, answer
    done = subprocess.run(["./kubectl", *SERVER, *arguments, "--timeout=10s"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    code, found = kube("GET", f"{PODS}/app")
    told = f"there, deletionTimestamp {found['metadata'].get('deletionTimestamp')}" if code == 200 else "gone"
    print(f"$ kubectl {' '.join(arguments)}\n{done.stdout.strip()}\nexit {done.returncode}; the Pod is {told}\n")
    kube("DELETE", f"{PODS}/app", {"gracePeriodSeconds": 0})
    return code == 200, done.returncode

assert kube("POST", "/api/v1/nodes", {"metadata": {"name": "node"}})[0] == 201
kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
assert left("delete", "pod", "app", "--grace-period=0") == (True, 1)
assert left("drain", "node", "--grace-period=1") == (True, 1)
assert left("drain", "node", "--grace-period=0") == (False, 0)
PYTHON
python3 finding.py "$api"
echo "as found: the node is drained, in the API alone"
