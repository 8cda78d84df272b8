"""A Lock as the plugin sees it: what the API server sent, read without trust in any of it.

Pure. A Lock may be older or newer than this plugin, hand-made, or have no status yet: whatever is missing or of another
kind than expected reads as empty, and nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leasehold.lock.names import MAX_IDENTITY, LockName, sanitise
from leasehold.lock.spec import DEFAULT_TTL

GROUP: Final = "leasehold.dev"
VERSION: Final = "v1alpha1"
PLURAL: Final = "locks"
KIND: Final = "Lock"
QUALIFIED: Final = "lock.leasehold.dev"
"""How kubectl names a Lock in `-o name` and in its messages, before the slash."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One who holds the lock, by the status; `since` as the API server writes times, empty when unknown."""

    identity: str
    token: int
    since: str = ""
    pod: str = ""
    node: str = ""
    group: str = ""
    lease: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; its status is `True`, `False` or `Unknown`."""

    type: str
    status: str
    reason: str
    message: str
    since: str


@dataclass(frozen=True, slots=True)
class LockView:
    """A Lock resource. `body` is what the API server sent, for the outputs that show it whole."""

    body: Mapping[str, Any]

    @property
    def name(self) -> LockName:
        """Its namespace and name. Raises ValueError for what no API server accepts as a name."""
        return LockName(text(self.metadata, "namespace"), text(self.metadata, "name"))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata."""
        return table(self.body, "metadata")

    @property
    def spec(self) -> Mapping[str, Any]:
        """What is wanted."""
        return table(self.body, "spec")

    @property
    def status(self) -> Mapping[str, Any]:
        """What the operator saw."""
        return table(self.body, "status")

    @property
    def uid(self) -> str:
        """Its uid: another Lock of the same name has another one."""
        return text(self.metadata, "uid")

    @property
    def resource_version(self) -> str:
        """The version of this very state, for changes that must not overwrite another's."""
        return text(self.metadata, "resourceVersion")

    @property
    def deleting(self) -> bool:
        """Whether it was asked to go."""
        return bool(text(self.metadata, "deletionTimestamp"))

    @property
    def observed(self) -> bool:
        """Whether the status tells of the present spec."""
        return number(self.status, "observedGeneration") >= number(self.metadata, "generation")

    @property
    def ttl(self) -> int:
        """Seconds that a lease lasts."""
        return number(self.spec, "leaseDurationSeconds") or DEFAULT_TTL

    @property
    def capacity(self) -> int:
        """How many may hold."""
        return number(self.spec, "capacity") or 1

    @property
    def suspended(self) -> bool:
        """Whether nobody may hold."""
        return self.spec.get("suspend") is True

    @property
    def holders(self) -> tuple[Holder, ...]:
        """Those who hold, by their tokens; at most the 32 that a status lists."""
        found = [_holder(item) for item in _items(self.status, "holders")]
        return tuple(sorted(found, key=lambda holder: holder.token))

    @property
    def holder_count(self) -> int:
        """How many hold, also beyond those listed."""
        return number(self.status, "holderCount")

    @property
    def waiter_count(self) -> int:
        """How many wait."""
        return number(self.status, "waiterCount")

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions, in the order of the status."""
        return tuple(
            Condition(
                text(item, "type"),
                text(item, "status"),
                text(item, "reason"),
                text(item, "message"),
                text(item, "lastTransitionTime"),
            )
            for item in _items(self.status, "conditions")
        )

    def condition(self, kind: str) -> Condition:
        """The condition of this type; an empty one of status `Unknown` when there is none."""
        missing = Condition(kind, "Unknown", "", "", "")
        return next((condition for condition in self.conditions if condition.type == kind), missing)

    @property
    def held(self) -> str:
        """`True`, `False`, or `Unknown` while the operator cannot tell, or has not yet looked."""
        return self.condition("Held").status

    @property
    def rolled_back(self) -> bool:
        """Whether etcd lost data, so that tokens on record mean nothing until they were lowered."""
        degraded = self.condition("Degraded")
        return degraded.status == "True" and degraded.reason == "StoreRolledBack"


def _holder(item: Mapping[str, Any]) -> Holder:
    return Holder(
        identity=text(item, "identity"),
        token=number(item, "fencingToken"),
        since=text(item, "acquireTime"),
        pod=text(item, "podName"),
        node=text(item, "nodeName"),
        group=text(item, "group"),
        lease=text(item, "leaseID"),
    )


def table(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The field as an object; empty when it is none."""
    value = body.get(name)
    return value if isinstance(value, Mapping) else {}


def _items(body: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    value = body.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else ()


def text(body: Mapping[str, Any], name: str) -> str:
    """The field as text; empty when it is none."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def number(body: Mapping[str, Any], name: str) -> int:
    """The field as a whole number; 0 when it is none."""
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def printable(words: str) -> str:
    """Text from elsewhere for a terminal, on one line: nothing invisible, nothing that moves the cursor."""
    one_line = " ".join(words.split())
    pieces = (one_line[start : start + MAX_IDENTITY] for start in range(0, len(one_line), MAX_IDENTITY))
    return "".join(sanitise(piece) for piece in pieces)


def named(holders: Iterable[Holder]) -> str:
    """Holders in a sentence, each with its token."""
    known = [f"{printable(holder.identity) or '(no name)'} (token {holder.token})" for holder in holders]
    shown, more = known[:5], len(known) - 5
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def who_holds(view: LockView) -> str:
    """The state of a lock as the end of a sentence that begins with its name."""
    if view.held == "True":
        return f"is held by {named(view.holders)}" if view.holders else "is held, its status does not say by whom"
    if view.held == "Unknown":
        reason = printable(view.condition("Held").message).rstrip(".")
        return f"has an unknown holder: {reason or 'the operator has not reported any'}"
    return "is suspended, and nobody holds it" if view.suspended else "is held by nobody"
