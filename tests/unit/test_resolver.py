"""Names are looked up without waiting for a resolver that hangs, neither at a time limit nor at exit."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from leasehold.base.threads import resolver
from leasehold.base.threads.resolver import Address, Resolver
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import NotSent

LOCAL = Address("127.0.0.1", socket.AF_INET)


async def test_a_literal_address_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(resolver, "run_in_daemon_thread")
    assert await Resolver("127.0.0.1", 1).addresses() == [LOCAL]
    assert await Resolver("::1", 1).addresses() == [Address("::1", socket.AF_INET6)]


async def test_each_address_of_a_name_once() -> None:
    found = await Resolver("localhost", 1).addresses()
    assert LOCAL in found
    assert len(set(found)) == len(found)


async def test_an_impossible_name() -> None:
    names = Resolver("a" * 64, 1)  # longer than a label may be: no server needs to be asked
    for _ in range(2):
        with pytest.raises(UnicodeError):
            await names.addresses()


async def test_what_a_slow_resolver_finds_is_for_the_next_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only one look-up is under way, however often it is asked for."""
    may_answer = threading.Event()
    asked: list[str] = []

    def slow(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        may_answer.wait(600)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    names = Resolver("slow", 1)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await names.addresses()
    may_answer.set()
    assert await names.addresses() == [LOCAL]
    assert asked == ["slow"]
    await names.addresses()
    assert asked == ["slow"] * 2


async def test_a_lookup_without_a_thread_can_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app has used up the process ids of the pod: the etcd client tries again, as after any other failure."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = EtcdClient(["http://localhost:1"], clock=time.monotonic, timeout=600)
    names = Resolver("localhost", 1)
    with monkeypatch.context() as shortage:
        shortage.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="can't start new thread"):
            await names.addresses()
        with pytest.raises(NotSent, match="can't start new thread"):
            await client.range("key")
    assert LOCAL in await names.addresses()
    with pytest.raises(NotSent, match="refused"):
        await client.range("key", timeout=600)
    await client.close()


def test_a_process_ends_while_its_resolver_hangs() -> None:
    script = """
import asyncio, socket, time
from leasehold.base.threads.resolver import Resolver
socket.getaddrinfo = lambda *a, **k: time.sleep(600)
async def main():
    try:
        async with asyncio.timeout(0.05):
            await Resolver("hangs", 1).addresses()
    except TimeoutError:
        print("given up")
asyncio.run(main())
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    assert result.stdout == "given up\n"
    assert not result.stderr
