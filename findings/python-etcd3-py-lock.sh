#!/bin/bash
# etcd3-py 0.1.6 (PyPI), its Lock on etcd v3.7.3: one process has it, three wait by `acquire()`, and the first one releases it.
# Guess: one of the three has it, and the others wait on.
# Behaviour: all three return as if they had it. Who has waited puts its own name into the key, whatever is in it; its
#   transaction asks only whether the name is its own. Only `is_acquired`, asked later, tells two of them that they lost it.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check etcd3-py==0.1.6
venv/bin/pip list --format freeze 2>/dev/null | grep '^etcd3-py=='
cat >finding.py <<'PYTHON'
import sys, threading, time

from etcd3 import Client

host, _, port = sys.argv[1].rpartition(":")

def lock():
    return Client(host, int(port)).Lock("job", lock_ttl=30)

def work(name, mine):
    mine.acquire()
    has.append(name)

has, locks = [], {name: lock() for name in ("second", "third", "fourth")}
first = lock()
first.acquire()
waiting = [threading.Thread(target=work, args=item) for item in locks.items()]
for thread in waiting:
    thread.start()
time.sleep(5)
print("while the first has the lock:", has)
assert first.is_acquired and not has
first.release()
for thread in waiting:
    thread.join(60)
print("after its release these have returned from acquire(), and none has released:", has)
print("is_acquired:", {name: mine.is_acquired for name, mine in locks.items()})
assert sorted(has) == sorted(locks)
PYTHON
timeout 120 venv/bin/python finding.py "$client"
echo "as found: all that waited for the lock have it at a time"
