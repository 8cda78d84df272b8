"""The election's events, commands and snapshots as JSON, and back. Nothing here names a class of them.

A dataclass becomes an object of its fields, without those that have their default. An annotation says what a field
is made of, so a field carries no tag; only what stands in a union (an event, a command) is named by whoever writes it.
Text may hold anything that somebody wrote into etcd: `dumps` escapes all that is not ASCII, so a line is one line and
no text moves a terminal's cursor.
"""

from __future__ import annotations

import json
import math
import re
import types
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from leasehold.base.records import MISSING, fields, is_dataclass
from leasehold.election.commands import Command
from leasehold.election.events import Event

EVENTS: Final[dict[str, type]] = {kind.__name__: kind for kind in get_args(Event)}
COMMANDS: Final[dict[str, type]] = {kind.__name__: kind for kind in get_args(Command)}

_MOST_SECONDS: Final = 1e15
_WITHOUT_LIMIT: Final = {"float": "inf"}
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


class RecordError(ValueError):
    """What was read is no record that can be replayed; the text is a clause that says why."""


dumps: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""A value as one line of JSON, in ASCII."""


_WORD: Final = re.compile(r"[!#-'*-<>-~]+")
"""Text that needs no quotes: printable ASCII without blanks, quotes, parentheses and the equals sign."""


def quoted(text: str) -> str:
    """Text from elsewhere, for a person: as it is if it is one word of ASCII, else as JSON has it."""
    return text if _WORD.fullmatch(text) else dumps(text)


def loads(line: bytes) -> Any:
    """A line of JSON. Raises RecordError."""
    try:
        return json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # bytes that are no UTF-8 are a ValueError, too
        raise RecordError("is not JSON") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


# --- to JSON ---------------------------------------------------------------------------------------------------------


def encode(value: Any) -> Any:
    """A value of a field, or a whole dataclass, as JSON has it. What is returned must not be changed."""
    kind: Any = type(value)  # mypy takes no type of Any for hashable
    if kind in _PLAIN:
        # `leasehold exec` waits for its work without a limit, and JSON has no number for that
        return _WITHOUT_LIMIT if kind is float and value == math.inf else value
    if kind is tuple:
        return [encode(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    if kind is frozenset:
        return sorted(encode(one) for one in value)
    return _layout(kind).encode(value)


class _Layout:
    """How the instances of one dataclass are encoded: worked out once, since a sidecar does it for years.

    The records and entries that come are nearly always equal to the last one: then what was made of that is used again.
    """

    def __init__(self, kind: type) -> None:
        if not is_dataclass(kind):
            raise TypeError(f"{kind.__name__} cannot be recorded")
        self.names = names = tuple(field.name for field in fields(kind))
        self._defaults = tuple((field.name, field.default) for field in fields(kind))
        self.values = attrgetter(*names) if len(names) > 1 else partial(_few_values, names)
        self._repeats = _compares_exactly(kind)
        self._last: tuple[Any, Any] = (None, None)

    def encode(self, value: Any) -> Any:
        values, (last, made) = self.values(value), self._last  # once: another thread may encode, too
        if self._repeats and values == last:
            return made
        # most fields have no default, and to compare a value with the lack of one takes a call
        encoded = {
            name: encode(one)
            for (name, default), one in zip(self._defaults, values, strict=True)
            if default is MISSING or (one is not default and one != default)
        }
        self._last = (values, encoded) if self._repeats else self._last
        return encoded


def _few_values(names: tuple[str, ...], value: Any) -> tuple[Any, ...]:
    """`attrgetter` returns no tuple for a single name."""
    return tuple(getattr(value, name) for name in names)


def _compares_exactly(kind: Any) -> bool:
    """Whether equal instances have equal fields, all the way down. Those of Spec need not: one field does not count."""
    nested = [one for hint in hints_of(kind).values() for one in (hint, *get_args(hint)) if is_dataclass(one)]
    return all(field.compare for field in fields(kind)) and all(map(_compares_exactly, nested))


@cache
def _layout(kind: Any) -> _Layout:
    return _Layout(kind)


def values_of(value: Any) -> tuple[Any, ...]:
    """The fields' values of a dataclass: quicker to compare than two of them."""
    kind: Any = type(value)
    return _layout(kind).values(value)


def encode_changes(kind: Any, before: tuple[Any, ...], after: tuple[Any, ...]) -> dict[str, Any]:
    """The fields that differ between two instances of a dataclass, given by their values; all if there is none before.

    A field that got its default is among them, unlike in what `encode` returns.
    """
    names = _layout(kind).names
    if not before:
        return {name: encode(new) for name, new in zip(names, after, strict=True)}
    return {name: encode(new) for name, old, new in zip(names, before, after, strict=True) if old != new}


# --- from JSON -------------------------------------------------------------------------------------------------------


def decode(kind: Any, data: Any) -> Any:
    """The value that `encode` made this of, given its annotation. Raises RecordError for any other data."""
    if get_origin(kind) in (types.UnionType, Union):
        return _decode_optional(kind, data)
    if get_origin(kind) is tuple:
        return tuple(decode(get_args(kind)[0], one) for one in _listed(data))
    if get_origin(kind) is frozenset:
        return frozenset(decode(get_args(kind)[0], one) for one in _listed(data))
    if is_dataclass(kind):
        return _decode_fields(kind, data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _made(kind, data)
    if kind is float and data == _WITHOUT_LIMIT:
        return math.inf
    if not _fits(kind, data):
        raise RecordError(f"holds {_short(data)} where {getattr(kind, '__name__', kind)} belongs")
    return float(data) if kind is float else data


def _decode_optional(kind: Any, data: Any) -> Any:
    """`X | None`; the election's classes have no other unions in their fields."""
    kinds = [one for one in get_args(kind) if one is not types.NoneType]
    if data is None and types.NoneType in get_args(kind):
        return None
    return decode(kinds[0], data)


def _decode_fields(kind: Any, data: Any) -> Any:
    hints = hints_of(kind)
    if not isinstance(data, dict) or not data.keys() <= hints.keys():
        raise RecordError(f"holds {_short(data)} where the fields of {kind.__name__} belong")
    missing = [f.name for f in fields(kind) if f.name not in data and f.default is MISSING]
    if missing:
        raise RecordError(f"lacks {missing[0]} of {kind.__name__}")
    return _made(kind, **{name: decode(hints[name], one) for name, one in data.items()})


def _made(kind: Any, /, *values: Any, **named: Any) -> Any:
    try:
        return kind(*values, **named)
    except (ValueError, TypeError):  # a lock's name that is none, or a word that is no cause
        raise RecordError(f"holds no possible {kind.__name__}") from None


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """The annotations of a dataclass's fields."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fits(kind: Any, data: Any) -> bool:
    if kind is float:
        return type(data) in (int, float) and abs(data) < _MOST_SECONDS  # which NaN is not, either
    return type(data) is kind  # a bool is no int here


def _listed(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise RecordError(f"holds {_short(data)} where a list belongs")
    return data


def _short(data: Any) -> str:
    text = dumps(data)
    return text if len(text) <= 40 else f"{text[:40]}…"
