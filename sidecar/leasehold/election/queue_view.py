"""What one candidate knows of the queue it stands in. Pure.

A linearizable read of the whole queue starts a view; watch events and the small confirming reads keep it up to date
as far as they reach. In a long queue a waiter watches only the first key and the one ahead of it, so what it knows of
the others ahead is an upper bound: any of them may be gone, but none can have come, since a create revision only grows.
"""

from __future__ import annotations

from collections.abc import Iterable

from leasehold.base.records import dataclass, replace
from leasehold.lock.record import Entry


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue, in order of create revision, as known at `revision`; `complete` while nobody in it can be missing."""

    entries: tuple[Entry, ...] = ()
    revision: int = 0
    complete: bool = False
    gone_at: int = 0
    """The highest revision at which a watch showed a deletion."""

    @classmethod
    def read(cls, entries: Iterable[Entry], revision: int) -> QueueView:
        """A view from a linearizable read of the whole queue at this revision."""
        return cls(tuple(sorted(entries, key=lambda entry: entry.create_revision)), revision, complete=True)

    def own(self, key: str) -> Entry | None:
        """The entry with this key, if it is known."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def ahead(self, token: int) -> tuple[Entry, ...]:
        """Those who may still stand ahead of this token."""
        return tuple(entry for entry in self.entries if entry.create_revision < token)

    def just_ahead(self, token: int) -> Entry | None:
        """The one directly ahead of this token: what a waiter watches."""
        ahead = self.ahead(token)
        return ahead[-1] if ahead else None

    def clears_the_way(self, key: str, token: int, revision: int) -> bool:
        """Whether the deletion of this key at this revision proves that our key is the first now, and still stands.

        So it is if the key was the only one ahead and its record was never rewritten: an owner that passes others by
        rewrites its record first, and may delete our key in the very transaction that deletes its own.

        That transaction may also be of somebody ahead of this key, whose deletion we have just seen. It has one
        revision, so this deletion has to come from a later one: nobody stood ahead of this key then but its owner.
        """
        ahead = self.ahead(token)
        return len(ahead) == 1 and ahead[0].key == key and not ahead[0].changed and revision > self.gone_at

    def put(self, entry: Entry) -> QueueView:
        """A watched key was written. An older event than what is known changes nothing."""
        known = self.own(entry.key)
        # watches and reads arrive in any order, and some events arrive twice
        if entry.mod_revision <= (known.mod_revision if known else self.revision):
            return self
        others = [other for other in self.entries if other.key != entry.key]
        return replace(self, entries=tuple(sorted([*others, entry], key=lambda e: e.create_revision)))

    def gone(self, key: str, revision: int) -> QueueView:
        """A watched key was deleted at this revision. Keys are never used twice, so an old event stays true."""
        left = tuple(entry for entry in self.entries if entry.key != key)
        return replace(self, entries=left, gone_at=max(self.gone_at, revision))

    def behind(self, head: Entry | None) -> QueueView:
        """A linearizable read found `head` to be the first of the queue: all before it are gone."""
        # not even our own key: the read of it says the same, and ends the candidate
        if head is None:
            return replace(self, entries=())
        known = self.own(head.key)
        # a watch may have shown a rewrite that this read is too old for
        first = known if known and known.mod_revision > head.mod_revision else head
        kept = tuple(entry for entry in self.entries if entry.create_revision > head.create_revision)
        return replace(self, entries=(first, *kept))
