import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from leasehold.operator.watch import informer as informer_module
from leasehold.operator.watch.informer import BATCH_OBJECTS, MAX_FAILURES, Inbox, Informer
from leasehold.operator.watch.kopf_watch import ObjectEvent


def event(uid: str, version: int = 1, deleted: bool = False) -> ObjectEvent:
    return ObjectEvent("Lock", {"metadata": {"uid": uid, "resourceVersion": str(version)}}, deleted)


async def test_the_latest_event_is_delivered_once() -> None:
    """Objects are delivered in the order in which they were first posted."""
    batches: list[list[ObjectEvent]] = []
    inbox = Inbox(asyncio.get_running_loop(), lambda batch: batches.append(list(batch)))
    for each in (event("a"), event("b"), event("a", 2), event("c"), event("b", 3, deleted=True)):
        inbox.post(each)
    await asyncio.sleep(0)
    assert batches == [[event("a", 2), event("b", 3, deleted=True), event("c")]]
    inbox.post(event("a", 4))
    await asyncio.sleep(0)
    assert batches[1:] == [[event("a", 4)]]


async def test_a_later_event_stays_listed() -> None:
    """If a listed object changes before it is delivered, it still counts as listed."""
    batches: list[list[ObjectEvent]] = []
    inbox = Inbox(asyncio.get_running_loop(), lambda batch: batches.append(list(batch)))
    for each in (event("a")._replace(listed=True), event("a", 2), event("b")):
        inbox.post(each)
    await asyncio.sleep(0)
    assert batches == [[event("a", 2)._replace(listed=True), event("b")]]


async def test_a_burst_does_not_block_the_loop() -> None:
    """The same loop keeps the lease of the active replica alive."""
    sizes: list[int] = []
    order: list[str] = []

    def sink(batch: Sequence[ObjectEvent]) -> None:
        sizes.append(len(batch))
        order.append("batch")

    inbox = Inbox(asyncio.get_running_loop(), sink)
    for number in range(3 * BATCH_OBJECTS + 1):
        inbox.post(event(str(number)))
    while len(sizes) < 4:
        await asyncio.sleep(0)
        order.append("other")
    assert sizes == [BATCH_OBJECTS, BATCH_OBJECTS, BATCH_OBJECTS, 1]
    assert "batch batch" not in " ".join(order)


async def test_posts_from_a_thread_all_arrive() -> None:
    """They arrive on the loop."""
    got: dict[str, int] = {}
    complete = asyncio.Event()

    def sink(batch: Sequence[ObjectEvent]) -> None:
        assert threading.current_thread() is threading.main_thread()
        got.update((each.body["metadata"]["uid"], int(each.body["metadata"]["resourceVersion"])) for each in batch)
        if len(got) == 100 and set(got.values()) == {19}:
            complete.set()

    inbox = Inbox(asyncio.get_running_loop(), sink)

    def post_all() -> None:
        for version in range(20):
            for uid in range(100):
                inbox.post(event(str(uid), version))

    await asyncio.to_thread(post_all)
    async with asyncio.timeout(600):
        await complete.wait()


async def test_a_failing_sink_still_gets_the_rest() -> None:
    sizes: list[int] = []

    def sink(batch: Sequence[ObjectEvent]) -> None:
        sizes.append(len(batch))
        if len(sizes) == 1:
            raise RuntimeError("planted")

    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    inbox = Inbox(loop, sink)
    for number in range(BATCH_OBJECTS + 1):
        inbox.post(event(str(number)))
    for _ in range(3):
        await asyncio.sleep(0)
    assert sizes == [BATCH_OBJECTS, 1]
    assert [str(failure["exception"]) for failure in failures] == ["planted"]


async def test_repeated_failures_end_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """`exited` has kopf's last error."""
    attempts = 0

    async def watch(*_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise LookupError(f"planted {attempts}")

    monkeypatch.setattr(informer_module, "watch", watch)
    monkeypatch.setattr(informer_module, "FIRST_PAUSE_SECONDS", 0.0)
    informer = Informer(Path("none"), lambda _: None)
    informer.start()
    async with asyncio.timeout(600):
        with pytest.raises(LookupError, match=f"planted {MAX_FAILURES}"):
            await informer.exited
    assert (attempts, informer.restarts) == (MAX_FAILURES, MAX_FAILURES - 1)
    assert informer.last_error == f"LookupError: planted {MAX_FAILURES}"
    await informer.stop()


async def test_a_long_run_resets_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures with long runs in between never end the thread."""
    attempts = 0
    working = threading.Event()

    async def watch(_load: object, _post: object, stop: asyncio.Event) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 20:
            raise LookupError
        working.set()
        await stop.wait()

    monkeypatch.setattr(informer_module, "watch", watch)
    monkeypatch.setattr(informer_module, "FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(informer_module, "LONG_RUN_SECONDS", -1.0)  # every run is a long one
    informer = Informer(Path("none"), lambda _: None)
    informer.start()
    await asyncio.to_thread(working.wait, 600)
    await informer.stop()
    assert informer.exited.result() is None
    assert informer.restarts == 19


async def test_kopf_must_not_end_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def watch(*_: object) -> None:
        return

    monkeypatch.setattr(informer_module, "watch", watch)
    monkeypatch.setattr(informer_module, "FIRST_PAUSE_SECONDS", 0.0)
    informer = Informer(Path("none"), lambda _: None)
    informer.start()
    async with asyncio.timeout(600):
        with pytest.raises(RuntimeError, match="kopf ended without an error"):
            await informer.exited


async def test_stop_interrupts_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    async def watch(*_: object) -> None:
        failed.set()
        raise LookupError

    monkeypatch.setattr(informer_module, "watch", watch)
    monkeypatch.setattr(informer_module, "FIRST_PAUSE_SECONDS", 3600.0)
    informer = Informer(Path("none"), lambda _: None)
    informer.start()
    await asyncio.to_thread(failed.wait, 600)
    await informer.stop()
    assert informer.exited.result() is None
