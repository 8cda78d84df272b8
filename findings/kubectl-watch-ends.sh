#!/bin/bash
# kubectl v1.36.3, `get lease NAME --watch`, whose watch the API server ends, as it does within the hour
# (--min-request-timeout), or whose API server is killed.
# Guess: it watches again, as `kubectl wait` does, or ends with an error.
# Behaviour: it ends in silence, with exit 0. The leaders after that are not told. So it does when the server is killed.
flags=(--min-request-timeout=2)
source "$(dirname "$0")/apiserver.bash"
server=$!
pushd kube >/dev/null
CGO_ENABLED=0 go build -mod=mod -trimpath -gcflags=all=-dwarf=false -o .. k8s.io/kubernetes/cmd/kubectl 2>kubectl.log || { tail kubectl.log; exit 1; }
popd >/dev/null
cat >finding.py <<'PYTHON'
import os, signal, subprocess, sys, time

from kube import kube

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
KUBECTL = ["./kubectl", f"--server=https://{sys.argv[1]}", "--token=admin", "--insecure-skip-tls-verify", "--kubeconfig=/dev/null"]

def led(name):
    patch = {"spec": {"holderIdentity": name}}
    assert kube("PATCH", f"{LEASES}/lease", patch, content="application/merge-patch+json")[0] == 200
    print(f"{name} leads")

def started(*arguments):
    print("$ kubectl", *arguments)
    command = subprocess.Popen([*KUBECTL, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(1)
    return command

def ended(command):
    """What it said, and its exit."""
    said = command.communicate(timeout=60)[0]
    print(f"{said}exit {command.returncode}")
    return said, command.returncode

assert kube("POST", LEASES, {"metadata": {"name": "lease"}, "spec": {"holderIdentity": "first"}})[0] == 201
watch = started("get", "lease", "lease", "--watch")
wait = started("wait", "lease/lease", "--for=jsonpath={.spec.holderIdentity}=third", "--timeout=1m")
led("second")
said, code = ended(watch)
assert "second" in said and "error" not in said.lower() and code == 0
time.sleep(5)  # the watch of `wait` has been ended, too
led("third")
assert ended(wait)[1] == 0
said = ""
while "fourth" not in said:  # the watch goes on
    watch = started("get", "lease", "lease", "--watch")
    watch.stdout.readline(), watch.stdout.readline()
    led("fourth")
    said = watch.stdout.readline()
os.kill(int(sys.argv[2]), signal.SIGKILL)
print("the API server is killed")
said, code = ended(watch)
assert "error" not in said.lower() and code == 0
PYTHON
python3 finding.py "$api" "$server"
echo "as found: the watch has ended, with success"
