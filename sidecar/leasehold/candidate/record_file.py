"""`flight-record.jsonl` in the state directory: the flight record, kept when something has gone wrong.

It is written when the lock was lost, when another process took it over, and when the election met a bug; two are kept,
the newest and the one before. A daemon thread writes, so nothing waits for the disk, and a hung one does not keep the
process alive. It writes at most once in `PAUSE_SECONDS`: a candidate that loses its key again and again has one story.
A record that cannot be written is dropped, with one line in the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from leasehold.base.threads.without_signals import start_without_signals
from leasehold.candidate.new_file import replace
from leasehold.candidate.recorder import Recorder, Recording

_log = logging.getLogger("leasehold.record_file")

NAME: Final = "flight-record.jsonl"
OLDER_NAME: Final = "flight-record.1.jsonl"
PAUSE_SECONDS: Final = 10.0


class RecordFile:
    """Keeps this recorder's record in this directory whenever the recorder says that one is wanted, until `close`."""

    def __init__(self, directory: Path, recorder: Recorder, *, pause: float = PAUSE_SECONDS) -> None:
        """`pause` is the least time between two records, in seconds."""
        self._directory = directory
        self._recorder = recorder
        self._pause = pause
        self._changed = threading.Condition()
        self._newest: Recording | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen to the recorder."""
        self._recorder.alarm = self._keep

    def close(self, timeout: float = 2.0) -> None:
        """Write what is still to be written, waiting at most `timeout` seconds for the disk."""
        self._recorder.alarm = None
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _keep(self, reason: str) -> None:
        with self._changed:
            self._newest = self._recorder.recording(reason)
            self._changed.notify()
        if self._thread is None:  # most sidecars never lose a lock, and need no thread
            self._thread = start_without_signals(self._run, "flight-record")

    def _run(self) -> None:
        while (recording := self._take()) is not None:
            self._write(recording)
            with self._changed:
                self._changed.wait_for(lambda: self._closing, self._pause)

    def _take(self) -> Recording | None:
        """Wait for a record to write; None once there is none left and there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._closing)
            recording, self._newest = self._newest, None
            return recording

    def _write(self, recording: Recording) -> None:
        path = self._directory / NAME
        try:
            # Readable by the app's container, which may run as another user and is where a shell is.
            replace(path, _gently(recording), 0o644, older=self._directory / OLDER_NAME)
        except OSError as error:
            _log.warning("the flight record was dropped, as %s cannot be written: %s", path, error.strerror or error)
        else:
            _log.info("the flight record is in %s", path)


def _gently(recording: Recording) -> Iterator[bytes]:
    """The pieces, with the loop's thread let in after each: it may be about to join again."""
    for piece in recording.pieces():
        yield piece
        time.sleep(0)
