"""Hooks: real processes, in order, never two at once, and always ended."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.names import LockName
from leasehold.run.hooks import Hooks
from tests.support.http_client import until

WAITING = Snapshot(LockName("prod", "billing"), "billing-0", State.WAITING, token=17, deadline=1e9, leader="billing-1")
HOLDING = replace(WAITING, state=State.HOLDING, term_since=90.0, leader="billing-0")
LONG = 3600.0

NOTE = """
import os, sys
with open(sys.argv[1], "a") as file:
    file.write("{LEASEHOLD_EVENT} {LEASEHOLD_TOKEN} {LEASEHOLD_LOCK} {LEASEHOLD_LEADER}\\n".format(**os.environ))
"""
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "3600"])  # an ignored signal stays ignored in what is started
with open(sys.argv[1], "w") as file:
    file.write(f"{os.getpid()} {child.pid}\\n")
time.sleep(3600)
"""
GATED = NOTE + "\nwhile not os.path.exists(sys.argv[1] + '.go'):\n    import time; time.sleep(0.01)\n"


def python(code: str, *args: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *map(str, args))


@asynccontextmanager
async def hooks(
    gained: tuple[str, ...], lost: tuple[str, ...], *, limit: float = LONG, grace: float = LONG
) -> AsyncIterator[tuple[Publisher, Hooks]]:
    board = Publisher(WAITING, lambda: 100.0)
    made = Hooks(board, gained, lost, limit=limit, grace=grace)
    made.start()
    try:
        yield board, made
    finally:
        await made.close(0.0)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def full(path: Path, count: int) -> Callable[[], bool]:
    return lambda: len(lines(path)) >= count


