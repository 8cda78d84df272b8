"""The shell around the election, as far as it can be spoken of without an etcd: none of these ever reaches one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from leasehold.base import clock
from leasehold.candidate.alarm import LONGEST_SLEEP_SECONDS
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.replay import read_head, replay
from leasehold.candidate.resume_file import ResumeFile
from leasehold.candidate.runner import Runner
from leasehold.candidate.store import Store
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.commands import Question
from leasehold.election.election import ElectionConfig, IllegalEvent
from leasehold.election.snapshot import Snapshot, State
from leasehold.etcd.client import EtcdClient
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from tests.support.other_store import OtherStore
from tests.support.runner_ends import Counter, finished, heard, until, when

LOCK = LockName("shop", "billing")
SETTINGS = ElectionConfig(LOCK, Record("me", incarnation="this-process"))


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of an etcd that is not there: the port is taken, so that nothing else can come to listen on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
async def store(nobody: str) -> AsyncIterator[Store]:
    async with EtcdClient([nobody], clock=clock.now) as client:
        yield EtcdStore(client, Keys(LOCK))


@pytest.fixture
def board() -> Publisher:
    return Publisher(Snapshot(LOCK, "me", State.IDLE), clock.now)


@pytest.fixture
async def tasks() -> AsyncIterator[None]:
    """The test leaves no task behind."""
    yield
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("election")]


@pytest.mark.usefixtures("tasks")
async def test_it_runs_without_an_etcd_and_stops_when_told_to(store: Store, board: Publisher) -> None:
    """Nothing is in the queue: there is nothing to wait for."""
    counter, joining = Counter(), when(board, State.JOINING)
    made = Runner(SETTINGS, store, board, counter)
    running = asyncio.create_task(made.run())
    await heard(joining)
    await until(lambda: bool(counter.errors))
    assert board.snapshot.last_error
    made.submit(ev.Stop())
    await finished(running)
    assert board.snapshot.state is State.IDLE
    assert set(counter.errors) == {"request"}


@pytest.mark.usefixtures("tasks")
async def test_a_stop_that_comes_before_it_runs_is_heard(store: Store, board: Publisher) -> None:
    """A TERM may come at any moment."""
    made = Runner(SETTINGS, store, board)
    made.submit(ev.Stop())
    await finished(asyncio.create_task(made.run()))
    assert board.snapshot.state is State.IDLE


@pytest.mark.usefixtures("tasks")
async def test_what_comes_after_the_end_is_not_heard(store: Store, board: Publisher) -> None:
    made = Runner(SETTINGS, store, board)
    made.submit(ev.Stop())
    await finished(asyncio.create_task(made.run()))
    joining = when(board, State.JOINING)
    made.submit(ev.Resume())
    made.submit(ev.Start())
    assert not joining.is_set()


@pytest.mark.usefixtures("tasks")
async def test_a_bug_ends_the_run_with_what_it_raised(store: Store, board: Publisher) -> None:
    """An election that is fed nonsense must not go on as if nothing had happened."""
    joining = when(board, State.JOINING)
    made = Runner(SETTINGS, store, board)
    running = asyncio.create_task(made.run())
    await heard(joining)
    made.submit(ev.Written(10**6, ev.ResponseHeader(1, 1, 1, 1), done=True))
    with pytest.raises(IllegalEvent):
        await finished(running)


@pytest.mark.usefixtures("tasks")
async def test_a_bug_is_in_the_record(store: Store, board: Publisher) -> None:
    """With the event that met it, before the run ends; and the replay meets it, too."""
    joining = when(board, State.JOINING)
    made = Runner(SETTINGS, store, board)
    reasons: list[str] = []
    made.recorder.alarm = reasons.append
    running = asyncio.create_task(made.run())
    await heard(joining)
    made.submit(ev.Written(10**6, ev.ResponseHeader(1, 1, 1, 1), done=True))
    with pytest.raises(IllegalEvent):
        await finished(running)
    lines = iter(b"".join(made.recorder.recording(reasons[0]).pieces()).splitlines(keepends=True))
    head = read_head(lines)
    *_, last = replay(head, lines)
    assert head.reason == "bug"
    assert "question 1000000, which was never asked" in last.raised
    assert last.faults == ()


@pytest.mark.usefixtures("tasks")
async def test_cancelling_it_leaves_nothing_behind(store: Store, board: Publisher) -> None:
    joining = when(board, State.JOINING)
    running = asyncio.create_task(Runner(SETTINGS, store, board).run())
    await heard(joining)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finished(running)


@pytest.mark.usefixtures("tasks")
async def test_a_submitted_event_waits_for_all_listeners(store: Store, board: Publisher) -> None:
    """An event that a listener submits is handled after all listeners have been notified.

    Else the later ones would be told of the second change before the first.
    """
    made = Runner(SETTINGS, store, board)
    told: list[tuple[str, State]] = []

    def pauses(before: Snapshot, after: Snapshot) -> None:
        told.append(("first", after.state))
        if after.state is State.JOINING:
            made.submit(ev.Pause())

    paused = asyncio.Event()

    def listens(before: Snapshot, after: Snapshot) -> None:
        told.append(("second", after.state))
        if after.state is State.IDLE:
            paused.set()

    board.listen(pauses)
    board.listen(listens)
    running = asyncio.create_task(made.run())
    await heard(paused)
    assert told[:4] == [
        ("first", State.JOINING),
        ("second", State.JOINING),
        ("first", State.IDLE),
        ("second", State.IDLE),
    ]
    made.submit(ev.Stop())
    await finished(running)


@pytest.mark.usefixtures("tasks")
async def test_its_loop_turns_though_nothing_happens(store: Store, board: Publisher) -> None:
    """`/livez` asks how long ago that was: an idle election is called all the same."""
    made = Runner(SETTINGS, store, board)
    made.submit(ev.Pause())
    running = asyncio.create_task(made.run())
    for _ in range(3):  # at the start, for the late answer to its first question, and for nothing at all
        begun = clock.now()

        def turned(since: float = begun) -> bool:
            return made.seconds_since_progress() < clock.now() - since

        await until(turned)
    made.submit(ev.Stop())
    await finished(running)


@pytest.mark.usefixtures("tasks")
async def test_a_loop_that_does_not_turn_ages(store: Store) -> None:
    now = 100.0
    board = Publisher(Snapshot(LOCK, "me", State.IDLE), lambda: now)
    made = Runner(SETTINGS, store, board)
    assert made.seconds_since_progress() == 0.0
    now += 7.0
    assert made.seconds_since_progress() == 7.0


@pytest.mark.usefixtures("tasks")
async def test_a_jumping_clock_is_noticed(store: Store) -> None:
    """The election notices within one second of the loop's own clock.

    The loop's own clock stands still while the machine sleeps: it must not be what wakes the election.
    """
    now = 100.0
    board = Publisher(Snapshot(LOCK, "me", State.IDLE), lambda: now)
    made = Runner(SETTINGS, store, board)
    made.submit(ev.Pause())
    running = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    for _ in range(2):
        now += 3600.0
        await until(lambda: made.seconds_since_progress() == 0.0)
    assert LONGEST_SLEEP_SECONDS <= 1.0
    made.submit(ev.Stop())
    await finished(running)


@pytest.mark.usefixtures("tasks")
async def test_an_outage_keeps_the_resume_file(store: Store, board: Publisher, tmp_path: Path) -> None:
    """The candidate is marked only when it is given back: the revocation may arrive though its answer does not."""
    left = ev.Resumable(0x71, 17, 1)
    before = ResumeFile(tmp_path, {})
    before.save(left)
    before.close()
    file = ResumeFile(tmp_path, {})
    counter = Counter()
    made = Runner(SETTINGS, store, board, counter, file)
    running = asyncio.create_task(made.run())
    await until(lambda: bool(counter.errors))
    assert board.snapshot.state is State.JOINING
    assert '"marked": false' in (tmp_path / "resume.json").read_text()
    made.submit(ev.Stop())
    await finished(running)
    file.close()
    after = ResumeFile(tmp_path, {})
    assert after.load() is None
    assert after.ghost == left.lease
    after.close()


# --- another store ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tasks")
async def test_any_store_will_do(board: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    """The runner knows the port alone; what is known against the store is logged, a revocation is tried thrice."""
    other, holding = OtherStore(LOCK), when(board, State.HOLDING)
    made = Runner(SETTINGS, other, board)
    running = asyncio.create_task(made.run())
    await heard(holding)
    assert board.snapshot.token == 5
    made.submit(ev.Stop())
    made.submit(ev.WorkStopped())
    await finished(running)
    assert other.revocations == 3
    assert "known to forget" in caplog.text


class WatchfulStore(OtherStore):
    """Notes what the snapshot says when the deletion is sent."""

    def __init__(self, board: Publisher, order: list[str]) -> None:
        super().__init__(LOCK)
        self.board, self.order = board, order

    async def perform(self, question: Question, timeout: float) -> ev.Event:
        if isinstance(question, cmd.Resign):
            self.order.append(f"deletes while {self.board.snapshot.state}")
            await asyncio.sleep(0)  # no answer comes in the turn of its question
        return await super().perform(question, timeout)


@pytest.mark.usefixtures("tasks")
async def test_the_deletion_goes_before_listeners_hear(board: Publisher) -> None:
    """The snapshot says no, then the deletion is sent, and then everybody else hears of it: the next one waits less."""
    order: list[str] = []
    holding = when(board, State.HOLDING)
    made = Runner(SETTINGS, WatchfulStore(board, order), board)
    running = asyncio.create_task(made.run())
    await heard(holding)
    board.listen(lambda before, after: order.append(f"heard {after.state}"))
    made.submit(ev.Stop())
    assert board.snapshot.state is State.YIELDING
    await finished(running)
    assert order[:2] == ["deletes while yielding", "heard yielding"]
    assert order[-1] == "heard idle"


@pytest.mark.usefixtures("tasks")
async def test_a_bug_in_a_watch_ends_the_run(board: Publisher) -> None:
    running = asyncio.create_task(Runner(SETTINGS, OtherStore(LOCK, LookupError("a bug")), board).run())
    with pytest.raises(LookupError, match="a bug"):
        await finished(running)
