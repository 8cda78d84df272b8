"""Who asks all the time: every sidecar's `/leader`, and every member of etcd for its revision. Clients write with it.

A client is told 200 with a token, and then writes it to a register in etcd that refuses a token below the one it
holds. Now and then it sleeps in between, as any process may: the register must not go back even then.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from tests.nemesis.etcd_gateway import Gateway, Unanswered
from tests.nemesis.history import History, Told, Wrote
from tests.support.sidecars import Sidecar

PATIENCE: Final = 0.4
"""Seconds for one answer. A frozen sidecar is asked anew that often: then one question is fresh when it wakes."""
LOOK_EVERY: Final = 0.05
WRITE_EVERY: Final = 0.15
SLEEPY: Final = 0.04
"""How often a client sleeps between being told and writing."""


class Observer:
    """Its threads run while it is entered; what they see goes into the history."""

    def __init__(
        self, history: History, sidecars: Sequence[Sidecar], ports: Sequence[int], user: str, seed: int
    ) -> None:
        """`ports` are the members' on 127.0.0.1; `user` as in Gateway; `seed` says when clients sleep."""
        self._history = history
        self._user = user
        self._over = threading.Event()
        self.latest: dict[str, Told] = {}
        self._writers = {
            one.name: _Writer(history, Gateway(ports, user, timeout=2.0), self._over, f"{seed} {one.name}")
            for one in sidecars
        }
        askers = [threading.Thread(target=self._ask_for_ever, args=(one,), daemon=True) for one in sidecars]
        lookers = [threading.Thread(target=self._look_for_ever, args=(port,), daemon=True) for port in ports]
        self._threads = [*askers, *lookers, *self._writers.values()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def leading(self, since: float) -> list[str]:
        """Who said 200 in its newest answer, if that was asked for at or after this instant."""
        newest = list(self.latest.values())
        return [told.name for told in newest if told.status == 200 and told.sent >= since]

    def _ask_for_ever(self, sidecar: Sidecar) -> None:
        while not self._over.wait(0.02):
            if not sidecar.url:
                continue
            connection = http.client.HTTPConnection("127.0.0.1", int(sidecar.url.rpartition(":")[2]), timeout=PATIENCE)
            try:
                self._ask_over(connection, sidecar.name)
            except (OSError, http.client.HTTPException, ValueError):
                continue  # it is dead, frozen or restarting: ask again, maybe at another port
            finally:
                connection.close()

    def _ask_over(self, connection: http.client.HTTPConnection, name: str) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            told = _ask(connection, name)
            self._history.note(told)
            self.latest[name] = told
            pause = 0.02 if told.status == 200 else 0.05
            if told.status == 200:
                self._writers[name].told(told)

    def _look_for_ever(self, port: int) -> None:
        gateway = Gateway([port], self._user)
        while not self._over.wait(LOOK_EVERY):
            try:
                self._history.note(gateway.look())
            except Unanswered:
                continue
        gateway.close()


def _ask(connection: http.client.HTTPConnection, name: str) -> Told:
    sent = time.monotonic()
    connection.request("GET", "/leader")
    answer = connection.getresponse()
    fields: dict[str, Any] = json.loads(answer.read())
    received = time.monotonic()
    if fields["identity"] != name:
        raise ValueError("another sidecar listens where this one did before it died")
    token = int(fields["token"]) if answer.status == 200 else 0
    return Told(name, sent, received, answer.status, token, float(fields["validForSeconds"]), fields["position"])


class _Writer(threading.Thread):
    """The client beside one sidecar."""

    def __init__(self, history: History, gateway: Gateway, over: threading.Event, seed: str) -> None:
        super().__init__(daemon=True)
        self._history = history
        self._gateway = gateway
        self._over = over
        self._rng = random.Random(seed)
        self._newest: Told | None = None
        self._awake = threading.Event()

    def told(self, told: Told) -> None:
        """It leads, as far as it was told."""
        self._newest = told
        self._awake.set()

    def run(self) -> None:
        """Write what was told last, until all is over."""
        while not self._over.wait(WRITE_EVERY):
            told = self._newest
            if self._awake.wait(0.1) and told is not None:
                self._awake.clear()
                if self._rng.random() < SLEEPY:
                    self._over.wait(self._rng.uniform(0.5, 2.0) * max(told.valid_for, 1.0))
                self._write(told)
        self._gateway.close()

    def _write(self, told: Told) -> None:
        sent = time.monotonic()
        accepted: bool | None = None
        with contextlib.suppress(Unanswered):  # then nobody knows
            accepted, _ = self._gateway.write_fenced(self._history.setup.register, told.token)
        self._history.note(Wrote(told.name, told.token, sent, time.monotonic(), accepted))
