#!/bin/bash
# etcd3aio 0.3.0 (PyPI), `async with client.lock(name, ttl=…)`, on etcd v3.7.3.
# Guess: `ttl` is for a holder that crashes. While it lives its lease is kept alive, as is that of who waits; the package
#   has a keep-alive.
# Behaviour: neither is. The lock is over after ttl seconds, under its holder, and the next one enters; the holder is told
#   when it leaves, by the error that its lease is not found. Who waits for longer than ttl has RuntimeError when its turn comes.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check etcd3aio==0.3.0
cat >finding.py <<'PYTHON'
import asyncio, importlib.metadata, sys, time

import grpc
from etcd3aio import Etcd3Client

START = time.monotonic()
inside = set()

def say(words):
    print(f"{time.monotonic() - START:5.1f} s  {words}")

async def works(client, name, lock, ttl, seconds):
    """Works under the lock; tells who was inside when it entered, None if it never did, and the exception."""
    beside = None
    try:
        async with client.lock(lock, ttl=ttl):
            beside = set(inside)
            inside.add(name)
            say(f"{name} has {lock}, ttl {ttl} s; beside it: {beside or 'nobody'}")
            await asyncio.sleep(seconds)
            inside.discard(name)
            say(f"{name} has done its work")
    except (RuntimeError, grpc.aio.AioRpcError) as error:
        say(f"{name}: {error if isinstance(error, RuntimeError) else error.details()}")
        return beside, type(error)
    return beside, None

async def main():
    async with Etcd3Client([sys.argv[1]]) as first, Etcd3Client([sys.argv[1]]) as second:
        long = asyncio.create_task(works(first, "a", "lock", 3, 12))
        await asyncio.sleep(1)
        assert await works(second, "b", "lock", 60, 1) == ({"a"}, None)
        assert await long == (set(), grpc.aio.AioRpcError)
        short = asyncio.create_task(works(first, "c", "other", 60, 12))
        await asyncio.sleep(1)
        assert await works(second, "d", "other", 3, 1) == (None, RuntimeError)
        assert await short == (set(), None)

print("etcd3aio", importlib.metadata.version("etcd3aio"))
asyncio.run(main())
PYTHON
venv/bin/python finding.py "$client"
echo "as found: two were inside, and one who waited was turned away"
