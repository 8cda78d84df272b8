"""Standard error, written by a thread: a reader that pauses holds up nothing but the log.

A full pipe (a pager, Ctrl-S, a wedged log driver) and a file on a disk that hangs block the thread that writes to them.
On the event loop that would stop `/leader`, the keep-alives and TERM.

Why a thread: O_NONBLOCK would apply to the open file description, which the shell and the command of `leasehold exec`
share with us. `poll` before a write is no protection either: another process may fill the pipe in between, and a file
is always said to be writable.
"""

from __future__ import annotations

import io
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from leasehold.base.threads.without_signals import start_without_signals

MAX_WAITING_BYTES: Final = 256 * 1024
"""What may wait to be written; what comes after it is dropped until all of it is written."""
_CHUNK_BYTES: Final = 4096
"""PIPE_BUF of Linux: what another process writes to the same pipe cannot come in the middle of so much."""


class BackgroundStream(io.TextIOBase):
    """A text stream whose `write` never blocks. Any thread may use it.

    Lines that are dropped are counted, and `notice(count)`, a text with its line end, takes their place in the output.
    """

    encoding = "utf-8"

    def __init__(self, descriptor: int, notice: Callable[[int], str]) -> None:
        self.notice = notice
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._writing = False
        self._started = False
        with self._changed:
            self._start()

    def write(self, text: str) -> int:
        """Have the text written after what waits already, or drop it."""
        if not text:  # as tracebacks have it; to the thread, nothing to write means that lines were dropped
            return 0
        content = text.encode(errors="backslashreplace")
        with self._changed:
            full = self._waiting and self._waiting_bytes + len(content) > MAX_WAITING_BYTES
            if self._dropped or full:
                self._dropped += max(1, content.count(b"\n"))
            else:
                self._waiting.append(content)
                self._waiting_bytes += len(content)
            self._start()
            self._changed.notify_all()
        return len(text)

    def drain(self, seconds: float) -> None:
        """Wait until all of it is written, but no longer than that; without a thread, write it here."""
        with self._changed:
            if not self._started:
                self._write_here(seconds)
            self._changed.wait_for(lambda: not (self._waiting or self._dropped or self._writing), seconds)

    def fileno(self) -> int:
        """The descriptor that is written to."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Whether it can be written to: yes."""
        return True

    def _start(self) -> None:
        if self._started:
            return
        try:
            # A daemon: the process does not wait for it at its end.
            start_without_signals(self._run, "log")
            self._started = True
        except RuntimeError:  # the container is out of process ids: the next line tries again
            return

    def _write_here(self, seconds: float) -> None:
        """The process is about to end, and never had a thread for this: what fits at once is better than nothing."""
        content = b"".join(self._waiting)[:_CHUNK_BYTES]
        self._waiting.clear()
        self._waiting_bytes = self._dropped = 0
        writable = select.poll()
        writable.register(self._descriptor, select.POLLOUT)
        if writable.poll(seconds * 1000):
            self._write(content)

    def _run(self) -> None:
        while True:
            content, dropped = self._take()
            self._write(content or self.notice(dropped).encode(errors="backslashreplace"))

    def _take(self) -> tuple[bytes, int]:
        """Wait for the next lines to write; for a count of dropped ones, once everything before them is written."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._dropped)
            self._writing = True
            if not self._waiting:
                dropped, self._dropped = self._dropped, 0
                return b"", dropped
            taken = [self._waiting.popleft()]
            size = len(taken[0])
            while self._waiting and size + len(self._waiting[0]) <= _CHUNK_BYTES:
                taken.append(self._waiting.popleft())
                size += len(taken[-1])
            self._waiting_bytes -= size
            return b"".join(taken), 0

    def _write(self, content: bytes) -> None:
        while content:
            try:
                content = content[os.write(self._descriptor, content) :]
            except BlockingIOError:  # another process has set O_NONBLOCK on what we share
                writable = select.poll()
                writable.register(self._descriptor, select.POLLOUT)
                writable.poll()
            except OSError:  # a full disk, or the other end is closed: there is nowhere left to say so
                return
