"""What was seen of one run, for the checker. Facts only, each with the instants between which it happened.

All instants are seconds of the observer's own CLOCK_MONOTONIC. What happened between a question and its answer
happened at an unknown instant of that span: `sent` is read before the question leaves, `received` after the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args


@dataclass(frozen=True, slots=True)
class Setup:
    """What the run was set to; durations in seconds."""

    ttl: int
    queue: str
    """The common prefix of all candidates' keys, with its closing slash."""
    spec: str
    """The key of the declared lock."""
    register: str
    """The key of the fenced register."""
    rates: dict[str, float] = field(default_factory=dict)
    """By how much the clock of a sidecar runs faster than true; 1.0 where none is named."""
    priorities: dict[str, int] = field(default_factory=dict)
    about: str = ""
    """What else a reader should know: seed, versions, flags."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer of `/leader`. `token` is 0 unless the status is 200."""

    name: str
    sent: float
    received: float
    status: int
    token: int = 0
    valid_for: float = 0.0
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A linearizable answer of etcd, to the observer itself, and the revision it was given at."""

    sent: float
    received: float
    revision: int


@dataclass(frozen=True, slots=True)
class Changed:
    """One change of one key, from etcd's own record of all its revisions."""

    revision: int
    key: str
    deleted: bool
    value: str = ""


@dataclass(frozen=True, slots=True)
class Wrote:
    """A client that had been told 200 with `token` wrote it to the register. `accepted` None: nobody knows."""

    name: str
    token: int
    sent: float
    received: float
    accepted: bool | None


@dataclass(frozen=True, slots=True)
class Ended:
    """Somebody else deleted this candidate's key, or revoked its lease, or tried to, from `sent` on."""

    key: str
    sent: float


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Between these instants a woken, replaced leader of etcd may revoke leases that were renewed, as anybody might."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a sidecar give up: `handover` or `pause`, with the status of the answer; or `stop`, by TERM.

    Without an answer, as TERM always is, the status is 0.
    """

    name: str
    what: str
    sent: float
    received: float
    status: int


@dataclass(frozen=True, slots=True)
class Started:
    """A process of this name was started, for the first time or anew."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Released:
    """What a sidecar's own log claims: that it gave the lock up on purpose while it held under this token."""

    name: str
    token: int


@dataclass(frozen=True, slots=True)
class Step:
    """What the nemesis did: for those who read the story of a contradiction."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault of this name was done, and etcd answered where that needs etcd."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """After the faults of one step: when they were over, and when somebody led; None for never."""

    step: str
    healed: float
    leading: float | None


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that no fault explains: a process that died, or logged an exception."""

    what: str


@dataclass(frozen=True, slots=True)
class Final:
    """How it all stood at the end, when everything had been healed for long."""

    live: list[str]
    queue: list[str]
    """The identities in etcd's queue, in order."""
    leading: list[str]
    positions: dict[str, int | None] = field(default_factory=dict)


Fact = (
    Told
    | Seen
    | Changed
    | Wrote
    | Ended
    | Forwarded
    | Asked
    | Started
    | Released
    | Step
    | Injected
    | Recovery
    | Broken
    | Final
)
F = TypeVar("F")
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Fact)}


class History:
    """All facts of one run, in the order in which they were noted. Noting is safe from any thread."""

    def __init__(self, setup: Setup, facts: list[Fact] | None = None) -> None:
        self.setup = setup
        self.facts: list[Fact] = facts if facts is not None else []

    def note(self, fact: Fact) -> None:
        """Add one fact."""
        self.facts.append(fact)  # atomic in CPython

    def all(self, kind: type[F]) -> list[F]:
        """Every fact of this kind."""
        return [fact for fact in list(self.facts) if isinstance(fact, kind)]

    def save(self, path: Path) -> None:
        """Write it as one JSON object a line, the setup first."""
        with path.open("w") as file:
            for line in self._lines():
                file.write(line + "\n")

    def _lines(self) -> Iterator[str]:
        yield json.dumps(asdict(self.setup))
        for fact in self.facts:
            yield json.dumps({"fact": type(fact).__name__, **asdict(fact)})

    @classmethod
    def load(cls, path: Path) -> History:
        """Read what `save` wrote."""
        first, *lines = path.read_text().splitlines()
        known = {one.name for one in fields(Setup)}
        setup = Setup(**{name: value for name, value in json.loads(first).items() if name in known})
        return cls(setup, [_fact(json.loads(line)) for line in lines])


def _fact(named: dict[str, Any]) -> Fact:
    fact: Fact = _KINDS[named.pop("fact")](**named)
    return fact
