"""`kubectl leasehold list --watch`: one list, then a watch from there, and the same again when the watch ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from leasehold.base.backoff import Backoff
from leasehold.kubectl.errors import OutdatedError, UnreachableError
from leasehold.kubectl.lock import LockView

_WATCH_SECONDS: Final = 300.0
"""Duration of one watch. A connection that died in silence is noticed by its end."""
_FIRST_PAUSE_SECONDS: Final = 0.3
_LONGEST_PAUSE_SECONDS: Final = 7.5


class Followable(Protocol):
    """The part of a cluster that is needed."""

    def listed(self, namespace: str) -> tuple[list[LockView], str]:
        """All Locks, and the resource version to follow from."""

    def follow(self, namespace: str, version: str, seconds: float) -> Iterator[tuple[LockView, bool]]:
        """Each later state of a Lock, and whether it was deleted."""


class LiveList:
    """The Locks of a namespace, or of all if it is empty. `notify` gets a sentence when the API server is away."""

    def __init__(self, cluster: Followable, namespace: str, notify: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._notify = notify
        self._shown: dict[str, object] = {}
        self._version = ""

    def first(self) -> list[LockView]:
        """All Locks now. Raises ClusterError."""
        found, self._version = self._cluster.listed(self._namespace)
        self._shown = {view.uid: shown(view) for view in found}
        return found

    def changes(self) -> Iterator[LockView]:
        """Each Lock whose line differs from what it was, without an end. Raises ClusterError if the server refuses."""
        backoff, is_away = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, jitter=2 / 3), False
        while True:
            try:
                if is_away:
                    yield from self._differing(self._list_again())
                    is_away = False
                for view, is_deleted in self._cluster.follow(self._namespace, self._version, _WATCH_SECONDS):
                    self._version = view.resource_version
                    backoff.reset()
                    yield from () if is_deleted else self._differing([view])
            except OutdatedError:
                is_away = True  # what was missed is in the next list
            except UnreachableError as error:
                if not is_away:
                    self._notify(f"{error} Trying again.")
                is_away = True
            time.sleep(backoff.next_pause())

    def _list_again(self) -> list[LockView]:
        found, self._version = self._cluster.listed(self._namespace)
        return found

    def _differing(self, views: list[LockView]) -> Iterator[LockView]:
        for view in views:
            if self._shown.get(view.uid) != shown(view):
                self._shown[view.uid] = shown(view)
                yield view


def shown(view: LockView) -> object:
    """What a Lock's line shows, but for ages."""
    return view.held, view.holders, view.holder_count, view.waiter_count
