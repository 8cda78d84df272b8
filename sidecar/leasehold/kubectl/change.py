"""Changes of a Lock, each conditional on the state that it was decided on.

`handover`, `revoke`, `suspend`, `resume` and `prefer` are pure: from a Lock, they compute which fields of its spec to
set. The meaning of a change is fixed when the Lock is first read: a handover concerns the holders of that time, never
their successors. `apply` writes the change; if another writer was faster, or no answer came, it reads the Lock again
and decides again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from leasehold.base.backoff import Backoff
from leasehold.base.terminal import one_line
from leasehold.kubectl.appliers import without_claims
from leasehold.kubectl.errors import ClusterError, ConflictError, UnreachableError
from leasehold.kubectl.lock import Holder, LockView, named, number, text, who_holds
from leasehold.lock.names import LockName

HANDOVER: Final = "handoverUpToToken"
REVOKE: Final = "revokeUpToToken"
PREFERRED: Final = "preferredHolder"

_TRIES: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.15
_LONGEST_PAUSE_SECONDS: Final = 3.0
_GIVE_UP_PAUSES_SECONDS: Final = (0.3, 0.3, 0.6, 1.2, 2.4)


class RefusedError(Exception):
    """The change is impossible, or makes no sense, in the Lock's current state. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Change:
    """The fields of the spec to set, if any, and a clause that says what was done."""

    summary: str
    spec: Mapping[str, Any] = field(default_factory=dict)


Decide = Callable[[LockView], Change]


# --- deciding ---


@dataclass(frozen=True, slots=True)
class Target:
    """The holders that a handover or a revocation concerns: those up to this token, when the Lock was first read."""

    token: int
    holders: tuple[Holder, ...]


def target(view: LockView, token: int) -> Target:
    """The holders up to `token`, or all current holders if it is 0. Raises RefusedError if there are none."""
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
            "by --up-to-token."
        )
    highest = view.holders[-1].token
    if token > highest:
        raise RefusedError(f"No holder of the Lock {lock} has a token as high as {token}: it {who_holds(view)}.")
    meant = tuple(holder for holder in view.holders if not token or holder.token <= token)
    if not meant:
        raise RefusedError(f"No holder of the Lock {lock} has a token of at most {token}: it {who_holds(view)}.")
    return Target(token or highest, meant)


def handover(targets: Target) -> Decide:
    """The targets hand over."""
    return lambda view: _raise_token(
        view, targets, HANDOVER, "asked to hand over", "had already been asked to hand over"
    )


def revoke(targets: Target) -> Decide:
    """The targets' keys are deleted."""
    return lambda view: _raise_token(view, targets, REVOKE, "revoked", "had already been revoked")


def _raise_token(view: LockView, targets: Target, name: str, done: str, before: str) -> Change:
    if not still(view, targets):
        return Change(f"{named(targets.holders)} had already given it up; it {who_holds(view)}")
    if number(view.spec, name) >= targets.token:
        return Change(f"{named(targets.holders)} {before}")
    return Change(f"{named(targets.holders)} {done}", {name: targets.token})


def still(view: LockView, targets: Target) -> bool:
    """Whether a target still holds; an unknown holder counts as one."""
    return view.held == "Unknown" or any(holder.token <= targets.token for holder in view.holders)


def prefer(first: LockView, identity: str) -> Decide:
    """Prefer the candidate of this identity from now on; if it is empty, nobody."""
    before = text(first.spec, PREFERRED)

    def decide(view: LockView) -> Change:
        present = text(view.spec, PREFERRED)
        if present == identity:
            return Change(f"{one_line(identity)} was preferred already" if identity else "nobody was preferred already")
        if present != before:
            raise RefusedError(
                f"Another writer set {PREFERRED} of the Lock {view.name} to {present!r} meanwhile: nothing was changed."
            )
        if not identity:
            return Change(f"{one_line(present)} no longer preferred", {PREFERRED: ""})
        return Change(f"{one_line(identity)} preferred from now on", {PREFERRED: identity})

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
        """Set these fields if the Lock still is as seen."""


def apply(
    cluster: Writable,
    first: LockView,
    decide: Decide,
    notify: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[LockView, Change]:
    """Make the change, starting from the Lock as it was first read; returns the Lock after it.

    `notify` gets a sentence if another writer interfered. Raises ClusterError and RefusedError.
    """
    view, error = first, ClusterError("")
    backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, jitter=2 / 3)
    for _ in range(_TRIES):
        change = decide(view)
        if not change.spec:
            return view, change
        try:
            return cluster.change(view, change.spec), change
        except (ConflictError, UnreachableError) as caught:
            error = caught
        sleep(backoff.next_pause())
        view = _again(cluster, view, error, notify)
    raise ClusterError(f"{str(error).rstrip('.')}, {_TRIES} times in a row; try again later.")


def _again(cluster: Writable, seen: LockView, error: ClusterError, notify: Callable[[str], None]) -> LockView:
    """Read the Lock again after a change that failed, or whose outcome is unknown."""
    try:
        now = cluster.get(seen.name)
    except UnreachableError as caught:
        if isinstance(error, ConflictError):
            raise
        raise ClusterError(f"{caught} Whether the Lock {seen.name} was changed is not known: look at it.") from caught
    if now.uid != seen.uid:
        raise RefusedError(
            f"The Lock {seen.name} was deleted and created again meanwhile: the new one was not changed."
        )
    if isinstance(error, UnreachableError):
        notify(f"{error} The Lock was read again, to see the outcome of the change.")
    elif changed := changed_fields(seen, now):
        notify(
            f"Another writer changed {changed} of the Lock {seen.name} meanwhile; the change is made on top of that."
        )
    return now


def changed_fields(before: LockView, after: LockView) -> str:
    """The fields of the spec that differ; empty if only the status or metadata do."""
    fields = sorted(before.spec.keys() | after.spec.keys())
    return ", ".join(f"spec.{name}" for name in fields if before.spec.get(name) != after.spec.get(name))


class Managed(Protocol):
    """The part of a cluster that giving fields up needs."""

    def get(self, lock: LockName) -> LockView:
        """The Lock as it is now."""

    def manage(self, seen: LockView, managers: Sequence[Mapping[str, Any]]) -> None:
        """Set its `managedFields` if the Lock still is as seen."""


def give_up(
    cluster: Managed, view: LockView, names: Iterable[str], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Leave those of the fields that have their default to whoever wants them, if the cluster lets us.

    Not at once: the operator first sees by whom the field was changed, and writes the status.
    """
    for pause in _GIVE_UP_PAUSES_SECONDS:
        if without_claims(view, names) is None:
            return
        sleep(pause)
        try:
            view = cluster.get(view.name)
            if (managers := without_claims(view, names)) is not None:
                cluster.manage(view, managers)
        except ConflictError:
            continue
        except ClusterError:  # what was asked is done
            pass
        return
