#!/bin/bash
# The Python package kubernetes 37.0.2 with urllib3 2.8.0, a call that the API server answers with 429 and Retry-After.
# Guess: it raises ApiException with status 429 at once, whatever the verb; in any case it is over with _request_timeout.
# Behaviour: GET, PUT and DELETE sleep inside the call for as long as the server says, and are sent again, three times;
#   _request_timeout is each try's own, and does not count the sleep. Then ApiException is raised. POST and PATCH raise it
#   at once.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2 urllib3==2.8.0
cat >finding.py <<'PYTHON'
import http.server, importlib.metadata, json, threading, time

from kubernetes import client

RETRY_AFTER = 4  # seconds; an API server that sheds load says 1, and more while it goes on
TIMEOUT = 1
print(*(f"{name} {importlib.metadata.version(name)}" for name in ("kubernetes", "urllib3")))
requests = []

class Busy(http.server.BaseHTTPRequestHandler):
    """An API server that sheds each request, as by priority and fairness."""
    def answer(self):
        requests.append(self.command)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"kind": "Status", "code": 429, "reason": "TooManyRequests"}).encode()
        self.send_response(429)
        self.send_header("Retry-After", str(RETRY_AFTER))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer
    log_message = lambda *args: None

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
threading.Thread(target=server.serve_forever, daemon=True).start()
api = client.CoordinationV1Api(client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{server.server_port}")))
lease = client.V1Lease(metadata=client.V1ObjectMeta(name="l"))
named = {"name": "l", "namespace": "default", "_request_timeout": TIMEOUT}
calls = {
    "GET": lambda: api.read_namespaced_lease(**named),
    "PUT": lambda: api.replace_namespaced_lease(body=lease, **named),
    "DELETE": lambda: api.delete_namespaced_lease(**named),
    "POST": lambda: api.create_namespaced_lease(namespace="default", body=lease, _request_timeout=TIMEOUT),
    "PATCH": lambda: api.patch_namespaced_lease(body={}, **named),
}
for verb, call in calls.items():
    requests.clear()
    start = time.monotonic()
    try:
        call()
    except Exception as error:
        raised = error
    took = time.monotonic() - start
    print(f"{verb}, _request_timeout {TIMEOUT} s, Retry-After {RETRY_AFTER} s: raised after {took:.1f} s, requests {len(requests)}")
    assert isinstance(raised, client.ApiException) and raised.status == 429
    if verb in ("GET", "PUT", "DELETE"):
        assert took >= 3 * RETRY_AFTER and requests == [verb] * 4
    else:
        assert took < RETRY_AFTER and requests == [verb]
PYTHON
timeout 300 venv/bin/python finding.py
echo "as found: a call that waits as long as the server says, past its own time limit"
