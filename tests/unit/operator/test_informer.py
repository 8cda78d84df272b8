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


async def test_what_was_seen_of_an_object_last_is_handed_on_once_and_in_order() -> None:
    batches: list[list[ObjectEvent]] = []
    inbox = Inbox(asyncio.get_running_loop(), lambda batch: batches.append(list(batch)))
    for each in (event("a"), event("b"), event("a", 2), event("c"), event("b", 3, deleted=True)):
        inbox.post(each)
    await asyncio.sleep(0)
    assert batches == [[event("a", 2), event("b", 3, deleted=True), event("c")]]
    inbox.post(event("a", 4))
    await asyncio.sleep(0)
    assert batches[1:] == [[event("a", 4)]]


async def test_that_an_object_was_listed_is_not_lost_when_it_changes_before_that_is_handed_on() -> None:
    batches: list[list[ObjectEvent]] = []
    inbox = Inbox(asyncio.get_running_loop(), lambda batch: batches.append(list(batch)))
    for each in (event("a")._replace(listed=True), event("a", 2), event("b")):
        inbox.post(each)
    await asyncio.sleep(0)
    assert batches == [[event("a", 2)._replace(listed=True), event("b")]]


async def test_a_burst_leaves_the_loop_its_other_work() -> None:
    """The lease of the active replica is kept alive by the same loop."""
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


async def test_posts_from_a_thread_arrive_on_the_loop_and_none_is_lost() -> None:
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
    async with asyncio.timeout(60):
        await complete.wait()


async def test_a_sink_that_fails_once_still_gets_the_rest() -> None:
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


async def test_kopf_failing_again_and_again_ends_the_thread_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = 0

    async def watch(*_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise LookupError(f"planted {attempts}")

    monkeypatch.setattr(informer_module, "watch", watch)
    monkeypatch.setattr(informer_module, "FIRST_PAUSE_SECONDS", 0.0)
    informer = Informer(Path("none"), lambda _: None)
    informer.start()
    async with asyncio.timeout(60):
        with pytest.raises(LookupError, match=f"planted {MAX_FAILURES}"):
            await informer.exited
    assert (attempts, informer.restarts) == (MAX_FAILURES, MAX_FAILURES - 1)
    assert informer.last_error == f"LookupError: planted {MAX_FAILURES}"
    await informer.stop()


async def test_failures_with_long_runs_between_them_are_not_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
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
    await asyncio.to_thread(working.wait, 60)
    await informer.stop()
    assert informer.exited.result() is None
    assert informer.restarts == 19


async def test_kopf_ending_without_an_error_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def watch(*_: object) -> None:
        return

    monkeypatch.setattr(informer_module, "watch", watch)
    monkeypatch.setattr(informer_module, "FIRST_PAUSE_SECONDS", 0.0)
    informer = Informer(Path("none"), lambda _: None)
    informer.start()
    async with asyncio.timeout(60):
        with pytest.raises(RuntimeError, match="kopf ended without an error"):
            await informer.exited


async def test_stop_ends_the_wait_between_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    async def watch(*_: object) -> None:
        failed.set()
        raise LookupError

    monkeypatch.setattr(informer_module, "watch", watch)
    monkeypatch.setattr(informer_module, "FIRST_PAUSE_SECONDS", 3600.0)
    informer = Informer(Path("none"), lambda _: None)
    informer.start()
    await asyncio.to_thread(failed.wait, 60)
    await informer.stop()
    assert informer.exited.result() is None
