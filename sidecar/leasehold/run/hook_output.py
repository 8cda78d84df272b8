"""Another program's standard output and error, as lines of our log.

This is a plain pipe that the event loop reads: with asyncio's own pipes we would wait for as long as any descendant of
the program holds the pipe open.
"""

from __future__ import annotations

import asyncio
import logging
import os
from types import TracebackType
from typing import Final, Self

log = logging.getLogger("leasehold.hook_output")

MAX_LINE_BYTES: Final = 1000
MAX_LINES: Final = 1000
_CHUNK_BYTES: Final = 65536
_LAST_CHUNKS: Final = 16  # 1 MiB, the most that a pipe holds unless root says otherwise


class OutputLog:
    """A pipe whose lines are logged under `name`, from entering the context until leaving it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""
        self._lines = 0
        self._reader, self.writer = os.pipe()
        self._writer_open = True

    def __enter__(self) -> Self:
        os.set_blocking(self._reader, False)
        asyncio.get_running_loop().add_reader(self._reader, self._read)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.opened()
        for _ in range(_LAST_CHUNKS):  # what it wrote just before its end; a descendant may write without end
            if not self._read():
                break
        if self._rest:
            self._log(self._rest)
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self._reader)

    def opened(self) -> None:
        """Close our copy of the writing end: the program has its own now."""
        if self._writer_open:
            self._writer_open = False
            os.close(self.writer)

    def _read(self) -> bool:
        """Log the lines that have arrived; returns False if there is nothing to read now."""
        try:
            chunk = os.read(self._reader, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._reader)
            return False
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._rest = self._rest[:MAX_LINE_BYTES]
        for line in lines:
            self._log(line)
        return True

    def _log(self, line: bytes) -> None:
        self._lines += 1
        if self._lines <= MAX_LINES:
            log.info("%s: %s", self._name, line[:MAX_LINE_BYTES].decode(errors="replace").rstrip())
        elif self._lines == MAX_LINES + 1:
            log.warning("%s: more than %d lines; the rest is dropped", self._name, MAX_LINES)