def ended(pid: int) -> bool:
    """Whether the process is gone, or a zombie that a lazy init has not collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


async def test_gained_then_lost_each_with_its_term(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with hooks(python(NOTE, out), python(NOTE, out)) as (board, _):
        board.publish(HOLDING)
        await until(full(out, 1))
        board.publish(WAITING)
        await until(full(out, 2))
    assert lines(out) == ["gained 17 prod/billing billing-0", "lost 17 prod/billing billing-1"]


async def test_a_deadline_that_passes_unheard_runs_on_lost(tmp_path: Path) -> None:
    out = tmp_path / "out"
    now = 100.0
    board = Publisher(WAITING, lambda: now)
    made = Hooks(board, (), python(NOTE, out))
    made.start()
    board.publish(replace(HOLDING, deadline=100.02))
    now = 100.02
    await until(full(out, 1))
    await made.close()
    assert lines(out) == ["lost 17 prod/billing "]


async def test_a_lead_lost_before_its_hook_began_runs_neither(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with hooks(python(NOTE, out), python(NOTE, out)) as (board, made):
        board.publish(HOLDING)
        board.publish(WAITING)  # on the same turn of the loop: nothing has begun
        await made.close()
    assert lines(out) == []


async def test_hooks_never_overlap_and_never_pile_up(tmp_path: Path) -> None:
    """While one on-lost takes its time the lead comes and goes; only what still matters is run afterwards."""
    out = tmp_path / "out"
    async with hooks(python(NOTE, out), python(GATED, out)) as (board, made):
        board.publish(HOLDING)
        await until(full(out, 1))
        board.publish(WAITING)
        await until(full(out, 2))
        for token in (18, 19, 20):
            board.publish(replace(HOLDING, token=token))
            board.publish(WAITING)
        board.publish(replace(HOLDING, token=21))
        out.with_name("out.go").touch()
        await made.close(LONG)
    assert [line.split()[:2] for line in lines(out)] == [["gained", "17"], ["lost", "17"], ["gained", "21"]]


async def test_a_running_on_gained_is_ended_when_the_lead_is_lost(tmp_path: Path) -> None:
    out, pids = tmp_path / "out", tmp_path / "pids"
    async with hooks(python(STUBBORN, pids), python(NOTE, out), grace=0.05) as (board, _):
        board.publish(HOLDING)
        await until(full(pids, 1))
        board.publish(WAITING)
        await until(full(out, 1))
        hook, child = map(int, lines(pids)[0].split())
        await until(lambda: ended(hook) and ended(child))


async def test_a_hook_has_a_limit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pids = tmp_path / "pids"
    async with hooks(python(STUBBORN, pids), (), limit=1.0, grace=0.05) as (board, _):
        board.publish(HOLDING)
        await until(lambda: "was ended by signal" in caplog.text)
        assert "it ran for 1 s" in caplog.text
        await until(lambda: all(ended(int(pid)) for pid in " ".join(lines(pids)).split()))


async def test_closing_runs_what_waits_and_ends_what_does_not_end(tmp_path: Path) -> None:
    out, pids = tmp_path / "out", tmp_path / "pids"
    async with hooks(python(NOTE, out), python(STUBBORN, pids), grace=0.05) as (board, made):
        board.publish(HOLDING)
        await until(full(out, 1))
        board.publish(WAITING)
        await until(full(pids, 1))
        await made.close(0.05)
        await until(lambda: all(ended(int(pid)) for pid in lines(pids)[0].split()))


async def test_output_is_logged_by_line_and_failures_are_said(caplog: pytest.LogCaptureFixture) -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr, flush=True); sys.stdout.write('three'); sys.exit(7)"
    with caplog.at_level(logging.INFO):
        async with hooks(python(code), ()) as (board, made):
            board.publish(HOLDING)
            await made.close(LONG)
    messages = [record.getMessage() for record in caplog.records]
    assert {"on-gained: one", "on-gained: two", "on-gained: three"} <= set(messages)
    assert "the on-gained hook failed with status 7" in messages


async def test_output_without_end_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    code = "import os\nfor _ in range(3000): os.write(1, b'x' * 3000 + b'\\n')"
    with caplog.at_level(logging.INFO):
        async with hooks(python(code), ()) as (board, made):
            board.publish(HOLDING)
            await made.close(LONG)
    messages = [record.getMessage() for record in caplog.records]
    assert sum(message.startswith("on-gained: x") for message in messages) == 1000
    assert max(map(len, messages)) < 1100
    assert any("the rest is dropped" in message for message in messages)


async def test_what_a_hook_leaves_running_holds_nothing_up(tmp_path: Path) -> None:
    """A background process keeps the pipe open; the hook is done nevertheless."""
    pids, out = tmp_path / "pids", tmp_path / "out"
    code = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '3600']); open(sys.argv[1], 'w').write(f'{p.pid}\\n')"
    )
    try:
        async with hooks(python(code, pids), python(NOTE, out)) as (board, _):
            board.publish(HOLDING)
            await until(full(pids, 1))
            board.publish(WAITING)
            await until(full(out, 1))
    finally:
        for pid in lines(pids):
            os.kill(int(pid), 9)


async def test_a_missing_command_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next hook still runs."""
    out = tmp_path / "out"
    async with hooks((str(tmp_path / "nothing"),), python(NOTE, out)) as (board, _):
        board.publish(HOLDING)
        await until(lambda: "the on-gained hook could not be started" in caplog.text)
        board.publish(WAITING)
        await until(full(out, 1))


@pytest.mark.parametrize(
    ("where", "error", "said"),
    [
        ("asyncio.create_subprocess_exec", RuntimeError("can't start new thread"), "hook could not be started: can't"),
        ("os.pipe", OSError("too many open files"), "running the on-gained hook failed"),
    ],
)
async def test_a_shortage_costs_one_hook_and_not_the_next(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
    error: Exception,
    said: str,
) -> None:
    """The app uses up the process ids or descriptors that it shares with us, and gives them back."""

    def refuse(*args: object, **options: object) -> None:
        raise error

    out = tmp_path / "out"
    async with hooks(python(NOTE, out), python(NOTE, out)) as (board, made):
        with monkeypatch.context() as shortage:
            shortage.setattr(where, refuse)
            board.publish(HOLDING)
            await until(lambda: said in caplog.text)
        board.publish(WAITING)
        await until(full(out, 1))
        await made.close(LONG)
    assert [line.split()[0] for line in lines(out)] == ["lost"]


async def test_the_loop_turns_while_a_hook_runs(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with hooks(python(STUBBORN, pids), (), grace=0.05) as (board, _):
        board.publish(HOLDING)
        await until(full(pids, 1))
        for _ in range(100):
            await asyncio.sleep(0)


async def test_no_hooks_run_nothing() -> None:
    async with hooks((), ()) as (board, made):
        board.publish(HOLDING)
        board.publish(WAITING)
        await made.close(LONG)
