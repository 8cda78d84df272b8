#!/bin/bash
# The Python package kubernetes 37.0.2, kubernetes.aio's leader election with its LeaseLock, the Lease not there yet.
# Guess: the first candidate creates the Lease and leads, as with kubernetes.leaderelection from the same package.
# Behaviour: LeaseLock.create passes pretty=True to a generated method that takes a string only and checks it, so run()
#   ends with a ValidationError before anything is sent. The election works only on a Lease that something else created.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2
cat >finding.py <<'EOF'
import asyncio, http.server, importlib.metadata, logging, threading

from kubernetes import aio, client
from kubernetes.aio.leaderelection import electionconfig as aio_config, leaderelection as aio_election
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock as AioLeaseLock
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes.leaderelection.leaderelectionrecord import LeaderElectionRecord

logging.disable()
print("kubernetes", importlib.metadata.version("kubernetes"))
requests = []

class Api(http.server.BaseHTTPRequestHandler):
    """Has no Lease, and accepts one that is created."""
    def do_GET(self, status=404, body=b'{"kind": "Status", "status": "Failure", "code": 404}'):
        requests.append(self.command)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.do_GET(201, self.rfile.read(int(self.headers["Content-Length"])))
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

client.Configuration.set_default(client.Configuration(host=url))
now = "2026-01-01 00:00:00.000001"
created = LeaseLock("l", "default", "me").create("l", "default", LeaderElectionRecord("me", "15", now, now))
print("kubernetes.leaderelection: created:", created, "after", requests)
assert created and requests == ["POST"]
requests.clear()

async def work():
    requests.append("work")

async def main():
    async with aio.client.ApiClient(aio.client.Configuration(host=url)) as api:
        lock = AioLeaseLock("l", "default", "me", api)
        config = aio_config.Config(lock, 15, 10, 2, onstarted_leading=work, onstopped_leading=work)
        await asyncio.wait_for(aio_election.LeaderElection(config).run(), 20)

try:
    asyncio.run(main())
except ValueError as error:
    print("kubernetes.aio.leaderelection:", type(error).__name__, "after", requests)
    print(*str(error).splitlines()[:3], sep="\n")
    assert "pretty" in str(error) and requests == ["GET"]
else:
    raise SystemExit("run() raised nothing")
EOF
venv/bin/python finding.py
echo "as found: kubernetes.aio sent no request to create the Lease"
