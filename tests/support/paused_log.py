"""A reader of a program's standard error that can pause: a pager, Ctrl-S, a log driver that hangs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import time
from collections.abc import Sequence
from pathlib import Path

PIPE_BYTES = 4096
"""The least that a pipe can hold: as a larger one after a day of ordinary lines."""


class PausedLog:
    """A named pipe that is read only when the test does so."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # our own description of it: theirs still blocks
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._writers: list[int] = []
        self.text = ""
        """What was read so far."""

    def command(self, *words: str) -> Sequence[str]:
        """The command that has this pipe as its standard error."""
        return ["sh", "-c", 'exec "$@" 2> "$0"', str(self._path), *words]

    def writer(self) -> int:
        """A descriptor to write to, as the program has it; closed with the pipe."""
        self._writers.append(os.open(self._path, os.O_WRONLY))
        return self._writers[-1]

    def read(self) -> str:
        """Read what is there, and return all that was read so far."""
        self.text += self.take(0.0).decode(errors="replace")
        return self.text

    def take(self, timeout: float) -> bytes:
        """What is there, after at most so many seconds of waiting for it."""
        taken = b""
        with contextlib.suppress(BlockingIOError):
            if select.select([self._pipe], [], [], timeout)[0]:
                while data := os.read(self._pipe, 1 << 20):
                    taken += data
        return taken

    def read_until(self, word: str, timeout: float = 60.0) -> str:
        """Read on until this was read. Raises TimeoutError."""
        until = time.monotonic() + timeout
        while word not in self.read():
            if not select.select([self._pipe], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError(f"{word!r} was not logged: {self.text[-2000:]}")
        return self.text

    def fill(self) -> None:
        """Pause, with the pipe so full that not one more byte can be written."""
        for size in (PIPE_BYTES, 1):
            with contextlib.suppress(BlockingIOError):
                while os.write(self._pipe, b"\n" * size):
                    pass

    def close(self) -> None:
        """Close our ends, what is written to them is read."""
        self.read()
        for descriptor in (*self._writers, self._pipe):
            os.close(descriptor)
