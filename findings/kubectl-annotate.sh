#!/bin/bash
# kubectl v1.36.3, `annotate` and `label` without --overwrite, by two at the same moment.
# Guess: as an annotation that is there is not written over, this makes a lock: of two who write the same annotation one
#   is refused, as the one is who comes later.
# Behaviour: kubectl reads the object, looks, and sends a patch without a resourceVersion, which is never a conflict. Both
#   are told "annotated", exit 0; the later name stands. With --resource-version one of them is refused.
source "$(dirname "$0")/apiserver.bash"
pushd kube >/dev/null
CGO_ENABLED=0 go build -mod=mod -trimpath -gcflags=all=-dwarf=false -o .. k8s.io/kubernetes/cmd/kubectl 2>kubectl.log || { tail kubectl.log; exit 1; }
popd >/dev/null
cat >finding.py <<'PYTHON'
import json, subprocess, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError

from kube import kube, opened

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

class Proxy(BaseHTTPRequestHandler):
    """Passes on to the API server. While two work at a time, the first has read the Lease before the second has written."""
    both = threading.Barrier(2)
    together = False

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer = opened(self.command, self.path, json.loads(body) if body else None,
                            content=self.headers.get("Content-Type") or "application/json")
        except HTTPError as error:
            answer = error
        data = answer.read()
        if Proxy.together and (self.command, self.path) == ("GET", f"{LEASES}/lock"):
            Proxy.both.wait(60)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PATCH = pass_on
    log_message = lambda *_: None

server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=server.serve_forever, daemon=True).start()
KUBECTL = ["./kubectl", f"--server=http://127.0.0.1:{server.server_port}", "--kubeconfig=/dev/null", "--cache-dir=cache"]

def started(*arguments):
    return subprocess.Popen([*KUBECTL, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

def locked(verb, together, guarded=False):
    """The exits of two who want the lock, and the name that stands."""
    kube("DELETE", f"{LEASES}/lock")
    code, lease = kube("POST", LEASES, {"metadata": {"name": "lock"}})
    assert code == 201, lease
    Proxy.together = together
    version = [f"--resource-version={lease['metadata']['resourceVersion']}"] if guarded else []
    commands = []
    for name in ("one", "two"):
        commands.append(started(verb, "lease", "lock", f"holder={name}", *version))
        if not together:
            commands[-1].wait()
    said = [command.communicate(timeout=90)[0].strip() for command in commands]
    exits = [command.returncode for command in commands]
    holder = kube("GET", f"{LEASES}/lock")[1]["metadata"][f"{verb}s" if verb == "label" else "annotations"]["holder"]
    print(f"{verb}{' with --resource-version' * guarded}, {'both at once' if together else 'one after the other'}: "
          f"exits {exits}, holder {holder}\n  " + "\n  ".join(line[:150] for line in said))
    return sorted(exits)

assert locked("annotate", False) == [0, 1]
for verb in ("annotate", "label"):
    assert locked(verb, True) == [0, 0]
    assert locked(verb, True, guarded=True) == [0, 1]
PYTHON
python3 finding.py "$api"
echo "as found: both were told that they had written it"
