"""state.json: whole at every moment, the newest in the end, and never in the election's way."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leasehold.candidate import new_file
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.names import LockName
from leasehold.run import state_file
from leasehold.run.state_file import StateFile

WAITING = Snapshot(
    LockName("prod", "billing"), "billing-0", State.WAITING, token=17, deadline=110.0, leader="billing-1", position=1
)
HOLDING = replace(WAITING, state=State.HOLDING, term_since=90.0, leader="billing-0", position=0)


class World:
    """A state file in a directory of its own, on a board and a clock that the test sets."""

    def __init__(self, directory: Path) -> None:
        self.now = 100.0
        self.directory = directory
        self.board = Publisher(WAITING, lambda: self.now)
        self.file = StateFile(directory, self.board, wall=lambda: 1_000_000_000.0)

    def read(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        return fields


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread brings about."""
    give_up = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.file.close(600)


def written(world: World) -> bool:
    return (world.directory / "state.json").exists()


def test_the_standing_is_there_from_the_start(world: World) -> None:
    world.file.start()
    until(lambda: written(world))
    assert world.read() == {
        "lock": "prod/billing",
        "identity": "billing-0",
        "leading": False,
        "token": None,
        "key": None,
        "leader": "billing-1",
        "since": None,
        "position": 1,
        "state": "waiting",
        "ended": False,
        "writtenAt": "2001-09-09T01:46:40Z",
        "validUntilUptime": None,
        **dict.fromkeys(("reason", "reasonCode", "reasonSince", "reasonUntil")),
    }


def test_a_leader_says_until_when(world: World) -> None:
    world.file.start()
    world.board.publish(HOLDING)
    until(lambda: written(world) and world.read()["leading"])
    fields = world.read()
    assert (fields["token"], fields["validUntilUptime"], fields["leader"]) == (17, 110.0, "billing-0")


@pytest.mark.skipif(not Path("/proc/uptime").exists(), reason="only Linux has /proc/uptime")
def test_uptime_is_the_clock_of_the_deadline() -> None:
    """A shell script compares the field with /proc/uptime."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert before - 0.02 <= uptime <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_at_the_end_nobody_is_left_believing(world: World) -> None:
    world.file.start()
    world.board.publish(HOLDING)
    world.file.close(600)
    fields = world.read()
    assert (fields["ended"], fields["leading"], fields["token"], fields["validUntilUptime"]) == (
        True,
        False,
        None,
        None,
    )


def test_every_user_may_read_it_and_no_other_file_is_left(world: World) -> None:
    mask = os.umask(0o077)
    try:
        world.file.start()
        world.file.close(600)
    finally:
        os.umask(mask)
    assert [path.name for path in world.directory.iterdir()] == ["state.json"]
    assert stat.S_IMODE((world.directory / "state.json").stat().st_mode) == 0o644


def test_a_hung_disk_delays_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the disk answers again, it gets the newest state."""
    thaw, writes = threading.Event(), []
    replace_file = new_file.replace

    def hang(path: Path, content: list[bytes], mode: int) -> None:
        writes.append(content)
        thaw.wait(600)
        replace_file(path, content, mode)

    monkeypatch.setattr(state_file, "replace", hang)
    world.file.start()
    until(lambda: len(writes) == 1)
    for token in range(100, 200):
        world.board.publish(replace(HOLDING, token=token))  # on the election's own thread: it must not wait
    world.file.close(0.01)
    assert "the disk did not answer" in caplog.text
    thaw.set()
    until(lambda: written(world) and world.read()["ended"])
    assert len(writes) == 2


def test_a_failure_is_logged_once_and_so_is_its_end(world: World, caplog: pytest.LogCaptureFixture) -> None:
    blocker = world.directory / "state.json"
    blocker.mkdir()
    (blocker / "full").touch()
    with caplog.at_level(logging.INFO):
        world.file.start()
        until(lambda: "cannot be written" in caplog.text)
        world.board.publish(HOLDING)
        until(lambda: not list(world.directory.glob(".state.json.tmp")))
        (blocker / "full").unlink()
        blocker.rmdir()
        world.board.publish(WAITING)
        until(lambda: "is written again" in caplog.text)
    assert caplog.text.count("cannot be written") == 1


def test_closing_what_never_started_does_nothing(tmp_path: Path) -> None:
    World(tmp_path).file.close()
    assert list(tmp_path.iterdir()) == []
