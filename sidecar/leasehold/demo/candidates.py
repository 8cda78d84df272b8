"""The demo's three sidecars: real `leasehold run` processes, which the tour kills, freezes and restarts."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from leasehold.demo.apps import Apps
from leasehold.demo.cannot_start import START_TIMEOUT_SECONDS, CannotStart
from leasehold.demo.relay import Relay

NAMES: Final = ("anna", "bert", "carl")
LOCK: Final = "demo/tour"
PYTHON: Final = (sys.executable, "-P")
"""-P: without it, `-m` and `-c` would import modules of the current folder, such as an http.py there."""
_TTL_LIMITS_SECONDS: Final = (3, 12)
"""The lowest keeps the tour short; with the highest, on a busy machine, it still ends within two minutes."""
_STARTS_PER_TTL: Final = 4
"""A lease that is renewed each third of its TTL must outlast a restart, with room to spare."""


class Candidate:
    """One sidecar; after a restart it is another process. `ttl` is in seconds, and 0 until it is started first."""

    def __init__(self, name: str, apps: Apps, directory: Path) -> None:
        self.name = name
        self.ttl = 0
        self.url = self.control = ""
        self.frozen = False
        self.relay = Relay()
        self._apps = apps
        self._state = directory / name
        self._state.mkdir(exist_ok=True)
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        """Whether it ever had a process."""
        return self._process is not None

    @property
    def alive(self) -> bool:
        """Whether its process exists, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id; 0 while it has none."""
        return self._process.pid if self._process is not None and self.alive else 0

    async def start(self) -> None:
        """Start its process, and wait until it listens. Raises CannotStart with the end of its log if it does not."""
        flags = {
            "--etcd": self.relay.url,
            "--lock": LOCK,
            "--identity": self.name,
            "--ttl": str(self.ttl),
            "--listen": "127.0.0.1:0",
            "--control": "127.0.0.1:0",
            "--state-dir": str(self._state),
            "--app-health": self._apps.url(self.name),
            "--log-format": "json",
        }
        words = [*PYTHON, "-m", "leasehold", "run", *(word for pair in flags.items() for word in pair)]
        self._spawn(words)
        await self._wait_listening()

    def _spawn(self, words: Sequence[str]) -> None:
        # not in a thread: if the task were cancelled meanwhile, nobody would know the process, or end it
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    async def _wait_listening(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + START_TIMEOUT_SECONDS
        while loop.time() < end and self.alive:
            found = _addresses(self._log)
            if len(found) == 2:
                self.url, self.control = f"http://{found['listen']}", f"http://{found['control']}"
                return
            await asyncio.sleep(0.02)
        raise CannotStart.process(self.name, self._log)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)
        self.frozen = False

    def end(self) -> None:
        """Make sure that the process is gone."""
        if self._process is not None and self.alive:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def _addresses(log: Path) -> dict[str, str]:
    """The addresses in the sidecar's log: `listen` and `control`, as far as they are there."""
    found = {}
    for line in log.read_text(errors="replace").splitlines():
        try:
            fields = json.loads(line)
        except ValueError:  # the last line may be incomplete
            continue
        found.update({name: str(fields[name]) for name in ("listen", "control") if name in fields})
    return found


async def fitting_ttl() -> int:
    """A TTL in seconds that is long enough for a restart on this machine, by the time that the imports take."""
    started = time.monotonic()
    importing = await asyncio.create_subprocess_exec(*PYTHON, "-c", "import leasehold.run.app")
    try:
        await importing.wait()
    except asyncio.CancelledError:
        importing.kill()
        raise
    least, most = _TTL_LIMITS_SECONDS
    return min(max(least, math.ceil((time.monotonic() - started) * _STARTS_PER_TTL)), most)


def make_candidates(apps: Apps, directory: Path) -> Sequence[Candidate]:
    """All three, not yet started."""
    return [Candidate(name, apps, directory) for name in NAMES]


async def start_candidates(candidates: Sequence[Candidate], etcd: str, ttl: int) -> None:
    """Start all three, one after the other: their order in the queue is that of their names."""
    for candidate in candidates:
        candidate.ttl = ttl
        await candidate.relay.start(etcd)
        await candidate.start()


async def end_candidates(candidates: Sequence[Candidate]) -> None:
    """Make sure that all their processes are gone, and their ways to etcd."""
    for candidate in candidates:
        candidate.end()
    for candidate in candidates:
        await candidate.relay.close()
