"""All that an election is made of as JSON, and an election made of that: what a flight record can start from.

It goes by what it finds: plain values, containers, and instances of the classes of `leasehold.election` and
`leasehold.lock`, by their attributes. So a new attribute is recorded without a line of code here, and anything that
could not be restored raises as soon as a test records it. A record is a file from elsewhere: what is restored from it
are these two packages' own classes and functions, nothing is called, and nothing else is imported.

The layout is that of one version of Leasehold, which the record's head names. The generator of random numbers is left
out: whoever restores gives one, seeded as the record says.
"""

from __future__ import annotations

import enum
import math
import random
import sys
import types
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, Final

from leasehold.base.records import dataclass
from leasehold.candidate.record_codec import RecordError
from leasehold.candidate.record_size import FREE, bytes_of
from leasehold.election.election import Election, ElectionConfig
from leasehold.lock.keys import Keys

_PACKAGES: Final = ("leasehold.election.", "leasehold.lock.")
_DECIDES_NOTHING: Final = frozenset({"leasehold.election.invariants:Checker"})
"""Classes whose instances only look on, and not at all under `python -O`: restored as new ones."""
_KEPT_ANYWAY: Final = frozenset({ElectionConfig, Keys})
_OBJECT_BYTES: Final = 64
_ATTRIBUTE_BYTES: Final = 16
_ITEM_BYTES: Final = 48
"""Of a dictionary, or of a set."""


def state_of(election: Election) -> Any:
    """The election as JSON. Raises TypeError for an attribute of a kind that cannot be restored."""
    return _Writer().write(election)


@dataclass(frozen=True, slots=True)
class Captured:
    """An election as it was at one moment, for `state_of` to read at any time."""

    election: Election
    size: int
    """Bytes that it takes, without its settings and without what is shared with the one before."""
    parts: frozenset[int]
    """The identities of the unchangeable values in it."""


def captured(election: Election, known: Collection[int] = ()) -> Captured:
    """The election as it is now: what can change is copied, the rest is shared.

    `known` are the parts of one that was captured before, and is still kept: they are not counted again. Raises
    TypeError for an attribute of a kind that cannot be restored.
    """
    copier = _Copier(known)
    return Captured(copier.copy(election), copier.size, frozenset(copier.parts))


def election_of(state: Any, rng: random.Random) -> Election:
    """An election in that state, which draws from `rng`. Raises RecordError."""
    try:
        election = _Reader(rng).read(state)
    except RecordError:
        raise
    except Exception as error:  # a state from elsewhere can be wrong in any way
        raise RecordError(f"holds a state that this version cannot restore ({type(error).__name__})") from None
    if not isinstance(election, Election):
        raise RecordError("holds a state that is not an election's")
    return election


class _Writer:
    """Writes one graph of objects. One that can change is written once, and named by its number after that."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def write(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, enum.Enum):
            return {"enum": _name(type(value)), "value": value.value}
        if type(value) in (tuple, list, frozenset, set, dict):
            return self._container(value)
        if isinstance(value, random.Random):
            return {"rng": True}
        kind: Any = type(value)  # mypy takes no type of Any for hashable
        if _is_onlooker(kind):
            return {"new": _name(kind)}
        return {"function": _name(value)} if callable(value) else self._object(value)

    def _container(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {"dict": [[self.write(key), self.write(one)] for key, one in value.items()]}
        ordered = sorted(value) if isinstance(value, (set, frozenset)) else value
        return {type(value).__name__: [self.write(one) for one in ordered]}

    def _object(self, value: Any) -> Any:
        if id(value) in self._numbers:
            return {"again": self._numbers[id(value)]}
        kind: Any = type(value)
        written: dict[str, Any] = {"class": _name(kind)}
        if not _is_frozen(kind):
            written["number"] = self._numbers[id(value)] = len(self._numbers)
        return {**written, "fields": {name: self.write(one) for name, one in _attributes(value).items()}}


@cache
def _is_frozen(kind: Any) -> bool:
    return bool(getattr(getattr(kind, "__dataclass_params__", None), "frozen", False))


@cache
def _is_shared(kind: Any) -> bool:
    """Whether nothing that an instance of this kind says ever changes. A tuple of the election's holds only such."""
    if kind in (bool, int, float, str, type(None), tuple, frozenset, types.FunctionType) or issubclass(kind, enum.Enum):
        return True
    if kind not in (list, set, dict) and not _is_onlooker(kind):
        _name(kind)
    return _is_frozen(kind) or _is_onlooker(kind)


