"""Events and commands in few words, for traces that a person reads."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from leasehold.election.events import Declared, ResponseHeader
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec


def describe(thing: object) -> str:
    """One line; what is as it is by default is left out."""
    if isinstance(thing, tuple | list | frozenset):
        return f"[{', '.join(sorted(map(describe, thing)) if isinstance(thing, frozenset) else map(describe, thing))}]"
    if isinstance(thing, Enum):
        return str(thing.value)
    if isinstance(thing, float):
        return f"{thing:.4f}"
    if isinstance(thing, str):
        return thing.rpartition("/queue/")[2] or thing
    short = _SHORT.get(type(thing))
    if short is not None:
        return str(short(thing))
    if is_dataclass(thing) and type(thing).__str__ is object.__str__:
        return f"{type(thing).__name__}({_fields(thing)})"
    return str(thing)


def _fields(thing: Any) -> str:
    shown = ((field.name, getattr(thing, field.name), field.default) for field in fields(thing))
    return ", ".join(f"{name}={describe(value)}" for name, value, default in shown if value != default)


def _entry(entry: Entry) -> str:
    changed = f" changed at {entry.mod_revision}" if entry.changed else ""
    return f"{describe(entry.key)}={_record(entry.record)}@{entry.create_revision}{changed}"


def _record(record: Record) -> str:
    to = f", yields to {record.yield_to}" if record.yield_to else ""
    return f"{record.identity}#{record.incarnation[:4]}{to}"


def _origin(origin: ResponseHeader) -> str:
    return f"member {origin.member:x} term {origin.term} revision {origin.revision}"


def _declared(declared: Declared) -> str:
    what = declared.broken or ("nothing" if declared.spec is None else _fields(declared.spec) or "defaults")
    return f"<{what}>@{declared.revision}"


_SHORT: dict[type, Any] = {Entry: _entry, Record: _record, ResponseHeader: _origin, Declared: _declared, Spec: _fields}
