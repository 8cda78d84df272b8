"""What people and other programs do to a lock: by its spec, by hand, by a sidecar's control routes, in its queue."""

from __future__ import annotations

import time
from typing import ClassVar

from tests.nemesis.cluster_world import Candidate
from tests.nemesis.etcd_gateway import Key
from tests.nemesis.faults.base import Fault
from tests.nemesis.history import Ended
from tests.nemesis.queue_record import identity_of
from tests.servers import Process


class Capacity(Fault):
    """More may lead at once, then fewer, then one."""

    name: ClassVar = "capacity"

    def inject(self) -> None:
        capacity = self.rng.choice([2, 3])
        self.world.say(f"{self.name}: {capacity}")
        self.world.declare(capacity=capacity)
        time.sleep(self.rng.uniform(0.0, 2.0))
        if capacity == 3:
            self.world.declare(capacity=2)

    def heal(self) -> None:
        self.world.declare(capacity=None)


class Suspend(Fault):
    """Nobody may lead."""

    name: ClassVar = "suspend"

    def inject(self) -> None:
        self.world.say(self.name)
        self.world.declare(suspend=True)

    def heal(self) -> None:
        self.world.declare(suspend=None)


class Prefer(Fault):
    """One is preferred, who need not be there; it stays preferred until the next time."""

    name: ClassVar = "prefer"

    def inject(self) -> None:
        chosen = self.rng.choice([*(one.name for one in self.world.candidates), "nobody"])
        self.world.say(f"{self.name}: {chosen}")
        self.world.declare(preferredHolder=chosen)


class HandOverToken(Fault):
    """Whoever holds by now is to hand over, by the spec."""

    name: ClassVar = "hand-over-token"

    def inject(self) -> None:
        entries = self.world.gateway.prefix(self.world.keys.queue)
        if entries:
            self.world.say(f"{self.name}: up to {entries[0].create_revision}")
            self.world.declare(handoverUpToToken=entries[0].create_revision)


class _OnEntry(Fault):
    """Somebody else ends a candidate."""

    def inject(self) -> None:
        entries = self.world.gateway.prefix(self.world.keys.queue)
        if entries:
            entry = entries[0] if self.rng.random() < 0.7 else self.rng.choice(entries)
            self.world.say(f"{self.name}: {identity_of(entry.value)}'s, token {entry.create_revision}")
            self.world.history.note(Ended(entry.key, time.monotonic()))
            self._end(entry)

    def _end(self, entry: Key) -> None:
        raise NotImplementedError


class DeleteKey(_OnEntry):
    """By deleting its key."""

    name: ClassVar = "delete-key"

    def _end(self, entry: Key) -> None:
        self.world.gateway.delete(entry.key)


class RevokeLease(_OnEntry):
    """By revoking its lease."""

    name: ClassVar = "revoke-lease"

    def _end(self, entry: Key) -> None:
        self.world.gateway.revoke(entry.lease)


class HandOver(Fault):
    """A sidecar is asked to hand over."""

    name: ClassVar = "hand-over"

    def inject(self) -> None:
        self.world.ask(self.anybody(), "handover")


class Pause(Fault):
    """A sidecar is asked to leave the queue, and later to come back."""

    name: ClassVar = "pause"
    _hit: Candidate | None = None

    def inject(self) -> None:
        self._hit = self.victim()
        self.world.ask(self._hit, "pause")

    def heal(self) -> None:
        if self._hit is not None:
            self.world.ask(self._hit, "resume")


class Stranger(Fault):
    """A candidate that is not ours waits in the queue, and leads when its turn comes."""

    name: ClassVar = "stranger"
    _process: Process | None = None

    def inject(self) -> None:
        self.world.say(self.name)
        self._process = self.world.cluster.ctl.process("elect", self.world.keys.prefix, "stranger")
        self._process.start()
        if self.rng.random() < 0.5:
            self.world.ask(self.world.candidates[0], "handover")

    def heal(self) -> None:
        if self._process is not None:
            self._process.close()
        for entry in self.world.gateway.prefix(self.world.keys.queue):
            if identity_of(entry.value) == "stranger":
                self.world.gateway.revoke(entry.lease)


LOCK_FAULTS: tuple[type[Fault], ...] = (
    Capacity,
    Suspend,
    Prefer,
    HandOverToken,
    DeleteKey,
    RevokeLease,
    HandOver,
    Pause,
    Stranger,
)
