# Sourced by the scripts, with the controllers to run and other flags: besides what apiserver.bash does, builds kubectl and
# kube-controller-manager of the same version, and starts the latter with those. Into the current folder it writes
# controllers.py, whose kubectl() runs kubectl, and whose starts() writes what a kubelet would, as there is none.
source "$(dirname "$0")/apiserver.bash"
pushd kube >/dev/null
for program in kubectl kube-controller-manager; do
  CGO_ENABLED=0 go build -mod=mod -trimpath -gcflags=all=-dwarf=false -o .. k8s.io/kubernetes/cmd/$program 2>build.log || { tail build.log; exit 1; }
done
popd >/dev/null
kubeconfig "$api" >kubeconfig
./kube-controller-manager --kubeconfig=kubeconfig --leader-elect=false --secure-port=0 --controllers="$1" "${@:2}" >manager.log 2>&1 &
cat >controllers.py <<'PYTHON'
import subprocess, time

from kube import kube

PODS = "/api/v1/namespaces/default/pods"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}

def kubectl(*arguments):
    done = subprocess.run(["./kubectl", "--kubeconfig=kubeconfig", *arguments], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    print(f"$ kubectl {' '.join(arguments)}\n{done.stdout.strip()}")
    return done.returncode, done.stdout

def template(**spec):
    """The spec of a pod that takes five minutes to end, on a node whose kubelet has not confirmed anything."""
    container = {"name": "main", "image": "registry.invalid/main:1"}
    return {"nodeName": "node", "terminationGracePeriodSeconds": 300, "containers": [container], **spec}

def pods():
    return kube("GET", PODS)[1]["items"]

def starts(chosen):
    """As a kubelet does: the pod that is chosen, once it is there, is ready."""
    for _ in range(600):
        for pod in filter(chosen, pods()):
            path = f"{PODS}/{pod['metadata']['name']}/status"
            assert kube("PATCH", path, {"status": READY}, content="application/merge-patch+json")[0] == 200
            return pod
        time.sleep(0.2)
    raise TimeoutError

kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
PYTHON
