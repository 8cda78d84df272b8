"""How much memory a recorded value takes: never less than it adds to what is there without the record."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache
from itertools import compress
from operator import is_not
from sys import getsizeof
from types import FunctionType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from leasehold.base.records import is_dataclass
from leasehold.candidate.record_codec import hints_of, values_of
from leasehold.election.events import Answer, Event, ResponseHeader
from leasehold.election.snapshot import Snapshot

_NUMBERS: Final = {int: 28, float: 24}
FREE: Final = frozenset({bool, type(None), FunctionType})
"""Kinds of values that are there anyway."""
_OBJECT_BYTES: Final = 32
"""What comes with each object: what the interpreter and the garbage collector note of it."""
_LARGE_BYTES: Final = 4096
_REPEATED: Final = frozenset({"lease", "ttl", "token", "mod_revision", "spec_revision", "ahead_revision", "ahead"})
"""Fields of events and commands that refer to a value of the candidate's own entry, or of the one ahead of it."""


def bytes_of(value: Any) -> int:
    """The bytes of a value of a field, or of a whole dataclass. Raises TypeError for what cannot be recorded."""
    kind: Any = type(value)  # mypy takes no type of Any for hashable
    if fixed := _fixed_bytes(kind):
        return fixed
    if not value:  # empty text, and an empty tuple, are there only once
        return 0
    if kind is str:
        return getsizeof(value)
    if kind is tuple or kind is frozenset:
        return getsizeof(value) + sum(map(bytes_of, value))
    if kind in FREE or issubclass(kind, Enum):
        return 0
    values = values_of(value)
    return _OBJECT_BYTES + 8 * len(values) + sum(map(bytes_of, values))


@cache
def _fixed_bytes(kind: Any) -> int:
    """What each instance takes if that is about the same for all: a number, or a dataclass of such; else 0.

    It is worked out once for each class: a sidecar asks for years.
    """
    if kind in _NUMBERS:
        return _NUMBERS[kind]
    has_fields = is_dataclass(kind)  # in a condition, mypy would narrow `kind` to what it takes for not hashable
    parts = [_part_bytes(name, hint) for name, hint in hints_of(kind).items()] if has_fields else [None]
    return 0 if None in parts else _OBJECT_BYTES + sum(8 + (part or 0) for part in parts)


def _part_bytes(name: str, hint: Any) -> int | None:
    """What a field adds; None if that depends on what it holds."""
    if name in _REPEATED or get_origin(hint) is Callable:
        return 0
    is_union = get_origin(hint) in (Union, UnionType)
    if not is_union and get_origin(hint) is not None:  # a tuple, of any length
        return None
    sizes = [_fixed_bytes(one) for one in (get_args(hint) if is_union else (hint,)) if one not in FREE]
    return max(sizes, default=0) if all(sizes) else None


_HEADER_BYTES: Final = _fixed_bytes(ResponseHeader)


class Meter:
    """What each of many values adds: the last one of its class is there, and so is the last header of an answer."""

    def __init__(self) -> None:
        self._header: ResponseHeader | None = None
        self._last: dict[type, tuple[Any, ...]] = {}

    def added(self, value: Event | Snapshot) -> int:
        """Bytes. Raises TypeError if the value cannot be recorded."""
        kind: Any = type(value)
        fixed = _fixed_bytes(kind)
        if not fixed:
            return self._parts(value, kind)
        if isinstance(value, Answer):
            # its number is its question's; and the store gives the same header for as long as it is equal
            fixed -= _NUMBERS[int] + _HEADER_BYTES
            if value.origin is not self._header:
                self._header = value.origin
                fixed += self._parts(value.origin, ResponseHeader)
        return fixed

    def _parts(self, value: Any, kind: Any) -> int:
        values = values_of(value)
        last = self._last.get(kind) or (None,) * len(values)
        size = _OBJECT_BYTES + 8 * len(values) + sum(map(bytes_of, compress(values, map(is_not, values, last))))
        # what large ones share would have to be counted again when the first of them goes
        self._last[kind] = values if size <= _LARGE_BYTES else ()
        return size
