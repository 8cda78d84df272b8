#!/bin/bash
# lightkube 1.0.1 (PyPI), `watch(Lease, on_error=…)` of Client and AsyncClient, whose handler always says "try again after a
# second", while the API server is away for some seconds.
# Guess: the handler is asked when the watch is lost and when it cannot be made again, until the API server is back.
# Behaviour: it is asked when the watch is lost. That the next one cannot be made is no matter for it: the exception leaves
#   the loop. So the observer ends with the first try that comes too early, whatever its handler says.
source "$(dirname "$0")/python.bash" lightkube==1.0.1
cat >finding.py <<'PYTHON'
import asyncio, importlib.metadata, json, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import lightkube
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.resources.coordination_v1 import Lease
from lightkube.types import OnErrorAction, OnErrorResult

asked, seen = [], []

class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """A watch that tells who leads, and lasts until the server ends."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        lease = {"metadata": {"name": "lease", "resourceVersion": "7"}, "spec": {"holderIdentity": self.server.leader}}
        event = json.dumps({"type": "MODIFIED", "object": lease}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.server.gone.wait()
        self.close_connection = True

    log_message = lambda *_: None

def served(port, leader):
    server = ThreadingHTTPServer(("127.0.0.1", port), Api)
    server.leader, server.gone = leader, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

def ended(server):
    server.shutdown()
    server.server_close()
    server.gone.set()

def away(server):
    ended(server)
    time.sleep(4)
    back.append(served(server.server_port, "b"))

def again(error, count):
    asked.append(type(error).__name__)
    return OnErrorResult(OnErrorAction.RETRY, sleep=1)

def config(server):
    return KubeConfig.from_one(cluster=Cluster(server=f"http://127.0.0.1:{server.server_port}"), user=User(token="t"))

def followed(server):
    for _, lease in lightkube.Client(config(server)).watch(Lease, namespace="default", on_error=again):
        seen.append(lease.spec.holderIdentity)

async def followed_async(server):
    async for _, lease in lightkube.AsyncClient(config(server)).watch(Lease, namespace="default", on_error=again):
        seen.append(lease.spec.holderIdentity)

print("lightkube", importlib.metadata.version("lightkube"))
for client, follow in ("Client", followed), ("AsyncClient", lambda server: asyncio.run(followed_async(server))):
    asked.clear(), seen.clear()
    first, back = served(0, "a"), []
    leaves = threading.Timer(2, away, [first])
    leaves.start()
    try:
        follow(first)
    except Exception as error:
        print(f"{client}: seen {seen}, the handler was asked about {asked}; then {type(error).__name__}: {error}")
        assert seen == ["a"] and len(asked) == 1 and type(error).__name__ == "ConnectError"
    else:
        raise SystemExit("it ended without an exception")
    leaves.join()
    ended(back[0])
PYTHON
timeout 60 venv/bin/python finding.py
echo "as found: the handler said that it should be tried again, and it was not"
