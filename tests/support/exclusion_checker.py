"""A witness for exclusion: asks every sidecar `/leader` all the time, and judges the answers as a caller could.

A 200 was decided at some instant between its question and its receipt. Two sidecars decide at once only if those
spans could overlap for both, so a contradiction is certain when a question sent after a 200 with token T was received
is answered 200 with a lower token by another. The other way round, what an answer promises counts too: until
`sent + validForSeconds` no other may be told 200 with a higher token, unless the first had let go meanwhile.
"""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.sidecars import ANSWER, Answer, Sidecar


@dataclass(frozen=True)
class Said:
    """A 200: who said it, and the answer."""

    name: str
    answer: Answer


class Witness:
    """A thread for each sidecar while entered; `said` holds every 200 in the order of receipt."""

    def __init__(self, sidecars: Sequence[Sidecar], pause: float = 0.01) -> None:
        self.said: list[Said] = []
        self.asked = 0
        self._pause = pause
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask_for_ever, args=(one,), daemon=True) for one in sidecars]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * ANSWER)

    def _ask_for_ever(self, sidecar: Sidecar) -> None:
        while not self._over.wait(self._pause):
            connection = http.client.HTTPConnection("127.0.0.1", int(sidecar.url.rpartition(":")[2]), timeout=ANSWER)
            try:
                while not self._over.wait(self._pause):
                    self._note(sidecar.name, _ask(connection))
            except (OSError, http.client.HTTPException, ValueError):
                continue  # it is dead, or restarting: ask again, maybe at another port
            finally:
                connection.close()

    def _note(self, name: str, answer: Answer) -> None:
        with self._lock:
            self.asked += 1
            if answer.leading:
                self.said.append(Said(name, answer))

    def heard(self, name: str, since: float) -> bool:
        """Whether this sidecar answered 200 to a question asked after that instant."""
        with self._lock:
            return any(one.name == name and one.answer.sent > since for one in self.said)

    def contradictions(self) -> list[str]:
        """Every pair of answers that cannot both have been right, in words."""
        return contradictions(self.said)

    def gap_after(self, token: int) -> float:
        """Seconds from the last receipt of a 200 with this token to the first of one with a higher token."""
        last = max(one.answer.received for one in self.said if one.answer.token == token)
        return min(one.answer.received for one in self.said if one.answer.token > token) - last


def contradictions(everything: Sequence[Said]) -> list[str]:
    """Every pair of these 200s that cannot both have been right, in words."""
    found = []
    highest: Said | None = None
    for said in sorted(everything, key=lambda one: one.answer.received):
        if highest is not None and said.answer.token < highest.answer.token and _after(said, highest):
            found.append(f"{_words(said)} after {_words(highest)}")
        if highest is None or said.answer.token > highest.answer.token:
            highest = said
    owners: dict[int, str] = {}
    for said in everything:
        owners.setdefault(said.answer.token, said.name)
    stolen = [one for one in everything if owners[one.answer.token] != one.name]
    return found + [f"{_words(one)}, a token of {owners[one.answer.token]}" for one in stolen]


def _ask(connection: http.client.HTTPConnection) -> Answer:
    sent = time.monotonic()
    connection.request("GET", "/leader")
    answer = connection.getresponse()
    fields = json.loads(answer.read())
    return Answer(answer.status, fields, sent, time.monotonic())


def _after(later: Said, earlier: Said) -> bool:
    return later.answer.sent > earlier.answer.received


def _words(said: Said) -> str:
    return f"{said.name} said 200 with token {said.answer.token} ({said.answer.sent:.3f}–{said.answer.received:.3f})"
