"""Changes of a Lock, each conditional on the very state that it was decided on.

`handover`, `revoke`, `suspend`, `resume` and `prefer` are pure: they look at a Lock and say which fields of its spec to
set. What a change means is fixed when the Lock is first read: a handover concerns those who held then, and is never
turned against whoever came after them. `apply` writes it, and when another writer was faster, or no answer came, reads
the Lock anew and decides again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from leasehold.kubectl.errors import ClusterError, ConflictError, UnreachableError
from leasehold.kubectl.lock import Holder, LockView, named, number, printable, text, who_holds
from leasehold.lock.names import LockName

HANDOVER: Final = "handoverUpToToken"
REVOKE: Final = "revokeUpToToken"
PREFERRED: Final = "preferredHolder"

_TRIES: Final = 8
_FIRST_PAUSE: Final = 0.1


class RefusedError(Exception):
    """The change cannot be made, or makes no sense, on the Lock as it is. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Change:
    """Fields of the spec to set, none when nothing needs to be; and the sentence that says what was done."""

    said: str
    spec: Mapping[str, Any] = field(default_factory=dict)


Decide = Callable[[LockView], Change]


# --- deciding ---


@dataclass(frozen=True, slots=True)
class Target:
    """The holders that a handover or a revocation is about: those up to this token, as the Lock was first seen."""

    token: int
    holders: tuple[Holder, ...]


def target(view: LockView, token: int) -> Target:
    """Who is meant by `token`, or by 0, which means all who hold now. Raises RefusedError when that is nobody."""
    lock = view.name
    if view.rolled_back:
        raise RefusedError(
            f"etcd has lost data, and tokens of the Lock {lock} mean nothing until {HANDOVER} and {REVOKE} are set to "
            "0 by kubectl edit."
        )
    if view.held != "True" or not view.holders:
        raise RefusedError(f"The Lock {lock} {who_holds(view)}.")
    if not token and view.holder_count > len(view.holders):
        raise RefusedError(
            f"The Lock {lock} has {view.holder_count} holders, of which its status lists {len(view.holders)}; choose "
            "by --token."
        )
    highest = view.holders[-1].token
    if token > highest:
        raise RefusedError(f"No holder of the Lock {lock} has a token as high as {token}: it {who_holds(view)}.")
    meant = tuple(holder for holder in view.holders if not token or holder.token <= token)
    if not meant:
        raise RefusedError(f"No holder of the Lock {lock} has a token of at most {token}: it {who_holds(view)}.")
    return Target(token or highest, meant)


def handover(meant: Target) -> Decide:
    """Those who are meant hand over."""
    return lambda view: _raise_token(view, meant, HANDOVER, "asked to hand over", "had already been asked to hand over")


def revoke(meant: Target) -> Decide:
    """The keys of those who are meant are deleted."""
    return lambda view: _raise_token(view, meant, REVOKE, "revoked", "had already been revoked")


def _raise_token(view: LockView, meant: Target, name: str, done: str, before: str) -> Change:
    if not still(view, meant):
        return Change(f"{named(meant.holders)} had already given it up; it {who_holds(view)}")
    if number(view.spec, name) >= meant.token:
        return Change(f"{named(meant.holders)} {before}")
    return Change(f"{named(meant.holders)} {done}", {name: meant.token})


def still(view: LockView, meant: Target) -> bool:
    """Whether one of those who are meant holds, or may: what cannot be known counts as holding."""
    return view.held == "Unknown" or any(holder.token <= meant.token for holder in view.holders)


def prefer(first: LockView, identity: str) -> Decide:
    """The candidate of this identity is preferred from now on; nobody, when it is empty."""
    before = text(first.spec, PREFERRED)

    def decide(view: LockView) -> Change:
        present = text(view.spec, PREFERRED)
        if present == identity:
            return Change(
                f"{printable(identity)} was preferred already" if identity else "nobody was preferred already"
            )
        if present != before:
            raise RefusedError(
                f"Another writer set {PREFERRED} of the Lock {view.name} to {present!r} meanwhile: nothing was changed."
            )
        if not identity:
            return Change(f"{printable(present)} no longer preferred", {PREFERRED: ""})
        return Change(f"{printable(identity)} preferred from now on", {PREFERRED: identity})

    return decide


def suspend(view: LockView) -> Change:
    """Nobody may hold."""
    return Change("suspended already") if view.suspended else Change("suspended", {"suspend": True})


def resume(view: LockView) -> Change:
    """Candidates may hold again."""
    return Change("resumed", {"suspend": False}) if view.suspended else Change("not suspended")


# --- doing ---


class Writable(Protocol):
    """The part of a cluster that changes need."""

    def get(self, lock: LockName) -> LockView:
        """The Lock as it is now."""

    def change(self, seen: LockView, spec: Mapping[str, Any]) -> LockView:
        """Set these fields if it still is as seen."""


def apply(
    cluster: Writable,
    first: LockView,
    decide: Decide,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[LockView, Change]:
    """Make the change, starting from the Lock as it was first read; returns the Lock as it is then.

    `tell` gets a sentence when another writer came between. Raises ClusterError and RefusedError.
    """
    view, pause, error = first, _FIRST_PAUSE, ClusterError("")
    for _ in range(_TRIES):
        change = decide(view)
        if not change.spec:
            return view, change
        try:
            return cluster.change(view, change.spec), change
        except (ConflictError, UnreachableError) as caught:
            error = caught
        sleep(pause * random.uniform(0.5, 1.5))
        pause = min(2 * pause, 2.0)
        view = _again(cluster, view, error, tell)
    raise ClusterError(f"{str(error).rstrip('.')}, {_TRIES} times in a row; try again later.")


def _again(cluster: Writable, seen: LockView, error: ClusterError, tell: Callable[[str], None]) -> LockView:
    """Read the Lock anew after a change that failed, or of which nobody knows whether it did."""
    try:
        now = cluster.get(seen.name)
    except UnreachableError as caught:
        if isinstance(error, ConflictError):
            raise
        raise ClusterError(f"{caught} Whether the Lock {seen.name} was changed is not known: look at it.") from caught
    if now.uid != seen.uid:
        raise RefusedError(f"The Lock {seen.name} was deleted and made anew meanwhile: the new one was not changed.")
    if isinstance(error, UnreachableError):
        tell(f"{error} The Lock was read again, to see what became of the change.")
    elif changed := what_changed(seen, now):
        tell(f"Another writer changed {changed} of the Lock {seen.name} meanwhile; the change is made on top of that.")
    return now


def what_changed(before: LockView, after: LockView) -> str:
    """The fields of the spec that differ; empty when only the status or metadata do, which is no news."""
    fields = sorted(before.spec.keys() | after.spec.keys())
    return ", ".join(f"spec.{name}" for name in fields if before.spec.get(name) != after.spec.get(name))
