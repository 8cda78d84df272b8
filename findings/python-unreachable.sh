#!/bin/bash
# The Python package kubernetes 37.0.2, both its leader elections: kubernetes.leaderelection and kubernetes.aio's.
# Guess: while the API server refuses connections, the leader tries again until renew_deadline, and then its
#   onstopped_leading is called and the work ended, as in client-go. A restart of the API server goes unnoticed.
# Behaviour: the locks catch the API server's error answers only. The first renewal that gets no connection leaves run()
#   with the HTTP library's exception. onstopped_leading is never called, and the work goes on beside the next leader.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2
cat >finding.py <<'EOF'
import asyncio, http.server, importlib.metadata, logging, threading, time

from kubernetes import aio, client
from kubernetes.aio.leaderelection import electionconfig as aio_config, leaderelection as aio_election
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock as AioLeaseLock
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

print("kubernetes", importlib.metadata.version("kubernetes"))
logging.disable()
TIMES = {"lease_duration": 15, "renew_deadline": 10, "retry_period": 2}
stopped = []

class Lease(http.server.BaseHTTPRequestHandler):
    stored = b'{"metadata": {"name": "l"}, "spec": {}}'
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.stored)
    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.written.set()
        self.do_GET()
    log_message = lambda *args: None

def api_server():
    """The URL of an API server that goes away three seconds after the first write."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lease)
    server.written = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    end = server.written.wait, lambda: time.sleep(3), server.shutdown, server.server_close
    threading.Thread(target=lambda: [step() for step in end], daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"

def verdict(name, error, beats):
    led, silent = time.time() - beats[0], time.time() - beats[-1]
    print(f"{name}: run() raised {type(error).__name__} when it had led {led - 1:.0f} s")
    print(f"  onstopped_leading called: {bool(stopped)}; last sign of the work, a second later: {silent:.1f} s ago")
    assert led < TIMES["renew_deadline"] and not stopped and silent < 0.9

async def stop():
    stopped.append(1)
beats = []
def work():
    while True:
        beats.append(time.time())
        time.sleep(0.1)

client.Configuration.set_default(client.Configuration(host=api_server()))
config = electionconfig.Config(LeaseLock("l", "default", "me"), onstarted_leading=work,
                               onstopped_leading=lambda: stopped.append(1), **TIMES)
try:
    leaderelection.LeaderElection(config).run()
except Exception as error:
    time.sleep(1)
    verdict("kubernetes.leaderelection", error, beats)

async def main():
    beats = []
    async def work():
        while True:
            beats.append(time.time())
            await asyncio.sleep(0.1)
    async with aio.client.ApiClient(aio.client.Configuration(host=api_server())) as api:
        config = aio_config.Config(AioLeaseLock("l", "default", "me", api), onstarted_leading=work,
                                   onstopped_leading=stop, **TIMES)
        try:
            await aio_election.LeaderElection(config).run()
        except Exception as error:
            await asyncio.sleep(1)
            verdict("kubernetes.aio.leaderelection", error, beats)
asyncio.run(main())
EOF
venv/bin/python finding.py
echo "as found: no onstopped_leading, and the work went on"
