#!/bin/bash
# kube-apiserver v1.36.3, list and watch from a resourceVersion that it has not reached, as clients ask for when etcd was
# restored from a backup.
# Guess: both are refused, so that a client begins again: 410, or "Too large resource version".
# Behaviour: the list is, with 504. The watch is opened, and says nothing of all that is written until the server has come to
#   that revision. A client that only resumes its watch is blind for so long, and sees no error.
source "$(dirname "$0")/apiserver.bash"
cat >finding.py <<'PYTHON'
import json, threading, time

from kube import kube, opened

MAPS = "/api/v1/namespaces/default/configmaps"
seen, ended = [], []

def write(name):
    return int(kube("POST", MAPS, {"metadata": {"name": name}})[1]["metadata"]["resourceVersion"])

def watch(version):
    with opened("GET", f"{MAPS}?watch=1&resourceVersion={version}", timeout=300) as stream:
        print("watch from there:", stream.status)
        for line in stream:
            event = json.loads(line)
            seen.append(int(event["object"]["metadata"]["resourceVersion"]))
    ended.append(True)

# Until what the server writes at its start is done: nobody else writes then.
settled, now = 0, write("first")
while settled < 3:
    time.sleep(2)
    settled = settled + 1 if (before := now + 1) == (now := write(f"settling-{time.monotonic_ns()}")) else 0
ahead = now + 200
print(f"the server is at {now}; asked for {ahead}")
code, answer = kube("GET", f"{MAPS}?resourceVersion={ahead}")
print("list from there:", code, answer["message"])
assert code == 504
threading.Thread(target=watch, args=(ahead,), daemon=True).start()
time.sleep(3)
missed = [write(f"missed-{number}") for number in range(20)]
time.sleep(10)
print(f"written meanwhile, at {missed[0]} to {missed[-1]}; events {seen}; watch ended {bool(ended)}")
assert missed[-1] < ahead and not ended and not seen
while write(f"more-{time.monotonic_ns()}") <= ahead:
    pass
time.sleep(5)
print("when the server has passed it: events at", seen)
assert seen and min(seen) > ahead
PYTHON
python3 finding.py "$api"
echo "as found: the watch was open and silent"
