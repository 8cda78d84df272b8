"""`flight-record.jsonl`: written when something went wrong, never in the way, and never more than two."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from leasehold.candidate import record_file
from leasehold.candidate.record_file import NAME, OLDER_NAME, RecordFile
from leasehold.candidate.replay import read_head, replay
from leasehold.election import events as ev
from tests.transcripts.transcript import Recorded, holding

PATIENCE = 30.0
"""Seconds that a busy machine may take for what takes none."""


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread brings about."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def lose(script: Recorded) -> None:
    """Somebody deletes the key; a fresh candidate joins."""
    script.feed(ev.EntryGone(script.own.key, script.etcd.delete(script.own)))
    script.wait(3.0)
    script.settle()


def reason(path: Path) -> str:
    return str(json.loads(path.read_bytes().splitlines()[0])["reason"])


def is_another(path: Path, inode: int) -> bool:
    """Whether there is a file, and not the one with this inode."""
    return path.exists() and path.stat().st_ino != inode


def kept(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def script() -> Recorded:
    return holding()


def test_a_lost_lock_leaves_its_record(script: Recorded, tmp_path: Path) -> None:
    """It ends with the event that ended the term, and is replayed as it was."""
    file = RecordFile(tmp_path, script.recorder)
    file.start()
    script.beat()
    assert kept(tmp_path) == []
    lose(script)
    file.close(PATIENCE)
    assert kept(tmp_path) == [NAME]
    lines = iter((tmp_path / NAME).read_bytes().splitlines(keepends=True))
    head = read_head(lines)
    steps = list(replay(head, lines))
    assert head.reason == "lost"
    assert isinstance(steps[-1].event, ev.EntryGone)
    assert [step.faults for step in steps if step.faults] == []


def test_two_are_kept(script: Recorded, tmp_path: Path) -> None:
    """The newest, and the one before."""
    file = RecordFile(tmp_path, script.recorder, pause=0.0)
    file.start()
    sizes = []
    for _ in range(3):
        before = (tmp_path / NAME).stat().st_ino if (tmp_path / NAME).exists() else 0
        lose(script)
        until(partial(is_another, tmp_path / NAME, before))
        sizes.append((tmp_path / NAME).stat().st_size)
    file.close(PATIENCE)
    assert kept(tmp_path) == [OLDER_NAME, NAME]
    assert [(tmp_path / name).stat().st_size for name in (OLDER_NAME, NAME)] == sizes[1:]


def test_one_that_loses_again_and_again_is_written_seldom(script: Recorded, tmp_path: Path) -> None:
    """At once, then not before the pause is over; the end of the process does not wait for that."""
    file = RecordFile(tmp_path, script.recorder, pause=3600.0)
    file.start()
    lose(script)
    until(lambda: kept(tmp_path) == [NAME])
    for _ in range(5):
        lose(script)
    assert kept(tmp_path) == [NAME]
    file.close(PATIENCE)
    assert kept(tmp_path) == [OLDER_NAME, NAME]


def test_a_bug_is_written_before_the_process_ends(script: Recorded, tmp_path: Path) -> None:
    file = RecordFile(tmp_path, script.recorder)
    file.start()
    script.recorder.failed(ev.Start(), script.now, RuntimeError("a bug"))
    file.close(PATIENCE)
    assert reason(tmp_path / NAME) == "bug"


@pytest.mark.parametrize("blocker", [NAME, f".{NAME}.tmp"])
def test_a_record_that_cannot_be_written_is_dropped(
    script: Recorded, tmp_path: Path, blocker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log says so; nothing half-written is left, and the next one may succeed."""
    (tmp_path / blocker / "in the way").mkdir(parents=True)
    (tmp_path / OLDER_NAME).touch()
    file = RecordFile(tmp_path, script.recorder, pause=0.0)
    file.start()
    lose(script)
    until(lambda: "was dropped" in caplog.text)
    assert caplog.text.count("was dropped") == 1
    assert script.holding()
    (tmp_path / blocker / "in the way").rmdir()
    (tmp_path / blocker).rmdir()
    lose(script)
    file.close(PATIENCE)
    assert reason(tmp_path / NAME) == "lost"


def test_a_disk_that_hangs_delays_nobody(script: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thaw, hung = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        hung.set()
        thaw.wait(60)

    monkeypatch.setattr(record_file, "replace", hang)
    file = RecordFile(tmp_path, script.recorder)
    file.start()
    lose(script)
    assert hung.wait(PATIENCE)
    lose(script)
    assert script.holding()
    file.close(0.01)
    thaw.set()


def test_nobody_who_never_lost_needs_a_thread(script: Recorded, tmp_path: Path) -> None:
    before = threading.active_count()
    file = RecordFile(tmp_path, script.recorder)
    file.start()
    script.beat()
    assert threading.active_count() == before
    file.close()
    assert kept(tmp_path) == []


def test_writing_is_said(script: Recorded, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        file = RecordFile(tmp_path, script.recorder)
        file.start()
        lose(script)
        file.close(PATIENCE)
    assert f"the flight record is in {tmp_path / NAME}" in caplog.text
