#!/bin/bash
# The Python package kubernetes 37.0.2, both its leader elections, and a Lease that another client holds and renews
# without an acquireTime (the API has it optional; the kubelet's Leases of nodes have none).
# Guess: a candidate waits for lease_duration without a change, as for any Lease that names another holder.
# Behaviour: a Lease that lacks any of four fields counts as free. The candidate writes its own name into it in its
#   first round, and leads while the holder does.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2
cat >finding.py <<'EOF'
import asyncio, datetime, http.server, importlib.metadata, json, logging, threading

from kubernetes import aio, client
from kubernetes.aio.leaderelection import electionconfig as aio_config, leaderelection as aio_election
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock as AioLeaseLock
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

print("kubernetes", importlib.metadata.version("kubernetes"))
logging.disable()
writers = []

class Lease(http.server.BaseHTTPRequestHandler):
    """A Lease that its holder has renewed just now, whenever it is read."""
    spec = {}
    def do_GET(self):
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        body = {"metadata": {"name": "l", "resourceVersion": "1"}, "spec": {**self.spec, "renewTime": now}}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())
    def do_PUT(self):
        writers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["spec"]["holderIdentity"])
        self.do_GET()
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lease)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
client.Configuration.set_default(client.Configuration(host=url))

async def nothing():
    pass

async def aio_round():
    async with aio.client.ApiClient(aio.client.Configuration(host=url)) as api:
        config = aio_config.Config(AioLeaseLock("l", "default", "me", api), 15, 10, 2, nothing, nothing)
        return await aio_election.LeaderElection(config).try_acquire_or_renew()

held = {"holderIdentity": "other", "leaseDurationSeconds": 15}
for Lease.spec, expected in (({**held, "acquireTime": "2026-01-01T00:00:00.000001Z"}, False), (held, True)):
    lock = LeaseLock("l", "default", "me")
    config = electionconfig.Config(lock, 15, 10, 2, onstarted_leading=print, onstopped_leading=print)
    leads = [leaderelection.LeaderElection(config).try_acquire_or_renew(), asyncio.run(aio_round())]
    print("held by other,", *Lease.spec, "renewTime: leaderelection, aio.leaderelection lead:", *leads, writers)
    assert leads == [expected] * 2 and writers == ["me"] * 2 * expected
EOF
venv/bin/python finding.py
echo "as found: the Lease without acquireTime was taken from its holder"
