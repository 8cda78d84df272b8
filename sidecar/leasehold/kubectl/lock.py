"""A Lock as the API server sent it, read without trust in any of it.

Pure. A Lock may be older or newer than this plugin, made by hand, or without a status: fields that are missing or of an
unexpected type read as empty, and nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leasehold.base.terminal import one_line
from leasehold.lock.names import LockName
from leasehold.lock.spec import DEFAULT_TTL


@dataclass(frozen=True, slots=True)
class Holder:
    """A holder according to the status; `since` is an RFC 3339 time, or empty if unknown."""

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
    """A Lock resource. `body` is the complete object, for JSON and YAML."""

    body: Mapping[str, Any]

    @property
    def name(self) -> LockName:
        """Its namespace and name. Raises ValueError for names that no API server accepts."""
        return LockName(text(self.metadata, "namespace"), text(self.metadata, "name"))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata."""
        return table(self.body, "metadata")

    @property
    def spec(self) -> Mapping[str, Any]:
        """The desired state."""
        return table(self.body, "spec")

    @property
    def status(self) -> Mapping[str, Any]:
        """The observed state."""
        return table(self.body, "status")

    @property
    def uid(self) -> str:
        """Its UID: a later Lock of the same name has another one."""
        return text(self.metadata, "uid")

    @property
    def resource_version(self) -> str:
        """The version of this state, for changes that must not overwrite others."""
        return text(self.metadata, "resourceVersion")

    @property
    def deleting(self) -> bool:
        """Whether its deletion was requested."""
        return bool(text(self.metadata, "deletionTimestamp"))

    @property
    def observed(self) -> bool:
        """Whether the status is about the current spec."""
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
        """The holders by their tokens; at most the 32 that a status lists."""
        found = [_holder(item) for item in items(self.status, "holders")]
        return tuple(sorted(found, key=lambda holder: holder.token))

    @property
    def waiters(self) -> tuple[Holder, ...]:
        """The waiters in the order of the queue; at most the 32 that a status lists."""
        return tuple(_holder(item) for item in items(self.status, "waiters"))

    @property
    def holder_count(self) -> int:
        """The number of holders, including those that the status does not list."""
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
            for item in items(self.status, "conditions")
        )

    def condition(self, kind: str) -> Condition:
        """The condition of this type; an empty one of status `Unknown` if there is none."""
        missing = Condition(kind, "Unknown", "", "", "")
        return next((condition for condition in self.conditions if condition.type == kind), missing)

    @property
    def held(self) -> str:
        """`True`, `False`, or `Unknown` if the operator does not know, or has not looked yet."""
        return self.condition("Held").status

    @property
    def rolled_back(self) -> bool:
        """Whether etcd lost data, so that recorded tokens mean nothing until they are lowered."""
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
    """The field as an object; empty if it is none."""
    value = body.get(name)
    return value if isinstance(value, Mapping) else {}


def items(body: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    """The field's objects; none if it is no list."""
    value = body.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else ()


def text(body: Mapping[str, Any], name: str) -> str:
    """The field as text; empty if it is none."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def number(body: Mapping[str, Any], name: str) -> int:
    """The field as an integer; 0 if it is none."""
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def named(holders: Iterable[Holder]) -> str:
    """Holders as a part of a sentence, each with its token."""
    known = [f"{one_line(holder.identity) or '(no name)'} (token {holder.token})" for holder in holders]
    shown, more = known[:5], len(known) - 5
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def who_holds(view: LockView) -> str:
    """The lock's state, to follow its name in a sentence."""
    if view.held == "True":
        return f"is held by {named(view.holders)}" if view.holders else "is held, its status does not say by whom"
    if view.held == "Unknown":
        reason = one_line(view.condition("Held").message).rstrip(".")
        return f"has an unknown holder: {reason or 'the operator has not reported any'}"
    return "is suspended, and nobody holds it" if view.suspended else "is held by nobody"
