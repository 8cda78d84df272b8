"""A holding sidecar on a real etcd, beside clients that mean no good: `/leader` stays quick, and the lock is kept."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from leasehold.base.address import Address
from tests.servers import PATIENCE, EtcdServer, Process
from tests.support import hostile_clients
from tests.support.http_client import Client

ROUNDS = 3
REQUESTS = 400
DESCRIPTORS = 256
"""What the sidecar may open: far fewer than there are clients."""
GENEROUS = 10.0
"""How many times slower the slowest percent may be; waiting for a slow client would be a thousand times."""


async def p99(address: Address) -> float:
    """The 99th percentile of the seconds to a 200; half on kept connections, half on new ones, as probes are."""
    kept = [await connect(address) for _ in range(4)]
    times = []
    for number in range(REQUESTS):
        seconds, client = await timed(address, kept[number // 2 % 4] if number % 2 else None)
        times.append(seconds)
        if number % 2:
            kept[number // 2 % 4] = client
        else:
            client.writer.transport.abort()
    for client in kept:
        client.writer.transport.abort()
    return sorted(times)[REQUESTS * 99 // 100]


async def connect(address: Address) -> Client:
    return Client(*await asyncio.open_connection(address.host, address.port))


async def timed(address: Address, kept: Client | None) -> tuple[float, Client]:
    """The seconds to a 200, and the connection that it came on."""
    await asyncio.sleep(0.003)
    start = time.perf_counter()
    client, status = await asked(address, kept)
    end = time.perf_counter()
    assert status == 200
    return end - start, client


async def asked(address: Address, kept: Client | None) -> tuple[Client, int]:
    """Ask on a kept connection, or on a new one where there is none, or where it was closed to make room for others.

    When the machine is so busy that a crowd has come since it was last used, it may be: any client is prepared for it.
    """
    if kept is not None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            return kept, (await kept.ask("GET", "/leader")).status
        kept.writer.transport.abort()
    client = await connect(address)
    return client, (await client.ask("GET", "/leader")).status


def listening(sidecar: Process) -> Address:
    """Where the public listener of this sidecar is."""
    sidecar.wait_for_log("listen=")
    found = re.search(r"listen=(\S+):(\d+)", sidecar.log)
    assert found is not None
    return Address(found[1], int(found[2]))


async def holding(address: Address) -> int:
    """Wait until the sidecar holds; returns its token."""
    async with asyncio.timeout(PATIENCE):
        while True:
            client = await connect(address)
            reply = await client.ask("GET", "/leader")
            client.writer.transport.abort()
            if reply.status == 200:
                return int(reply.headers["leasehold-token"])
            await asyncio.sleep(0.02)


@pytest.fixture
def sidecar(etcd: EtcdServer, root: str, spawn: Callable[..., Process], tmp_path: Path) -> Process:
    few = ["prlimit", f"--nofile={DESCRIPTORS}"]
    argv = [
        *few,
        sys.executable,
        "-m",
        "leasehold",
        "run",
        "--etcd",
        etcd.url,
        "--root",
        root,
        "--lock",
        "default/hostile",
    ]
    argv += ["--identity", "holder", "--ttl", "6", "--listen", "127.0.0.1:0"]
    return spawn([*argv, "--control", f"unix:{tmp_path / 'control.sock'}"], name="sidecar")


async def test_leader_route_stays_quick(sidecar: Process, spawn: Callable[..., Process]) -> None:
    """Quiet and hostile rounds take turns, so that a machine busy with something else weighs on both."""
    address = await asyncio.to_thread(listening, sidecar)
    token = await holding(address)
    quiet, beset = [await p99(address)], []
    crowd = spawn([sys.executable, "-P", hostile_clients.__file__, str(address.port)], name="hostile", lines=True)
    assert await asyncio.to_thread(crowd.read_line, PATIENCE) == "ready"
    for _ in range(ROUNDS):
        beset.append(await p99(address))
        crowd.pause()
        quiet.append(await p99(address))
        crowd.resume()
    client = await connect(address)
    reply = await client.ask("GET", "/leader")
    client.writer.transport.abort()
    assert reply.headers["leasehold-token"] == str(token), "the lock was lost, or its keep-alives were late"
    assert min(beset) < GENEROUS * max(quiet), json.dumps({"quiet": quiet, "beset": beset})
    assert crowd.running, crowd.log_tail()
    assert len(sidecar.log.splitlines()) < 30, "hostile clients must not fill the log"
