#!/bin/bash
# The Python package kubernetes 37.0.2, both its leader elections, and a Lease of 60 s that another renews each 10 s.
# Guess: a candidate waits for as long as the Lease says in leaseDurationSeconds, whatever its own lease_duration is: the
#   field is there to tell it.
# Behaviour: its own lease_duration counts. A candidate configured for 5 s takes the Lease between two renewals. So while
#   an election is made faster, by a rolling update, the new candidate leads beside the old one.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2
cat >finding.py <<'PYTHON'
import asyncio, datetime, http.server, importlib.metadata, json, logging, threading, time

from kubernetes import aio, client
from kubernetes.aio.leaderelection import electionconfig as aio_config, leaderelection as aio_election
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock as AioLeaseLock
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

print("kubernetes", importlib.metadata.version("kubernetes"))
logging.disable()
TIMES = {"lease_duration": 5, "renew_deadline": 3, "retry_period": 1}

def now():
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

class Lease(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"metadata": {"name": "l"}, "spec": self.server.spec}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)
    def do_PUT(self):
        self.server.spec = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["spec"]
        self.do_GET()
    log_message = lambda *args: None

def held_lease():
    """An API server with a Lease of 60 s whose holder renews it each 10 s."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lease)
    server.spec = {"holderIdentity": "other", "leaseDurationSeconds": 60, "leaseTransitions": 0, "acquireTime": now()}
    def renew():
        while server.spec["holderIdentity"] == "other":
            server.spec = {**server.spec, "renewTime": now()}
            server.renewed = time.monotonic()
            time.sleep(10)
    threading.Thread(target=renew, daemon=True).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"

def verdict(name, server):
    age = time.monotonic() - server.renewed
    print(f"{name}: leads, {age:.1f} s after the other has renewed its Lease of 60 s")
    assert age < 9 and server.spec["holderIdentity"] == "me"

server, url = held_lease()
client.Configuration.set_default(client.Configuration(host=url))
leads = threading.Event()
config = electionconfig.Config(LeaseLock("l", "default", "me"), onstarted_leading=leads.set, onstopped_leading=print, **TIMES)
threading.Thread(target=leaderelection.LeaderElection(config).run, daemon=True).start()
assert leads.wait(60)
verdict("kubernetes.leaderelection", server)

async def main():
    server, url = held_lease()
    leads = asyncio.Event()
    async def started():
        leads.set()
    async with aio.client.ApiClient(aio.client.Configuration(host=url)) as api:
        config = aio_config.Config(AioLeaseLock("l", "default", "me", api), onstarted_leading=started,
                                   onstopped_leading=started, **TIMES)
        election = asyncio.create_task(aio_election.LeaderElection(config).run())
        await asyncio.wait_for(leads.wait(), 60)
        verdict("kubernetes.aio.leaderelection", server)
        election.cancel()
asyncio.run(main())
PYTHON
venv/bin/python finding.py
echo "as found: a Lease of 60 s was taken after 5 s"
