#!/bin/bash
# kr8s 0.20.15 (PyPI; it warns that it is made for Kubernetes 1.28 to 1.35), `watch()` and `wait()` of a Lease that was changed
# last before kube-apiserver v1.36.3 was started, while other objects have been changed since.
# Guess: a revision that is too old ("410 Gone") is met by reading anew, as other clients do.
# Behaviour: it watches from the Lease's own resourceVersion, which the API server does not keep; told so, it asks for the
#   same again, at once and for ever. No change is heard of.
source "$(dirname "$0")/apiserver.bash"
server=$!
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check kr8s==0.20.15
kubeconfig "$api" >config
cat >finding.py <<'PYTHON'
import asyncio, importlib.metadata, logging, sys, threading, warnings

import kr8s
from kr8s.asyncio.objects import new_class
from kube import kube

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
Lease = new_class(kind="Lease", version="coordination.k8s.io/v1", namespaced=True)
gone = []  # what kr8s logs of the answer 410, for debugging

class Handler(logging.Handler):
    def emit(self, record):
        if "410 Gone" in record.getMessage():
            gone.append(record)

def led(name):
    code, answer = kube("PATCH", f"{LEASES}/lease", {"spec": {"holderIdentity": name}}, content="application/merge-patch+json")
    assert code == 200, answer
    print(f"{name} leads")

async def heard(name, seconds=20):
    """Whether kr8s hears of a change that is made five seconds later."""
    lease = await Lease.get("lease", api=await kr8s.asyncio.api(kubeconfig="config"))
    threading.Timer(5, led, [name]).start()
    try:
        await lease.wait(f"jsonpath='{{.spec.holderIdentity}}'={name}", timeout=seconds)
    except TimeoutError:
        print(f"TimeoutError after {seconds} s; answers 410: {len(gone)}")
        return False
    print(f"heard of it; answers 410: {len(gone)}")
    return True

print("kr8s", importlib.metadata.version("kr8s"))
warnings.simplefilter("ignore")
logging.getLogger("kr8s").setLevel(logging.DEBUG)
logging.getLogger("kr8s").addHandler(Handler())
if sys.argv[2] == "before":
    assert kube("POST", LEASES, {"metadata": {"name": "lease"}, "spec": {"holderIdentity": "a"}})[0] == 201
    assert asyncio.run(heard("b")) and not gone
    assert kube("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "other"}})[0] == 201
else:
    assert not asyncio.run(heard("c")) and len(gone) > 100
PYTHON
venv/bin/python finding.py "$api" before
mapfile -d '' -t command <"/proc/$server/cmdline"
kill "$server" && wait "$server" || true
"${command[@]}" >>kube.log 2>&1 &
for _ in $(seq 300); do
  python3 -c "$ready" "$api" 2>/dev/null && break
  sleep 0.2
done
echo "the API server has been started again"
venv/bin/python finding.py "$api" after
echo "as found: the watch went round in circles"
