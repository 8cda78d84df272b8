#!/bin/bash
# kr8s 0.20.15 (PyPI; it warns that it is made for Kubernetes 1.28 to 1.35), `wait(condition, timeout=…)` of a Lease on
# kube-apiserver v1.36.3, which ends the watch under it, as it does within the hour (--min-request-timeout).
# Guess: wait() returns when the condition holds, or raises TimeoutError; when the watch is ended it watches again.
# Behaviour: it returns when the watch ends, as if the condition held. Its answer is None in both cases.
flags=(--min-request-timeout=2)
source "$(dirname "$0")/apiserver.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check kr8s==0.20.15
cat >finding.py <<'PYTHON'
import asyncio, importlib.metadata, json, sys, threading, time, warnings
from pathlib import Path

import kr8s
from kr8s.asyncio.objects import new_class
from kube import kube

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
Lease = new_class(kind="Lease", version="coordination.k8s.io/v1", namespaced=True)
CONFIG = {"apiVersion": "v1", "kind": "Config", "current-context": "c",
          "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
          "clusters": [{"name": "c", "cluster": {"server": f"https://{sys.argv[1]}", "insecure-skip-tls-verify": True}}],
          "users": [{"name": "u", "user": {"token": "admin"}}]}

def led(name):
    code, answer = kube("PATCH", f"{LEASES}/lease", {"spec": {"holderIdentity": name}}, content="application/merge-patch+json")
    assert code == 200, answer

async def waited(lease, name):
    """For how long, and whom the Lease names then."""
    start = time.monotonic()
    told = await lease.wait(f"jsonpath='{{.spec.holderIdentity}}'={name}", timeout=60)
    seconds, holder = time.monotonic() - start, kube("GET", f"{LEASES}/lease")[1]["spec"]["holderIdentity"]
    print(f"wait for {name}: {told} after {seconds:.1f} s of 60; the Lease names {holder}")
    return holder

async def main():
    lease = await Lease.get("lease", api=await kr8s.asyncio.api(kubeconfig="config"))
    threading.Timer(1, led, ["b"]).start()
    assert await waited(lease, "b") == "b"
    assert await waited(lease, "c") == "b"

print("kr8s", importlib.metadata.version("kr8s"))
warnings.simplefilter("ignore")
Path("config").write_text(json.dumps(CONFIG))
assert kube("POST", LEASES, {"metadata": {"name": "lease"}, "spec": {"holderIdentity": "a"}})[0] == 201
asyncio.run(main())
PYTHON
venv/bin/python finding.py "$api"
echo "as found: wait() has returned, and what it waited for is not so"
