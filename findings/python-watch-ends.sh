#!/bin/bash
# The Python package kubernetes 37.0.2, Watch.stream() without a time limit, when the API server ends the watch, as it does
# each 30 to 60 minutes.
# Guess: the loop over it goes on for ever, over as many requests as it takes: with events it does.
# Behaviour: until the first event has come, the loop ends with the request, without an exception. So an observer of a lock
#   that nobody has taken yet is gone after an hour, and one of a busy lock is not. kubernetes.aio's goes on in both cases.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2
cat >finding.py <<'PYTHON'
import asyncio, http.server, importlib.metadata, json, threading
from urllib.parse import parse_qs, urlparse

from kubernetes import aio, client, watch

print("kubernetes", importlib.metadata.version("kubernetes"))

class Watched(http.server.BaseHTTPRequestHandler):
    """An API server whose watches last for half a second; /first has an event in its first watch, each in its third."""
    def do_GET(self):
        namespace = self.path.split("/")[5]
        count = self.server.watches[namespace] = self.server.watches.get(namespace, 0) + 1
        self.server.versions.append(parse_qs(urlparse(self.path).query).get("resourceVersion"))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if count == 3 or count == 1 and namespace == "first":
            lease = {"metadata": {"name": f"event-{count}", "resourceVersion": str(count)}, "spec": {}}
            self.wfile.write(json.dumps({"type": "ADDED", "object": lease}).encode() + b"\n")
        threading.Event().wait(0.5)
    log_message = lambda *args: None

def api_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Watched)
    server.watches, server.versions = {}, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"

def observed(namespace):
    """The events until the third watch's, or until the loop ends."""
    server, url = api_server()
    api = client.CoordinationV1Api(client.ApiClient(client.Configuration(host=url)))
    names = []
    for event in watch.Watch().stream(api.list_namespaced_lease, namespace):
        names.append(event["object"].metadata.name)
        if names[-1] == "event-3":
            break
    return names, server.watches[namespace]

async def aio_observed(namespace):
    server, url = api_server()
    names = []
    async with aio.client.ApiClient(aio.client.Configuration(host=url)) as connection:
        api = aio.client.CoordinationV1Api(connection)
        async for event in aio.watch.Watch().stream(api.list_namespaced_lease, namespace):
            names.append(event["object"].metadata.name)
            if names[-1] == "event-3":
                break
    return names, server.watches[namespace]

for namespace, expected in (("first", (["event-1", "event-3"], 3)), ("none", ([], 1))):
    names, count = observed(namespace)
    print(f"kubernetes.watch, an event in the first watch: {namespace == 'first'}; watches made {count}, events {names}")
    assert (names, count) == expected
names, count = asyncio.run(aio_observed("none"))
print(f"kubernetes.aio.watch, an event in the first watch: False; watches made {count}, events {names}")
assert (names, count) == (["event-3"], 3)
PYTHON
timeout 120 venv/bin/python finding.py
echo "as found: a watch that had seen nothing was not made again"
