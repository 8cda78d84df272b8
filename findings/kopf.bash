# Sourced by the scripts: besides what apiserver.bash does, installs kopf 1.45.2 in the folder venv, with a kubeconfig of which
# it reads the API server's address, and makes the KopfPeering "election". `operator NAME ARGUMENTS` runs work.py, which
# finds its name in the environment; its log is the file NAME.op.
source "$(dirname "$0")/apiserver.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check kopf==1.45.2
venv/bin/pip list --format freeze 2>/dev/null | grep '^kopf=='
cat >peering.py <<'PYTHON'
import contextlib, sys, time

from kube import HTTPError, kube, opened

schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
names = {"kind": "KopfPeering", "plural": "kopfpeerings"}
version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
spec = {"group": "kopf.dev", "scope": "Namespaced", "names": names, "versions": [version]}
definition = {"metadata": {"name": "kopfpeerings.kopf.dev"}, "spec": spec}
assert kube("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)[0] == 201
peering = {"apiVersion": "kopf.dev/v1", "kind": "KopfPeering", "metadata": {"name": "election"}}
for _ in range(300):
    with contextlib.suppress(HTTPError):  # the resource is served a moment after its definition
        opened("POST", "/apis/kopf.dev/v1/namespaces/default/kopfpeerings", peering)
        break
    time.sleep(0.2)
PYTHON
python3 peering.py "$api"
kubeconfig "$api" >kubeconfig
export KUBECONFIG=kubeconfig
operator() {
  local name=$1
  shift
  NAME=$name exec venv/bin/kopf run work.py --namespace default "$@" >"$name.op" 2>&1
}