@cache
def _is_onlooker(kind: Any) -> bool:
    """Of these, a state says no more than that they are there."""
    return issubclass(kind, random.Random) or f"{kind.__module__}:{kind.__qualname__}" in _DECIDES_NOTHING


class _Copier:
    """Copies one graph of objects: the copies refer to each other as the originals do. It counts what that takes."""

    def __init__(self, known: Collection[int]) -> None:
        self.size = 0
        self.parts: set[int] = set()
        self._known = known
        self._made: dict[int, Any] = {}

    def copy(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind in FREE:
            return value
        if _is_shared(kind):
            self._share(value, kind)
            return value
        if kind in (list, set, dict):
            self.size += _OBJECT_BYTES + _ITEM_BYTES * len(value)
            return {key: self.copy(one) for key, one in value.items()} if kind is dict else kind(map(self.copy, value))
        if id(value) not in self._made:
            self._made[id(value)] = copy = kind.__new__(kind)
            attributes = _attributes(value)
            self.size += _OBJECT_BYTES + _ATTRIBUTE_BYTES * len(attributes)
            for name, one in attributes.items():
                object.__setattr__(copy, name, self.copy(one))
        return self._made[id(value)]

    def _share(self, value: Any, kind: Any) -> None:
        if id(value) not in self.parts:
            self.parts.add(id(value))
            if id(value) not in self._known and kind not in _KEPT_ANYWAY and not _is_onlooker(kind):
                self.size += bytes_of(value)


def _attributes(value: Any) -> dict[str, Any]:
    kind: Any = type(value)
    slotted = {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
    return {**slotted, **getattr(value, "__dict__", {})}


@cache
def _slots(kind: Any) -> tuple[str, ...]:
    slots = [name for base in kind.__mro__ for name in base.__dict__.get("__slots__", ())]
    return tuple(name for name in slots if name not in ("__dict__", "__weakref__"))


def _name(thing: Any) -> str:
    """Where a class or function is to be found. Raises TypeError if that is none of ours."""
    if not f"{thing.__module__}.".startswith(_PACKAGES) or "<" in thing.__qualname__:
        raise TypeError(f"{thing.__module__}.{thing.__qualname__} cannot be recorded")
    return f"{thing.__module__}:{thing.__qualname__}"


class _Reader:
    """Reads one graph of objects. It raises whatever comes of data that no `_Writer` wrote."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._numbered: dict[int, Any] = {}
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "float": lambda data: float(data["float"]),
            "enum": lambda data: _found(data["enum"], enum.EnumMeta)(data["value"]),
            "tuple": lambda data: tuple(map(self.read, data["tuple"])),
            "list": lambda data: list(map(self.read, data["list"])),
            "set": lambda data: set(map(self.read, data["set"])),
            "frozenset": lambda data: frozenset(map(self.read, data["frozenset"])),
            "dict": lambda data: {self.read(key): self.read(one) for key, one in data["dict"]},
            "rng": lambda data: self._rng,
            "new": self._new,
            "function": lambda data: _found(data["function"], types.FunctionType),
            "again": lambda data: self._numbered[data["again"]],
            "class": self._object,
        }

    def read(self, data: Any) -> Any:
        return self._kinds[next(iter(data))](data) if isinstance(data, dict) else data

    def _new(self, data: Any) -> Any:
        if data["new"] not in _DECIDES_NOTHING:
            raise RecordError(f"names {str(data['new'])[:80]!r}, which is not to be made")
        return _found(data["new"], type)()

    def _object(self, data: Any) -> Any:
        kind = _found(data["class"], type)
        made = kind.__new__(kind)
        if "number" in data:
            self._numbered[data["number"]] = made
        for name, one in data["fields"].items():
            object.__setattr__(made, name, self.read(one))  # a frozen one takes it no other way
        return made


def _found(name: str, kind: type) -> Any:
    """The class or function that `_name` named. Raises RecordError for anything else."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module) if f"{module}.".startswith(_PACKAGES) else None
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, kind) or getattr(found, "__module__", None) != module:
        raise RecordError(f"names {name[:80]!r}, which is nothing of the election in this build of Leasehold")
    return found
