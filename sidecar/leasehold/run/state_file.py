"""`state.json` in the state directory: the newest leadership status, for programs that read a file instead of asking.

A hint, not a guarantee: a frozen or killed process leaves its last state behind. So the file has an end of validity:
`leading` is void once the first number in `/proc/uptime` of the same machine has passed `validUntilUptime`. (That
number is CLOCK_BOOTTIME, the clock of the lease deadline; a machine without it has no such field.) A leader must send
`token` with every write; only the token protects.

The file is replaced by rename: a reader sees the old or the new content, never a mixture. Nothing waits for the disk: a
daemon thread writes, and skips to the newest status if the disk is slow. The file is not synced to the disk, since no
reader outlives the machine.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from leasehold.candidate.leadership import LeadershipStatus, ended_fields, iso
from leasehold.candidate.new_file import replace
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot

log = logging.getLogger("leasehold.state_file")

NAME: Final = "state.json"
Write = Callable[[bytes], None]


class StateFile:
    """Keeps `state.json` up to date from `start` until `close`."""

    def __init__(self, directory: Path, publisher: Publisher, *, wall: Callable[[], float] = time.time) -> None:
        self._publisher = publisher
        self._wall = wall
        self._stop_listening: Callable[[], None] | None = None
        self._writer = _Writer(directory / NAME)

    def start(self) -> None:
        """Write the current status, and every later one."""
        self._stop_listening = self._publisher.listen(lambda before, after: self._put(after, ended=False))
        self._put(self._publisher.snapshot, ended=False)
        self._writer.start()

    def close(self, timeout: float = 1.0) -> None:
        """Write that this process has ended, waiting at most `timeout` seconds for the disk."""
        if self._stop_listening is None:
            return
        self._stop_listening()
        self._put(self._publisher.snapshot, ended=True)
        self._writer.close(timeout)

    def _put(self, snapshot: Snapshot, *, ended: bool) -> None:
        fields = _fields(snapshot, self._publisher.clock(), self._wall(), ended=ended)
        self._writer.put(json.dumps(fields, ensure_ascii=False).encode() + b"\n")


def _fields(snapshot: Snapshot, now: float, wall: float, *, ended: bool) -> dict[str, Any]:
    status = LeadershipStatus.at(snapshot, now)
    fields = status.fields(wall) | {"state": snapshot.state.value, "ended": ended, "writtenAt": iso(wall)}
    del fields["validForSeconds"]  # meaningless unless the reader knows when it was written
    if ended:
        fields |= ended_fields(wall)
    if hasattr(time, "CLOCK_BOOTTIME"):
        fields["validUntilUptime"] = snapshot.deadline if fields["leading"] else None
    return fields


class _Writer:
    """A thread that writes the newest content. A daemon thread: a hung disk must not keep the process alive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._newest: bytes | None = None
        self._closing = False
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="state-file", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, content: bytes) -> None:
        with self._changed:
            self._newest = content
            self._changed.notify()

    def close(self, timeout: float) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("%s was not brought up to date: the disk did not answer", self._path)

    def _run(self) -> None:
        while (content := self._take()) is not None:
            self._write(content)

    def _take(self) -> bytes | None:
        """Wait for something to write; returns None if there is nothing left to write, and nothing will come."""
        with self._changed:
            while self._newest is None and not self._closing:
                self._changed.wait()
            content, self._newest = self._newest, None
            return content

    def _write(self, content: bytes) -> None:
        try:
            replace(self._path, [content], 0o644)  # the app's container may run as another user
        except OSError as error:
            self._report(error.strerror or str(error))
        else:
            self._report("")

    def _report(self, problem: str) -> None:
        """Log only changes of the outcome."""
        if problem and problem != self._problem:
            log.warning("%s cannot be written, and may be out of date: %s", self._path, problem)
        elif self._problem and not problem:
            log.info("%s is written again", self._path)
        self._problem = problem
