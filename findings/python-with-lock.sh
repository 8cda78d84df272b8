#!/bin/bash
# Locks of three Python clients of etcd, aetcd 1.0.0, etcd3 0.12.0 and etcd3gw 2.7.0, as a context manager (all three
# document it so), while another process holds the lock; etcd v3.7.3.
# Guess: `with client.lock(...)` waits for the lock, or raises; its body runs only under the lock.
# Behaviour: the result of acquire() is thrown away. aetcd and etcd3 wait for ten seconds and then run the body,
#   etcd3gw asks once and runs it at once. Nothing is raised or logged.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aetcd==1.0.0 etcd3==0.12.0 'tenacity<7' etcd3gw==2.7.0
venv/bin/pip list --format freeze 2>/dev/null | grep -E '^(aetcd|etcd3|etcd3gw)=='
cat >finding.py <<'PYTHON'
import asyncio, sys, time

client, (host, _, port) = sys.argv[1], sys.argv[2].rpartition(":")
start = time.monotonic()

def body(lock_is_mine):
    print(f"{client}: the body runs after {time.monotonic() - start:.0f} s; is_acquired(): {lock_is_mine}")
    assert lock_is_mine is False

async def with_aetcd():
    import aetcd
    async with aetcd.Client(host, int(port)) as etcd, etcd.lock(b"lock", ttl=30) as lock:
        body(await lock.is_acquired())

def with_etcd3():
    import etcd3
    with etcd3.client(host, int(port)).lock("lock", ttl=30) as lock:
        body(lock.is_acquired())

def with_etcd3gw():
    import etcd3gw
    with etcd3gw.client(host, int(port), api_path="/v3/").lock("lock", ttl=30) as lock:
        body(lock.is_acquired())

if client == "aetcd":
    asyncio.run(with_aetcd())
else:
    globals()[f"with_{client}"]()
PYTHON
for key in lock /locks/lock; do ctl put "$key" somebody-else >/dev/null; done
echo "somebody else holds the lock, by a key without a lease"
for name in aetcd etcd3 etcd3gw; do
  PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python venv/bin/python -W ignore finding.py "$name" "$client"
done
for key in lock /locks/lock; do [[ $(ctl get --print-value-only "$key") == somebody-else ]]; done
echo "as found: three bodies ran under a lock that somebody else held"
