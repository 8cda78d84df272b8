# Sourced by the scripts: besides what apiserver.bash does, builds helm v4.3.1 in the folder client and points it at that
# server. Into the current folder it writes helm.py: a chart, helm's commands, and what controllers and a kubelet would
# write, as there are none.
source "$(dirname "$0")/apiserver.bash"
mkdir client && pushd client >/dev/null
printf 'module finding\ngo 1.26.0\nrequire helm.sh/helm/v4 v4.3.1\ntool helm.sh/helm/v4/cmd/helm\n' >go.mod
go mod tidy 2>/dev/null
CGO_ENABLED=0 go build -trimpath -gcflags=all=-dwarf=false -o ../helm helm.sh/helm/v4/cmd/helm
echo "helm $(go list -m -f '{{.Version}}' helm.sh/helm/v4)"
popd >/dev/null
export HELM_KUBEAPISERVER="https://$api" HELM_KUBETOKEN=admin HELM_KUBEINSECURE_SKIP_TLS_VERIFY=true
export KUBECONFIG="$work/none" HELM_CACHE_HOME="$work" HELM_CONFIG_HOME="$work" HELM_DATA_HOME="$work"
cat >helm.py <<'PYTHON'
import json, subprocess, time
from datetime import UTC, datetime
from pathlib import Path

from kube import kube

CORE, APPS, BATCH = "/api/v1/namespaces/default/", "/apis/apps/v1/namespaces/default/", "/apis/batch/v1/namespaces/default/"
SPEC = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.invalid/main"}]}

def chart(*objects):
    """Writes the chart `app` of these objects; in their JSON, helm's templates work as in YAML."""
    Path("app/templates").mkdir(parents=True, exist_ok=True)
    Path("app/Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    Path("app/templates/all.yaml").write_text("\n---\n".join(map(json.dumps, objects)))
    kube("POST", f"{CORE}serviceaccounts", {"metadata": {"name": "default"}})

def job(name, hook=None, **spec):
    meta = {"name": name, **({"annotations": {"helm.sh/hook": hook}} if hook else {})}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {**spec, "template": {"spec": SPEC}}}

def started(*arguments):
    print("$ helm", *arguments)
    return subprocess.Popen(["./helm", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

def ended(command, seconds=120):
    """Its exit status and what it said."""
    said = command.communicate(timeout=seconds)[0].strip()
    print(f"exit {command.returncode}: {said.splitlines()[-1][:300] if said else ''}")
    return command.returncode, said

def helm(*arguments):
    return ended(started(*arguments))

def there(path):
    """The object, once it is there."""
    for _ in range(200):
        code, found = kube("GET", path)
        if code == 200:
            return found
        time.sleep(0.2)
    raise TimeoutError(path)

def wrote_status(path, status):
    code, answer = kube("PATCH", f"{path}/status", {"status": status}, content="application/merge-patch+json")
    assert code == 200, answer

def finished(name, succeeded=True):
    """What the Job controller writes when the pod of a Job has ended."""
    while there(f"{BATCH}jobs/{name}")["status"].get("conditions"):
        time.sleep(0.2)  # it is the Job of an earlier hook
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    reason = "CompletionsReached" if succeeded else "BackoffLimitExceeded"
    types = ("SuccessCriteriaMet", "Complete") if succeeded else ("FailureTarget", "Failed")
    conditions = [{"type": kind, "status": "True", "reason": reason, "lastTransitionTime": now} for kind in types]
    counts = {"succeeded": 1, "completionTime": now} if succeeded else {"failed": 1}
    status = {"startTime": now, "uncountedTerminatedPods": {}, **counts, "conditions": conditions}
    wrote_status(f"{BATCH}jobs/{name}", status)
    print(f"Job {name} has {'succeeded' if succeeded else 'failed'}")
PYTHON
