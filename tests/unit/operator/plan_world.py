"""A small world in memory in which plans are carried out operation by operation, and can be cut off at any of them.

It keeps what the API server and etcd would keep of one lock, in the shell's order of operations (`reconciler.py`), and
holds every step against what must never happen. Two replicas look at it; one is active.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.operator.plan.observed import Departed, EtcdState, StoredLock, StoredSpec
from leasehold.operator.plan.orders import DeleteSpec, Evict, PutSpec
from leasehold.operator.plan.plan import LabelPod, Memory, ReconcilePlan, Situation, plan
from leasehold.operator.plan.resource import FINALIZER, Lock
from tests.unit.operator.planned import NOON, candidate, check_status, lock, situation

MOST_LOOKS: Final = 100
"""Looks after which a world that is not at rest never will be."""


class Cut(Exception):
    """The reconcile ends here: the rest of its plan is not carried out."""


@dataclass
class Interruption:
    """What happens at one operation, counted from 0: `how` is one of HOWS; `at` negative: nothing."""

    at: int = -1
    how: str = ""


HOWS: Final = ("crashed before", "crashed after", "reported failed", "failed", "standby took over", "stale took over")


@dataclass
class Replica:
    """An operator: what it remembers, who went by its mirror, what it told of in this life."""

    memory: Memory = field(default_factory=Memory)
    departed: list[Departed] = field(default_factory=list)
    told: Counter[tuple[str, ...]] = field(default_factory=Counter)


@dataclass
class World:
    """One lock, its keys in etcd, and two replicas, of which the first is the active one."""

    interruption: Interruption = field(default_factory=Interruption)
    resource: Lock | None = None
    spec: StoredSpec | None = None
    queue: list[Entry] = field(default_factory=list)
    revision: int = 100
    away_since: float | None = None
    now: float = 1000.0
    labels: set[tuple[str, str, str]] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    stubborn: set[str] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    fell_at: float = float("-inf")
    operations: int = 0
    uids: int = 0
    rolled_back: bool = False
    replicas: list[Replica] = field(default_factory=lambda: [Replica(), Replica()])

    # --- what people and sidecars do ---------------------------------------------------------------------------------

    def apply(self, **spec: Any) -> None:
        """Create the resource, or change it."""
        if self.resource is None:
            self.uids += 1
            self.resource = replace(lock(uid=f"u{self.uids}", **spec), finalizers=())
        else:
            changed = replace(self.resource.spec, **spec)
            self.resource = replace(self.resource, spec=changed, generation=self.resource.generation + 1)

    def delete(self) -> None:
        """Ask for the deletion; what has no finalizer is gone at once."""
        assert self.resource is not None
        self.resource = replace(self.resource, deleting=True)
        if not self.resource.finalizers:
            self.resource = None

    def join(self, identity: str, **record: Any) -> int:
        """Queue up; the token."""
        self.revision += 1
        self.queue.append(candidate(self.revision, identity, **record))
        return self.revision

    def go(self, entry: Entry, released: bool = True) -> None:
        """A candidate's key goes."""
        self.queue.remove(entry)
        self.revision += 1
        for replica in self.replicas:
            replica.departed.append(Departed(entry, released))

    def write_spec(self, spec: Spec | None) -> None:
        """Write the spec key, or delete it, whoever does."""
        self.revision += 1
        before = self.spec.spec.capacity if self.spec and self.spec.spec else 1
        after = spec.capacity if spec else 1
        if after < before:
            self.fell_at = self.now
        self.spec = StoredSpec(spec.encode(), self.revision, spec) if spec else None

    def obey(self) -> bool:
        """The sidecars do what the spec asks of them; whether any had to."""
        spec = self.spec.spec if self.spec and self.spec.spec else Spec()
        if not spec.suspend:
            self.held |= {entry.create_revision for entry in self.queue[: spec.capacity]}
        for entry in reversed(self.queue):
            token = entry.create_revision
            is_asked = token <= spec.handover_up_to_token or (spec.suspend and token in self.held)
            if entry.record.foreign or entry.record.identity in self.stubborn or not is_asked:
                continue
            self.go(entry)
            return True
        return False

    # --- what the operator does --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Look, act, obey and let time pass until nothing is left to be done."""
        for _ in range(MOST_LOOKS):
            self._look_passively()
            again, acted = self._look()
            if acted or self.obey():
                continue
            if again is None:
                return
            self.now += again
        raise AssertionError(f"never at rest: {self}")

    def situation(self, replica: Replica, *, active: bool = True) -> Situation:
        """What a replica sees."""
        since = self.away_since if self.away_since is not None else 0.0
        departed, replica.departed = tuple(replica.departed), []
        return situation(
            self.resource,
            None,
            active=active,
            stored=StoredLock(self.spec, tuple(self.queue)),
            store=EtcdState(self.away_since is None, self.revision, since, ""),
            memory=replica.memory,
            departed=departed,
            ended_pods=frozenset(self.ended),
            labelled=frozenset(self.labels),
            now=self.now,
            wall=NOON + timedelta(seconds=self.now),
        )

    def _look_passively(self) -> None:
        standby = self.replicas[1]
        if self.interruption.how == "stale took over":
            return  # it has not looked since the beginning
        wanted = plan(self.situation(standby, active=False))
        standby.memory = wanted.memory
        assert wanted.writes == (), "a replica that is not active wrote to etcd"

    def _look(self) -> tuple[float | None, bool]:
        """One reconcile; when to look again, and whether anything was done, or tried."""
        replica = self.replicas[0]
        if self.resource is None and self.spec is None and not self.labels:
            replica.memory, replica.departed = Memory(), []
            return None, False
        wanted = plan(self.situation(replica))
        replica.memory = wanted.memory
        for event in wanted.events:
            told = (self.resource.uid if self.resource else "", event.reason, event.message)
            replica.told[told] += 1
            assert replica.told[told] == 1, f"told twice: {event}"
        operations = list(self._operations(wanted))
        try:
            for operation in operations:
                self._perform(operation)
        except Cut:
            return 0.0, True
        return wanted.again_in, bool(operations)

    def _operations(self, wanted: ReconcilePlan) -> Iterator[Callable[[], None]]:
        """In the shell's order: a round that writes to etcd patches no status."""
        finalizers = wanted.finalizers
        if finalizers is not None and FINALIZER in finalizers:
            yield lambda: self._put_finalizers(finalizers)
        for write in wanted.writes:
            yield lambda write=write: self._write(write)  # type: ignore[misc]
        if finalizers is not None and FINALIZER not in finalizers:
            yield lambda: self._put_finalizers(finalizers)
        for label in wanted.labels:
            yield lambda label=label: self._label(label)  # type: ignore[misc]
        if wanted.status is not None and not wanted.writes:
            yield lambda: self._patch_status(dict(wanted.status or {}))

    def _perform(self, operation: Callable[[], None]) -> None:
        how = self.interruption.how if self.operations == self.interruption.at else ""
        self.operations += 1
        if how not in ("crashed before", "failed"):
            operation()
        if how.startswith("crashed"):
            self.replicas[0] = Replica()
        if how.endswith("took over"):
            self.replicas.reverse()
        if how:
            raise Cut

    # --- what may be done, and what must never be --------------------------------------------------------------------

    def _put_finalizers(self, finalizers: tuple[str, ...]) -> None:
        assert self.resource is not None
        self.resource = replace(self.resource, finalizers=finalizers)
        if self.resource.deleting and not finalizers:
            if self.resource.spec.deletion_policy == "Release" and not self.resource.force_delete:
                assert self.spec is None, "the resource went before its spec key"
            self.resource = None

    def _write(self, write: PutSpec | DeleteSpec | Evict) -> None:
        assert self.away_since is None, "a write to an etcd that is away"
        if isinstance(write, Evict):
            self._evict(write)
            return
        assert write.mod_revision == (self.spec.mod_revision if self.spec else 0)
        if isinstance(write, PutSpec):
            self._check_rise(Spec.decode(write.value))
        self.write_spec(Spec.decode(write.value) if isinstance(write, PutSpec) else None)

    def _check_rise(self, spec: Spec) -> None:
        before = self.spec.spec.capacity if self.spec and self.spec.spec else 1
        is_new = self.spec is None and self.resource is not None and not self.resource.status
        if spec.capacity > before and not is_new:
            assert self.now >= self.fell_at + 15.0, "the capacity rose within a lease duration of its fall"

    def _evict(self, evict: Evict) -> None:
        assert self.resource is not None
        revoked = evict.entry.create_revision <= self.resource.spec.revoke_up_to_token
        assert revoked or not evict.entry.record.foreign, "a candidate of others was evicted unasked"
        assert revoked or evict.entry.record.pod_uid in self.ended
        self.go(evict.entry)

    def _label(self, label: LabelPod) -> None:
        pod = (label.namespace, label.name, label.uid)
        if label.on:
            self.labels.add(pod)
        else:
            self.labels.discard(pod)

    def _patch_status(self, status: dict[str, Any]) -> None:
        assert self.resource is not None
        check_status(status)
        before = self.resource.status
        assert before != status, "a PATCH that changes nothing"
        for name in ("transitionCount", "fencingToken"):
            assert self.rolled_back or status.get(name, 0) >= before.get(name, 0), f"{name} fell"
        version = str(int(self.resource.resource_version) + 1)
        self.resource = replace(self.resource, status=status, resource_version=version)
