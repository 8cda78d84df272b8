"""Real sidecar processes for the tests: started as users start them, asked over HTTP as users ask them."""

import contextlib
import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers import PATIENCE as PATIENCE
from tests.servers import wait_for
from tests.support.json_log_process import JsonLogProcess

LOCK = "tests/lock"
TTL = 60
"""Seconds, so many that no busy machine runs a lease out; a test that waits for one to end names a TTL of its own."""
ANSWER = 30.0
"""Seconds in which a sidecar that is not frozen certainly answers."""


@dataclass(frozen=True)
class Answer:
    """One answer of `/leader`; `sent` and `received` are instants of `time.monotonic`."""

    status: int
    fields: dict[str, Any]
    sent: float
    received: float

    @property
    def leading(self) -> bool:
        return self.status == 200

    @property
    def token(self) -> int:
        return int(self.fields["token"] or 0)


class Sidecar(JsonLogProcess):
    """One `leasehold run`, or a later one of the same name: `start` again after `kill` keeps its flags."""

    def __init__(
        self,
        etcd: str,
        name: str,
        *,
        root: str,
        lock: str = LOCK,
        ttl: int | None = TTL,
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        command: Sequence[str | Path] = (sys.executable, "-m", "leasehold", "run"),
    ) -> None:
        words = [*command, "--etcd", etcd, "--lock", lock, "--identity", name, "--root", root]
        words += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug"]
        words += ["--ttl", str(ttl)] if ttl is not None else []
        super().__init__([*words, *flags], name=name, env=env)
        self.url = self.control = ""

    def start(self) -> None:
        """Start it and return when it listens."""
        super().start()
        wait_for(lambda: not self.running or "listen" in self._listening(), f"{self.name} to listen", PATIENCE)
        assert self.running, f"{self.name} ended: {self.log_tail()}"
        found = self._listening()
        self.url, self.control = f"http://{found['listen']}", f"http://{found['control']}"

    def _listening(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for record in self.records():
            found.update({name: str(record[name]) for name in ("listen", "control") if name in record})
        return found

    def ask(self, timeout: float = ANSWER) -> Answer:
        """`GET /leader`. Raises OSError when there is no answer."""
        sent = time.monotonic()
        status, body = request("GET", f"{self.url}/leader", timeout)
        return Answer(status, json.loads(body), sent, time.monotonic())

    def is_leading(self) -> bool:
        """Whether it says 200 just now; False also when it does not answer."""
        try:
            return self.running and self.ask().leading
        except (OSError, http.client.HTTPException):
            return False

    def cpu_seconds(self) -> float:
        """The CPU time that its present process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def post(self, path: str) -> int:
        """POST to the control listener; returns the status."""
        return request("POST", self.control + path)[0]

    def get(self, path: str) -> tuple[int, str]:
        """GET any path of the public listener."""
        return request("GET", self.url + path)

    def wait_leading(self, timeout: float = PATIENCE) -> Answer:
        """Return its first 200."""
        return self._wait_answer(lambda answer: answer.leading, "to lead", timeout)

    def wait_queued(self, position: int | None = None, timeout: float = PATIENCE) -> Answer:
        """Return its first answer that says it stands in the queue, at this position if one is named."""

        def queued(answer: Answer) -> bool:
            place = answer.fields["position"]
            return place is not None and position in (None, place)

        return self._wait_answer(queued, "to stand in the queue", timeout)

    def wait_not_leading(self, timeout: float = PATIENCE) -> Answer:
        """Return its first 503."""
        return self._wait_answer(lambda answer: not answer.leading, "to lead no more", timeout)

    def _wait_answer(self, wanted: Callable[[Answer], bool], what: str, timeout: float) -> Answer:
        """The very answer that is wanted: asked again, it may say something else already."""
        found: list[Answer] = []

        def answered() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                found[:] = [self.ask()]
            return bool(found) and wanted(found[0])

        wait_for(answered, f"{self.name} {what}", timeout)
        return found[0]


def request(method: str, url: str, timeout: float = ANSWER) -> tuple[int, str]:
    """One request on a connection of its own; returns status and body. Raises OSError when there is no answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def leader_of(sidecars: Sequence[Sidecar]) -> Sidecar | None:
    """Whoever says 200 just now."""
    return next((one for one in sidecars if one.is_leading()), None)


def wait_leader(sidecars: Sequence[Sidecar], but: Sidecar | None = None, timeout: float = PATIENCE) -> Sidecar:
    """Whoever leads first among these, other than `but`."""
    others = [one for one in sidecars if one is not but]
    found: list[Sidecar | None] = [None]

    def led() -> bool:
        found[:] = [leader_of(others)]
        return found[0] is not None

    wait_for(led, "somebody to lead", timeout)
    (leader,) = found
    assert leader is not None
    return leader
