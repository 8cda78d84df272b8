#!/bin/bash
# The Python package kubernetes 37.0.2, SharedInformer, which lists and then watches, of Leases.
# Guess: after an error it pauses before it tries again, as it does for 5 s after a list that fails.
# Behaviour: after a list, yes. A watch that is refused, or whose server is away, is tried again at once, as fast as the machine
#   can, each time with a line in the log and a call of the ERROR handler, until it is answered.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2
cat >finding.py <<'PYTHON'
import importlib.metadata, json, logging, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kubernetes import client
from kubernetes.informer import ERROR, SharedInformer

SECONDS = 12
logging.disable(logging.CRITICAL)

class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body):
        data = json.dumps({"apiVersion": "coordination.k8s.io/v1", **body}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        """One verb is forbidden, as by RBAC; a watch that is not lasts until the server ends."""
        verb = "watch" if "watch=" in self.path else "list"
        self.server.asked.append(verb)
        if verb == self.server.forbidden:
            self.answer(403, {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403})
        elif verb == "list":
            self.answer(200, {"kind": "LeaseList", "metadata": {"resourceVersion": "7"}, "items": []})
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            self.server.gone.wait()
            self.close_connection = True

    log_message = lambda *_: None

def served(forbidden):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.asked, server.forbidden, server.gone = [], forbidden, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

def ended(server):
    server.shutdown()
    server.server_close()
    server.gone.set()

def errors(words, forbidden):
    """How often the ERROR handler was called while the informer was left alone."""
    server, seen = served(forbidden), []
    config = client.Configuration(host=f"http://127.0.0.1:{server.server_port}")
    informer = SharedInformer(client.CoordinationV1Api(client.ApiClient(config)).list_namespaced_lease, namespace="default")
    informer.add_event_handler(ERROR, seen.append)
    informer.start()
    if not forbidden:
        while server.asked != ["list", "watch"]:
            time.sleep(0.1)
        ended(server)
    time.sleep(SECONDS)
    found = len(seen)
    print(f"{words}: {found} tries in {SECONDS} s, each a {type(seen[0]).__name__}; asked {server.asked[:3]} ...", flush=True)
    informer.stop()
    if forbidden:
        ended(server)
    return found

print("kubernetes", importlib.metadata.version("kubernetes"))
assert errors("list is forbidden", "list") <= 3
assert errors("watch is forbidden", "watch") > 50
assert errors("the API server is away", None) > 50
PYTHON
timeout 120 venv/bin/python finding.py
echo "as found: it tries without a pause"
