#!/bin/bash
# tooz 9.1.0 (OpenStack's coordination library), a lock on etcd v3.7.3 by its etcd3gw driver.
# Guess: when the lock's lease is over at etcd, the lock's heartbeat() answers False or raises, and `acquired` is False.
# Behaviour: both stay True for as long as the process asks: `acquired` is what the process once noted, heartbeat()
#   renews a lease that is gone and does not look at the answer. Only release() tells. Whoever waits takes a new lease
#   with each try, and leaves it to run out.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tooz==9.1.0 etcd3gw==2.7.0
venv/bin/pip list --format freeze 2>/dev/null | grep -E '^(tooz|etcd3gw)=='
cat >finding.py <<'PYTHON'
import sys, time

from tooz import coordination

def locked(member):
    url = f"etcd3+http://{sys.argv[1]}?api_version=v3&lock_timeout=3"
    coordinator = coordination.get_coordinator(url, member)
    coordinator.start()
    return coordinator, coordinator.get_lock(b"lock")

def leases():
    return len(waiter.client.post(waiter.client.get_url("/lease/leases"), json={})["leases"])

(_, first), (waiter, second) = locked(b"first"), locked(b"second")
assert first.acquire(blocking=False)
print("first: acquired, and then paused for longer than its lock_timeout of 3 s")
before = leases()
assert not any(second.acquire(blocking=False) for _ in range(5))
left = leases() - before
print("second: five tries; leases left at etcd:", left)
start = time.monotonic()
while not second.acquire(blocking=False):
    assert time.monotonic() - start < 60
    time.sleep(0.2)
print("second: acquired", second.acquired)
told = first.acquired, first.heartbeat(), first.acquired
print("first: acquired {}, heartbeat {}, acquired {}".format(*told))
released = first.release()
print("first: release", released)
assert left == 5 and second.acquired and told == (True,) * 3 and released is False
PYTHON
venv/bin/python -W ignore finding.py "$client"
echo "as found: the first was told that it holds the lock while the second held it"
