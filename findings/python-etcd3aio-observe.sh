#!/bin/bash
# etcd3aio 0.3.0 (PyPI), `election.observe()`, on etcd v3.7.3.
# Guess: it yields each new leader.
# Behaviour: it yields whenever a candidate stands, also behind a leader, with that candidate's name. When the leader resigns
#   and the next one leads, it yields nothing.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check etcd3aio==0.3.0
cat >finding.py <<'PYTHON'
import asyncio, importlib.metadata, sys

from etcd3aio import Etcd3Client

told = []

async def observes(client):
    async for response in client.election("election").observe():
        told.extend(event.kv.value.decode() for event in response.events if event.type == 0)
        print("the observer is told of", told[-1])

async def leader(client):
    return (await client.election("election").leader()).kvs[0].value.decode()

async def main():
    async with Etcd3Client([sys.argv[1]]) as client:
        observer = asyncio.create_task(observes(client))
        await asyncio.sleep(3)
        a, b = (client.election("election", value=name, ttl=120) for name in (b"a", b"b"))
        await a.__aenter__()
        print("a leads")
        stands = asyncio.create_task(b.__aenter__())
        await asyncio.sleep(3)
        assert await leader(client) == "a" and not stands.done() and told == ["a", "b"]
        print("b stands; the leader is a")
        await a.__aexit__(None, None, None)
        await stands
        await asyncio.sleep(5)
        print("a has resigned; the leader is", await leader(client))
        assert await leader(client) == "b" and told == ["a", "b"] and not observer.done()
        observer.cancel()

print("etcd3aio", importlib.metadata.version("etcd3aio"))
asyncio.run(main())
PYTHON
venv/bin/python finding.py "$client"
echo "as found: the observer took a follower for the leader, and was not told of the next leader"
