#!/bin/bash
# operator-lib 0.19.0, package leader ("leader for life"), on kube-apiserver v1.36.3; two operators' pods on two nodes.
# Guess: the lock is a ConfigMap that belongs to the leader's Pod, and is there until that Pod is gone; so there are
#   never two leaders, as the package says, and while a node does not answer, nobody follows.
# Behaviour: a candidate that finds the leader's node not ready tells the Pod to end and deletes the lock at once, without
#   waiting for the Pod's end. It leads while the Pod is there, "Running", and the first leader is told nothing. Without
#   its kubelet nothing ends it; with it there is still the grace period.
source "$(dirname "$0")/apiserver.bash"
mkdir operator && pushd operator >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/operator-framework/operator-lib/leader"
	"k8s.io/client-go/rest"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"
)

func main() {
	client, err := crclient.New(&rest.Config{Host: "https://" + os.Args[1], BearerToken: "admin",
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, crclient.Options{})
	if err != nil || leader.Become(context.Background(), "lock", leader.WithClient(client)) != nil {
		panic("not the leader")
	}
	for range time.Tick(time.Second) {
		fmt.Println("works")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire github.com/operator-framework/operator-lib v0.19.0\n' >go.mod
go mod tidy 2>/dev/null
go list -m github.com/operator-framework/operator-lib
go build -o ../become .
popd >/dev/null
cat >finding.py <<'PYTHON'
import os, subprocess, sys, time
from pathlib import Path
from kube import kube
CORE = "/api/v1/namespaces/default"
# As in a pod, there is the file that names the namespace, in a file system that only the process sees.
IN_POD = ("mount -t tmpfs none /var/run && mkdir -p $1 && echo -n default >$1/namespace && exec ./become $0",
          sys.argv[1], "/var/run/secrets/kubernetes.io/serviceaccount")

def wrote_status(path, **status):
    assert kube("PATCH", f"{path}/status", {"status": status}, content="application/merge-patch+json")[0] == 200

def operator(name):
    """A pod on a node of its own, and its process."""
    kube("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    wrote_status(f"/api/v1/nodes/{name}", conditions=[{"type": "Ready", "status": "True"}])
    spec = {"nodeName": name, "containers": [{"name": "main", "image": "registry.invalid/main"}]}
    assert kube("POST", f"{CORE}/pods", {"metadata": {"name": name}, "spec": spec})[0] == 201
    wrote_status(f"{CORE}/pods/{name}", phase="Running")
    return subprocess.Popen(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", *IN_POD],
                            stdout=open(name, "w"), stderr=open(f"{name}.log", "w"), env={**os.environ, "POD_NAME": name})

def works(name):
    return Path(name).read_text().count("works")

kube("POST", f"{CORE}/serviceaccounts", {"metadata": {"name": "default"}})
processes = [operator("first")]
try:
    while not works("first"):
        time.sleep(0.2)
    processes.append(operator("second"))
    time.sleep(5)
    assert not works("second")
    wrote_status("/api/v1/nodes/first", conditions=[{"type": "Ready", "status": "Unknown"}])  # as nothing is heard of its kubelet
    while not works("second"):
        time.sleep(0.2)
    before = works("first")
    time.sleep(5)
    pod, lock = (kube("GET", f"{CORE}/{path}")[1] for path in ("pods/first", "configmaps/lock"))
    print("the first one's node: Ready is Unknown; the lock belongs to:", owner := lock["metadata"]["ownerReferences"][0]["name"])
    print("the first one's pod:", pod["status"]["phase"], "- told to end:", "deletionTimestamp" in pod["metadata"])
    print("in 5 s, pieces of work:", works("first") - before, "by the first,", works("second"), "by the second")
    assert owner == "second" and pod["status"]["phase"] == "Running" and works("first") - before >= 3 and works("second") >= 3
finally:
    for process in processes:
        process.kill()
        process.wait()
PYTHON
timeout 120 python3 finding.py "$api"
echo "as found: two leaders for life"
