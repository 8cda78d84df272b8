"""TERM: what the election is told, and when."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from leasehold.election import events as ev
from leasehold.run import shutdown as module
from leasehold.run.shutdown import Shutdown
from leasehold.run.work_end import Surroundings

AROUND = Surroundings("", lambda: False, lambda: 0, None, grace_seconds=0.0)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_ordinary_container_just_stops() -> None:
    told: list[ev.Event] = []
    shutdown = Shutdown(told.append, None)
    shutdown.begin()
    await shutdown.close()
    assert told == [ev.Stop()]


async def test_a_native_sidecar_awaits_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops at once, and says that the work has stopped when it has; a second TERM changes nothing."""
    ended = asyncio.Event()

    async def wait_for_end(around: Surroundings) -> None:
        await ended.wait()

    monkeypatch.setattr(module, "wait_for_end", wait_for_end)
    told: list[ev.Event] = []
    shutdown = Shutdown(told.append, AROUND)
    shutdown.begin()
    await turns()
    shutdown.begin()
    assert told == [ev.Stop(awaits_work=True)]
    ended.set()
    await turns()
    assert told == [ev.Stop(awaits_work=True), ev.WorkStopped()]
    await shutdown.close()


async def test_an_error_does_not_release(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def wait_for_end(around: Surroundings) -> None:
        raise OSError("no file descriptors are left")

    monkeypatch.setattr(module, "wait_for_end", wait_for_end)
    told: list[ev.Event] = []
    shutdown = Shutdown(told.append, AROUND)
    shutdown.begin()
    await turns()
    assert told == [ev.Stop(awaits_work=True)]
    assert "not given up" in caplog.text
    await shutdown.close()


async def test_a_term_that_no_kubelet_sent_keeps_the_key(caplog: pytest.LogCaptureFixture) -> None:
    """The app still works when the kubelet would long have killed this process: it ends, and its key stays."""
    told: list[ev.Event] = []
    shutdown = Shutdown(told.append, replace(AROUND, connections=lambda: 1, grace_seconds=-4.9))
    shutdown.begin()
    await shutdown.left()
    assert told == [ev.Stop(awaits_work=True)]
    assert "keeps the key" in caplog.text
    await shutdown.close()
