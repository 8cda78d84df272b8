"""The etcd client's memory stays flat, as the image runs it: a sidecar makes some 16,000 calls a day."""

import os
import subprocess
import sys

from tests.servers import EtcdServer

WARM_UP, CALLS, GROWTH_MIB = 4_000, int(os.environ.get("GROWTH_CALLS", "20000")), 0.3
"""Remembering each closed stream, as HTTP/2 libraries do up to 65,536 of them, would add 1.4 MiB in 20,000 calls. Six
days of an idle pair are 100,000: GROWTH_CALLS=100000 makes them, within the same limit.
"""

PROGRAM = """
import asyncio, gc, sys
from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.model import Compare, Get

def anonymous():
    gc.collect()
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

async def ask(client, calls):
    for _ in range(calls):
        answer = await client.txn([Compare.create_revision("k", "=", 0)], [], [Get("k")], timeout=60)
        if not answer.succeeded:
            raise SystemExit("the key is there")

async def main(url, warm_up, calls):
    async with EtcdClient([url], clock=clock.now) as client:
        await asyncio.gather(*(ask(client, warm_up // 10) for _ in range(10)))
        before = anonymous()
        await asyncio.gather(*(ask(client, calls // 10) for _ in range(10)))
        print(anonymous() - before)

asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
"""


def test_many_calls_leave_nothing_behind(etcd: EtcdServer) -> None:
    command = [sys.executable, "-OO", "-c", PROGRAM, etcd.url, str(WARM_UP), str(CALLS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) <= GROWTH_MIB
