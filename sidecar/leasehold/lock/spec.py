"""The declared lock, as it stands in etcd, and the limits of its fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from leasehold.base.records import dataclass, field
from leasehold.lock.json_fields import is_integer, json_object
from leasehold.lock.names import MAX_IDENTITY, sanitise

DEFAULT_TTL: Final = 15
MIN_TTL, MAX_TTL = 3, 3600
"""Seconds."""
MAX_CAPACITY: Final = 1000
MAX_LEASE: Final = 2**63 - 1
_MOST_UNKNOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Spec:
    """A declared lock, as the operator wrote it. The defaults are those of an undeclared lock.

    `ttl` is in seconds, None where the resource leaves it to the sidecar. `uid`, `generation` and `cluster` say whose
    declaration this is: the resource's, and the UID of the cluster it stands in. They are the operators' business, who
    share an etcd with others; no sidecar heeds them. A few unknown fields are kept by name only, to be logged;
    a newer operator may write more than this sidecar knows.
    """

    ttl: int | None = None
    capacity: int = 1
    suspend: bool = False
    deleting: bool = False
    preferred_holder: str = ""
    preferred_group: str = ""
    handover_up_to_token: int = 0
    uid: str = ""
    generation: int = 0
    cluster: str = ""
    unknown: tuple[str, ...] = field(default=(), compare=False)

    def encode(self) -> bytes:
        """The value of the spec key. Equal specs have equal bytes: the operator compares them to find drift."""
        named = {name: getattr(self, attribute) for name, (attribute, _) in _SPEC_FIELDS.items()}
        return json.dumps({n: v for n, v in named.items() if v not in (None, "", 0)}, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> Spec:
        """Read the spec key's value. Raises ValueError, with one sentence, when it is not a spec."""
        fields = json_object(value)
        if fields is None:
            raise ValueError("the lock's spec key does not hold a JSON object")
        known: dict[str, Any] = {}
        for name, (attribute, check) in _SPEC_FIELDS.items():
            if name in fields:
                if not check(fields[name]):
                    raise ValueError(f"the lock's spec key holds an impossible {name}: {str(fields[name])[:80]!r}")
                known[attribute] = fields[name]
        unknown = sorted(sanitise(name) for name in fields.keys() - _SPEC_FIELDS.keys())
        return cls(**known, unknown=tuple(unknown[:_MOST_UNKNOWN]))


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_IDENTITY and not any(map(_is_surrogate, value))


def _is_surrogate(character: str) -> bool:
    """Half a character: JSON can hold one by itself, and nothing that is written in UTF-8 can show it."""
    return "\ud800" <= character <= "\udfff"


_SPEC_FIELDS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "leaseDurationSeconds": ("ttl", lambda v: is_integer(v, MIN_TTL, MAX_TTL)),
    "capacity": ("capacity", lambda v: is_integer(v, 1, MAX_CAPACITY)),
    "suspend": ("suspend", _is_bool),
    "deleting": ("deleting", _is_bool),
    "preferredHolder": ("preferred_holder", _is_text),
    "preferredGroup": ("preferred_group", _is_text),
    "handoverUpToToken": ("handover_up_to_token", lambda v: is_integer(v, 0, MAX_LEASE)),
    "uid": ("uid", _is_text),
    "generation": ("generation", lambda v: is_integer(v, 0, MAX_LEASE)),
    "cluster": ("cluster", _is_text),
}
