"""Whom a waiting leasehold exec waits for: one read of the queue, once it stands there. No decision about the lock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from leasehold.base.records import dataclass
from leasehold.candidate.store import Store
from leasehold.election import commands as cmd
from leasehold.election import events as ev

_log = logging.getLogger("leasehold.queue_check")


@dataclass(frozen=True, slots=True)
class Ahead:
    """Who keeps the lock from us. `behind_parent`: the exec whose command we are is among them."""

    holders: tuple[str, ...]
    behind_parent: bool


def who_is_ahead(answer: ev.QueueRead, own: str, parent: str) -> Ahead | None:
    """The holders, if there is no room for the key `own` beside them. `parent` is the parent's key, or ""."""
    keys = [entry.key for entry in answer.queue]
    capacity = answer.declared.effective.capacity
    if own not in keys or keys.index(own) < capacity:
        return None
    before = answer.queue[: keys.index(own)]
    return Ahead(tuple(entry.record.identity for entry in before[:capacity]), parent in [entry.key for entry in before])


def namesakes(answer: ev.QueueRead, own: str) -> int:
    """How many others in the queue have the identity of the key `own`."""
    identities = {entry.key: entry.record.identity for entry in answer.queue}
    return list(identities.values()).count(identities.get(own, "")) - 1 if own in identities else 0


class QueueCheck:
    """Reads the queue once for each key of ours. `changed` is called when the answer has come."""

    def __init__(self, store: Store, parent: str, timeout: float, changed: Callable[[], None]) -> None:
        """`parent` is the key of the exec whose command we are, or ""; `timeout` is in seconds."""
        self.ahead: Ahead | None = None
        self._store = store
        self._parent = parent
        self._timeout = timeout
        self._changed = changed
        self._checked = ""
        self._reading: asyncio.Task[None] | None = None

    def look(self, own: str) -> None:
        """Read the queue, unless that was done since the key `own` came to stand in it."""
        if self._checked != own:
            self._checked, self.ahead = own, None
            self.close()
            self._reading = asyncio.create_task(self._read(own), name="exec reads the queue")

    async def _read(self, own: str) -> None:
        answer = await self._store.perform(cmd.ReadQueue(0), self._timeout)
        if not isinstance(answer, ev.QueueRead):
            self._checked = ""  # at the next change of anything
            return
        self.ahead = who_is_ahead(answer, own, self._parent)
        if namesakes(answer, own):
            _log.warning(
                "another candidate in the queue has the same identity: give each process its own --identity; if it is "
                "an earlier run that was killed, its lease ends within the TTL"
            )
        self._changed()

    def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
