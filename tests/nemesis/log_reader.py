"""Whoever reads a sidecar's log: a thread that can pause, as a pager does, Ctrl-S, or a log driver that hangs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from tests.support.paused_log import PausedLog

TAKE_SECONDS: Final = 0.05
"""How long one look at the pipe may last."""


class LogReader:
    """Copies from a pipe to a file from its making until `close`."""

    def __init__(self, pipe: PausedLog, file: Path) -> None:
        self._pipe = pipe
        self._file = file
        self._reading = threading.Lock()
        self._over = threading.Event()
        self._free = threading.Event()
        self._free.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Read no more; the pipe is so full at once that whoever writes to it must wait."""
        self._free.clear()
        with self._reading:
            self._pipe.fill()

    def resume(self) -> None:
        """Read on."""
        self._free.set()

    def catch_up(self) -> None:
        """Copy what was written so far, unless it is paused."""
        if self._free.is_set():
            self._copy(0.0)

    def close(self) -> None:
        """Be done with the pipe."""
        self._over.set()
        self._free.set()
        self._thread.join()
        self._pipe.close()

    def _run(self) -> None:
        while not self._over.is_set():
            self._free.wait()
            self._copy(TAKE_SECONDS)

    def _copy(self, timeout: float) -> None:
        with self._reading, self._file.open("ab") as file:
            if self._free.is_set():
                file.write(self._pipe.take(timeout))
