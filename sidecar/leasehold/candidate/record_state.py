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
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from leasehold.candidate.record_codec import RecordError
from leasehold.election.election import Election

_PACKAGES: Final = ("leasehold.election.", "leasehold.lock.")
_DECIDES_NOTHING: Final = frozenset({"leasehold.election.invariants:Checker"})
"""Classes whose instances only look on, and not at all under `python -O`: restored as new ones."""


def state_of(election: Election) -> Any:
    """The election as JSON. Raises TypeError for an attribute of a kind that cannot be restored."""
    return _Writer().write(election)


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
        if f"{type(value).__module__}:{type(value).__qualname__}" in _DECIDES_NOTHING:
            return {"new": _name(type(value))}
        return self._call(value) if callable(value) else self._object(value)

    def _container(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {"dict": [[self.write(key), self.write(one)] for key, one in value.items()]}
        ordered = sorted(value) if isinstance(value, (set, frozenset)) else value
        return {type(value).__name__: [self.write(one) for one in ordered]}

    def _call(self, value: Any) -> Any:
        if isinstance(value, partial):
            named = {name: self.write(one) for name, one in value.keywords.items()}
            return {"partial": self.write(value.func), "args": [self.write(one) for one in value.args], "named": named}
        if isinstance(value, types.MethodType):
            return {"method": value.__name__, "of": self.write(value.__self__)}
        return {"function": _name(value)}

    def _object(self, value: Any) -> Any:
        if id(value) in self._numbers:
            return {"again": self._numbers[id(value)]}
        written: dict[str, Any] = {"class": _name(type(value))}
        if not getattr(getattr(value, "__dataclass_params__", None), "frozen", False):
            written["number"] = self._numbers[id(value)] = len(self._numbers)
        return {**written, "fields": {name: self.write(one) for name, one in _attributes(value).items()}}


def _attributes(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in kind.__dict__.get("__slots__", ())]
    slotted = {name: getattr(value, name) for name in slots if hasattr(value, name) and name != "__weakref__"}
    return {**slotted, **getattr(value, "__dict__", {})}


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
            "partial": self._partial,
            "method": self._method,
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

    def _partial(self, data: Any) -> Any:
        named = {name: self.read(one) for name, one in data["named"].items()}
        return partial(self.read(data["partial"]), *map(self.read, data["args"]), **named)

    def _method(self, data: Any) -> Any:
        owner = self.read(data["of"])
        function = getattr(type(owner), data["method"])
        if not isinstance(function, types.FunctionType):
            raise RecordError(f"names {data['method']!r}, which is no method")
        return types.MethodType(function, owner)

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
        raise RecordError(f"names {name[:80]!r}, which is nothing of the election")
    return found
