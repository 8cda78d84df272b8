#!/bin/bash
# The Python package kubernetes 37.0.2, Watch.stream() of `kubernetes` and of `kubernetes.aio`, with send_initial_events, by
# which a watch begins with all that there is and nothing needs to be listed before; kube-apiserver v1.37.2 ends the watch,
# as it does each 30 to 60 minutes, here each 2 to 4 s.
# Guess: the watch is resumed at the last revision, as it is without that option: a Lease deleted meanwhile is told.
# Behaviour: the option stays in the request, beside the last revision, so the API server begins anew: all that there is is
#   told as ADDED once more, and of the Lease that is gone nothing is said, ever.
kubernetes=v1.37.2
flags=(--min-request-timeout=2)
source "$(dirname "$0")/apiserver.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check kubernetes==37.0.2
cat >finding.py <<'PYTHON'
import asyncio, importlib.metadata, sys, time

from kubernetes import aio, client, watch
from kube import kube

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
ANEW = {"send_initial_events": True, "resource_version_match": "NotOlderThan", "allow_watch_bookmarks": True}
print("kubernetes", importlib.metadata.version("kubernetes"))

def created(name):
    code, answer = kube("POST", LEASES, {"metadata": {"name": name}, "spec": {"holderIdentity": name}})
    assert code == 201, answer

def connected(package):
    to = package.Configuration(host=f"https://{sys.argv[1]}")
    to.verify_ssl = False
    to.api_key = {"authorization": "Bearer admin"}
    return package.ApiClient(to)

class Observer:
    """The events that it was told. While it is busy with the last one there is, the watch ends, a is deleted, c created."""
    def __init__(self, options):
        self.events, self.last = [], "BOOKMARK" if options else "b"
        for name in "abc":
            kube("DELETE", f"{LEASES}/{name}")
        created("a"), created("b")

    def told(self, event):
        """Whether it was the last one."""
        name = event["raw_object"]["metadata"].get("name")
        self.events.append(f"{event['type']} {name}" if name else event["type"])
        if self.last and self.events[-1].endswith(self.last):
            self.last = None
            time.sleep(8)  # the watch has ended
            assert kube("DELETE", f"{LEASES}/a")[0] == 200
            created("c")
            self.events.append("meanwhile")
        return self.events[-1] == "ADDED c"

def observed(options):
    observer = Observer(options)
    api = client.CoordinationV1Api(connected(client))
    for event in watch.Watch().stream(api.list_namespaced_lease, "default", **options):
        if observer.told(event):
            return observer.events

async def aio_observed(options):
    observer = Observer(options)
    async with connected(aio.client) as connection:
        api = aio.client.CoordinationV1Api(connection)
        async for event in aio.watch.Watch().stream(api.list_namespaced_lease, "default", **options):
            if observer.told(event):
                return observer.events

for name, observe in ("kubernetes", observed), ("kubernetes.aio", lambda options: asyncio.run(aio_observed(options))):
    for options in {}, ANEW:
        events = observe(options)
        print(f"{name}, with {', '.join(options) or 'no options'}: {', '.join(events)}", flush=True)
        since = [event for event in events[events.index("meanwhile") + 1:] if event != "BOOKMARK"]
        assert since == (["ADDED b", "ADDED c"] if options else ["DELETED a", "ADDED c"])
PYTHON
timeout 300 venv/bin/python -W ignore finding.py "$api"
echo "as found: with the initial events, nobody was told that the Lease is gone"
