#!/bin/bash
# etcetra 0.1.19 (PyPI), its get_prefix, keys_prefix, watch_prefix and delete_prefix, with the name of an election and a slash,
# `job/`, where etcd v3.7.3 has keys of other elections.
# Guess: they are about the keys that begin with `job/`.
# Behaviour: for a prefix that ends in a slash, the range ends at `joc/`: all that begins with `job` and a letter or a digit is
#   in it. The leader of the election `job2` is named beside that of `job`, and is deposed with it.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check etcetra==0.1.19 'setuptools<80'
venv/bin/pip list --format freeze 2>/dev/null | grep '^etcetra=='
cat >finding.py <<'PYTHON'
import asyncio, sys

from etcetra import EtcdClient, HostPortPair

host, _, port = sys.argv[1].rpartition(":")

async def main():
    async with EtcdClient(HostPortPair(host, int(port))).connect() as etcd:
        for key in ("job/1", "job2/1", "jobs/1", "other/1"):
            await etcd.put(key, f"the leader of {key[:-2]}")
        found, events = await etcd.get_prefix("job/"), []

        async def watch():
            async for event in etcd.watch_prefix("job/"):
                events.append(event.key)

        print("get_prefix('job/'):", dict(found))
        assert list(found) == await etcd.keys_prefix("job/") == ["job/1", "job2/1", "jobs/1"]
        watching = asyncio.create_task(watch())
        while not events:
            await asyncio.sleep(0.5)
            await etcd.put("job/1", "renewed")
        events.clear()
        await etcd.delete_prefix("job/")
        await asyncio.sleep(3)
        watching.cancel()
        left = await etcd.keys_range("a", "z")
        print("watch_prefix('job/') while delete_prefix('job/') is called:", events)
        print("the keys that are left:", left)
        assert events[-3:] == ["job/1", "job2/1", "jobs/1"] and left == ["other/1"]

asyncio.run(main())
PYTHON
venv/bin/python finding.py "$client"
echo "as found: with the keys of one election, those of others are read, watched and deleted"
