"""The resume file off the loop: in order, never waited for without a limit; what goes wrong there ends nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leasehold.candidate import resume as module
from leasehold.candidate.resume import ResumeStore
from leasehold.candidate.resume_file import ResumeFile
from leasehold.election.events import Resumable

MINE = Resumable(lease=0x71, token=17, cluster=1)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ResumeFile]:
    """A real resume file."""
    file = ResumeFile(tmp_path, {"pod": "uid-1"})
    yield file
    file.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's disk may be slow; only the one that hangs is given up on."""
    monkeypatch.setattr(module, "DISK_TIMEOUT_SECONDS", 60.0)


class HungDisk:
    """Every sync to the disk waits until the disk comes back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hangs, self.back = threading.Event(), threading.Event()
        self._patch, self._sync = monkeypatch, os.fsync
        monkeypatch.setattr(os, "fsync", self._hang)
        monkeypatch.setattr(module, "DISK_TIMEOUT_SECONDS", 0.2)

    def _hang(self, descriptor: int) -> None:
        self.hangs.set()
        self.back.wait()
        self._sync(descriptor)

    def comes_back(self) -> None:
        self._patch.setattr(module, "DISK_TIMEOUT_SECONDS", 60.0)
        self.back.set()


@pytest.fixture
def disk(file: ResumeFile, monkeypatch: pytest.MonkeyPatch) -> Iterator[HungDisk]:
    """It comes back at the end, so that no thread is left behind."""
    disk = HungDisk(monkeypatch)
    yield disk
    disk.comes_back()
    with file._turn:  # whoever was writing has ended
        pass


async def test_without_a_file_nothing_is_resumed() -> None:
    """A mark counts as made, since there is no file that another process could resume from."""
    keeper = ResumeStore(None)
    assert await keeper.load() is None
    assert keeper.ghost is None
    await keeper.save(MINE)
    assert await keeper.mark(MINE.lease)


async def test_saved_is_loaded_and_marked_is_a_ghost(file: ResumeFile) -> None:
    """A marked candidate is not resumed; its lease is remembered as the ghost."""
    keeper = ResumeStore(file)
    await keeper.save(MINE)
    assert await keeper.load() == MINE
    assert await keeper.mark(MINE.lease)
    assert await keeper.load() is None
    assert keeper.ghost == MINE.lease


async def test_steps_are_taken_in_the_order_they_were_asked_for(file: ResumeFile) -> None:
    keeper = ResumeStore(file)
    steps = [keeper.save(Resumable(lease, lease, 1)) for lease in range(1, 6)]
    await asyncio.gather(*steps, keeper.mark(5))
    assert await keeper.load() is None
    assert keeper.ghost == 5


async def test_a_failed_mark_is_not_certain(file: ResumeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A failed save is a warning, a failed mark an error."""
    (tmp_path / "resume.new").mkdir()
    keeper = ResumeStore(file)
    await keeper.save(MINE)
    assert not await keeper.mark(MINE.lease)
    assert [(r.levelno, "resume file" in r.message) for r in caplog.records] == [
        (logging.WARNING, True),
        (logging.ERROR, True),
    ]


async def test_a_hung_disk_delays_nothing(file: ResumeFile, disk: HungDisk, caplog: pytest.LogCaptureFixture) -> None:
    """The save is given up; a mark behind it is not certain, so that nothing is deleted."""
    keeper = ResumeStore(file)
    await keeper.save(MINE)
    assert disk.hangs.wait(60), "its thread may come to that later than it is given up"
    assert not await keeper.mark(MINE.lease)
    assert "the disk does not answer" in caplog.text


async def test_when_the_disk_comes_back_the_mark_is_what_stands(file: ResumeFile, disk: HungDisk) -> None:
    """Whatever of the earlier steps ends when: they had been given up, not undone."""
    keeper = ResumeStore(file)
    await keeper.save(MINE)
    await keeper.mark(MINE.lease)
    disk.comes_back()
    assert await keeper.mark(MINE.lease)
    assert await keeper.load() is None


async def test_a_disk_that_hangs_at_the_start_means_joining_anew(
    file: ResumeFile, disk: HungDisk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What an earlier process left expires."""
    monkeypatch.setattr(file, "_load", disk.back.wait)
    assert await ResumeStore(file).load() is None
    assert "joining as a new candidate: the disk does not answer" in caplog.text


async def test_no_thread_left_costs_a_step_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The app has used up the process ids of the pod, and then gives some back."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    files = ResumeFile(tmp_path, {"root": "/leasehold"})
    keeper = ResumeStore(files)
    with monkeypatch.context() as shortage:
        shortage.setattr(threading.Thread, "start", refuse)
        assert await keeper.load() is None
        await keeper.save(MINE)
        assert not await keeper.mark(MINE.lease)
    assert caplog.text.count("can't start new thread") == 3
    assert await keeper.mark(MINE.lease)
    files.close()
