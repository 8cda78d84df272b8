"""The page of all locks, on the demo's etcd: a real `leasehold ui`."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from leasehold.demo.candidates import LOCK, PYTHON
from leasehold.demo.cannot_start import START_TIMEOUT_SECONDS, CannotStart


class Page:
    """One page. `url` is empty until it is started."""

    def __init__(self, directory: Path) -> None:
        self.url = ""
        self._log = directory / "ui.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, etcd: str) -> None:
        """Serve it on any free port. Raises CannotStart with the end of its log if it does not start."""
        words = [*PYTHON, "-m", "leasehold", "ui", "--etcd", etcd, "--listen", "127.0.0.1:0", "--log-format", "json"]
        process = self._spawn(words)
        loop = asyncio.get_running_loop()
        end = loop.time() + START_TIMEOUT_SECONDS
        while loop.time() < end and process.poll() is None:
            for line in self._log.read_text(errors="replace").splitlines():
                if '"listen"' in line and line.endswith("}"):
                    self.url = f"http://{json.loads(line)['listen']}/#{LOCK}"
                    return
            await asyncio.sleep(0.05)
        raise CannotStart.process("The page", self._log)

    def _spawn(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        # not in a thread: if the task were cancelled meanwhile, nobody would know the process, or end it
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self._process

    def end(self) -> None:
        """Make sure that its process is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
