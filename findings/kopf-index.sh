#!/bin/bash
# kopf 1.45.2, an index of Leases (`@kopf.index`), on kube-apiserver v1.36.3.
# Guess: it holds the Leases that there are: after a pause, and after a watch that cannot go on, kopf lists them anew.
# Behaviour: what is missing in the new list stays in the index, for as long as the operator lives: a Lease that was deleted
#   while a peer of higher priority was at work, or by another API server while the operator's own was away.
source "$(dirname "$0")/kopf.bash"
server=$!
cat >work.py <<'PYTHON'
import json, os

import kopf

@kopf.index("leases")
def holders(name, spec, **_):
    return {name: spec["holderIdentity"]}

@kopf.timer("configmaps", interval=1, labels={"for": "work"})
def work(holders, **_):
    with open("new", "w") as file:
        json.dump({name: list(found) for name, found in holders.items()}, file)
    os.rename("new", "index")
PYTHON
cat >finding.py <<'PYTHON'
import json, subprocess, sys, time

from kube import kube

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

def index():
    with open("index") as file:
        return json.load(file)

def create(name):
    """Makes a Lease of that name, and waits until it is in the index."""
    assert kube("POST", LEASES, {"metadata": {"name": name}, "spec": {"holderIdentity": f"pod-{name}"}})[0] == 201
    while name not in index():
        time.sleep(0.2)

def delete(name):
    assert kube("DELETE", f"{LEASES}/{name}")[0] == 200

def peer(*arguments):
    subprocess.run(["venv/bin/kopf", *arguments, "--namespace", "default", "--peering", "election", "--id", "peer"], check=True,
                   stderr=subprocess.DEVNULL)

def compare(what):
    there = {lease["metadata"]["name"] for lease in kube("GET", LEASES)[1]["items"]}
    print(f"{what}: Leases {sorted(there)}, index {index()}")
    return there, set(index())

if sys.argv[2] == "pause":
    kube("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "any", "labels": {"for": "work"}}})
    for name in "abc":
        create(name)
    assert compare("at first") == ({"a", "b", "c"}, {"a", "b", "c"})
    peer("freeze", "--priority", "100", "--lifetime", "300")
    while "Pausing operations" not in open("A.op").read():
        time.sleep(0.2)
    delete("a")
    peer("resume")
    create("d")  # so the new list has been read
    assert compare("a was deleted in a pause") == ({"b", "c", "d"}, {"a", "b", "c", "d"})
elif sys.argv[2] == "delete":
    delete("b")
else:
    create("e")
    time.sleep(5)
    assert compare("b was deleted while the API server was away") == ({"c", "d", "e"}, {"a", "b", "c", "d", "e"})
PYTHON
echo "{}" >index
operator A --peering election --priority 1 &
python3 finding.py "$api" pause
mapfile -d '' -t command <"/proc/$server/cmdline"
instead() {  # instead ADDRESS: the API server ends and is started there
  kill "$server" && wait "$server" || true
  "${command[@]/--secure-port=*/--secure-port=${1#*:}}" >>kube.log 2>&1 &
  server=$!
  until python3 -c "$ready" "$1" 2>/dev/null; do sleep 0.2; done
}
other=$(python3 -c 'import socket; print("127.0.0.1:%d" % socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
instead "$other"
python3 finding.py "$other" delete
instead "$api"
python3 finding.py "$api" restart
echo "as found: the index has Leases that are no more"
