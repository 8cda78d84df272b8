"""Who watches while pods come and go: every sidecar's `/leader`, asked all the time, and a store that fences."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.cluster import ApiError, Cluster, Object
from tests.cluster.node import PATIENCE
from tests.servers import Process, wait_for
from tests.support.exclusion_checker import Said, contradictions
from tests.support.sidecars import Answer

_PROGRAMS: Final = Path(__file__).parent / "programs"
_LOOK_EVERY: Final = 0.1
"""Seconds between two looks at which pods there are: a pod is asked from that long after it has an address."""
SIDECAR_PORT: Final = 4040


class PodWitness:
    """Asks every pod of the namespace that `labels` select, from when it has an address until it is gone.

    `every`: seconds between an answer and the next question to the same pod. At 0.01 two pods, with what answers them,
    keep a fifth of a processor busy.
    """

    def __init__(self, cluster: Cluster, namespace: str, labels: str, every: float = 0.03) -> None:
        self._cluster = cluster
        self._where = namespace, labels
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._said: list[Said] = []
        self._watched: dict[str, str] = {}
        words: list[str | Path] = [sys.executable, "-P", _PROGRAMS / "asker.py", str(every)]
        self._asker = cluster.process(words, name="asker", lines=True)
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._look, self._listen)]

    def __enter__(self) -> Self:
        self._asker.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        self._asker.close()  # nobody writes to it any more

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            with contextlib.suppress(ApiError, OSError, http.client.HTTPException):
                namespace, labels = self._where
                self._follow(self._cluster.list("pods", namespace, labels=labels))

    def _follow(self, pods: list[Object]) -> None:
        present = {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in pods}
        for name, address in present.items():
            if address and self._watched.get(name) != address:
                self._watched[name] = address
                self._asker.send(f"watch {name} {address} {SIDECAR_PORT}")
        for name in [name for name in self._watched if name not in present]:
            del self._watched[name]
            self._asker.send(f"forget {name}")

    def _listen(self) -> None:
        while not self._over.wait(0.01):
            for line in self._asker.ready_lines():
                self._note(json.loads(line))

    def _note(self, told: dict[str, object]) -> None:
        if told["status"] == 200:
            answer = Answer(200, {"token": told["token"]}, float(str(told["sent"])), float(str(told["received"])))
            with self._lock:
                self._said.append(Said(str(told["name"]), answer))

    # --- what it has heard ----------------------------------------------------------------------------------

    @property
    def said(self) -> list[Said]:
        """Every 200 so far, in the order of receipt."""
        with self._lock:
            return list(self._said)

    def contradictions(self) -> list[str]:
        """Every pair of answers that cannot both have been right, in words."""
        return contradictions(self.said)

    def tokens(self) -> list[int]:
        """The tokens of all terms so far, rising."""
        return sorted({one.answer.token for one in self.said})

    def wait_leader(self, *, but: str = "", since: float | None = None, timeout: float = PATIENCE) -> Said:
        """The first 200 of another than `but` to a question asked after `since`, an instant; now unless told."""
        start = time.monotonic() if since is None else since
        return self._wait(lambda one: one.name != but and one.answer.sent >= start, "somebody to lead", timeout)

    def wait_leads(self, name: str, timeout: float = PATIENCE) -> Said:
        """The first 200 of this pod to a question asked from now on."""
        start = time.monotonic()
        return self._wait(lambda one: one.name == name and one.answer.sent >= start, f"{name} to lead", timeout)

    def wait_above(self, token: int, timeout: float = PATIENCE) -> Said:
        """The first 200 with a higher token, whenever that was."""
        return self._wait(lambda one: one.answer.token > token, f"a token above {token}", timeout)

    def _wait(self, wanted: Callable[[Said], bool], what: str, timeout: float) -> Said:
        found: list[Said] = []

        def heard() -> bool:
            found[:] = [one for one in self.said if wanted(one)][:1]
            return bool(found)

        wait_for(heard, what, timeout)
        return found[0]

    def last_of(self, token: int) -> float:
        """When the last 200 with this token was received."""
        return max(one.answer.received for one in self.said if one.answer.token == token)

    def last_asked(self, token: int) -> float:
        """When the last question that was answered by a 200 with this token was sent: it was decided no earlier."""
        return max(one.answer.sent for one in self.said if one.answer.token == token)

    def first_above(self, token: int) -> Said:
        """The first 200 with a higher token."""
        return min((one for one in self.said if one.answer.token > token), key=lambda one: one.answer.received)

    def gap_after(self, token: int) -> float:
        """Seconds from the last 200 with this token to the first with a higher one, as heard."""
        return self.first_above(token).answer.received - self.last_of(token)


@dataclass(frozen=True)
class Write:
    """One write that reached the store."""

    token: int
    pod: str
    taken: bool
    at: float


class Recorder:
    """The store that the apps write to; `address` is what pods reach it by."""

    def __init__(self, cluster: Cluster) -> None:
        self._process: Process = cluster.process(
            [sys.executable, "-P", _PROGRAMS / "recorder.py", cluster.address], name="recorder", lines=True
        )
        self._host = cluster.address
        self._writes: list[Write] = []
        self.address = ""

    def __enter__(self) -> Self:
        self._process.start()
        self.address = f"{self._host}:{json.loads(self._process.read_line())['listen']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def writes(self) -> list[Write]:
        """All writes so far, in the order in which the store decided."""
        self._writes += [Write(**json.loads(line)) for line in self._process.ready_lines()]
        return self._writes

    def wait_write(self, token: int, timeout: float = PATIENCE) -> None:
        """Wait for a write under this token or a later one."""
        wait_for(lambda: any(write.token >= token for write in self.writes()), f"a write under {token}", timeout)
