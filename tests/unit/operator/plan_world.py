"""A small world in memory in which plans are carried out one operation at a time, and can be interrupted at any.

It keeps what the API server and etcd would keep of one lock, in the reconciler's order of operations, and checks
each operation against what must never happen. Two replicas reconcile it; one is active.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredLock, StoredSpec
from leasehold.operator.plan.model import (
    DeleteSpec,
    EndedCandidate,
    EtcdState,
    Evict,
    LabelPod,
    Memory,
    PutSpec,
    ReconcilePlan,
    Situation,
)
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import FINALIZER, Lock
from tests.unit.operator.planned import NOON, candidate, check_status, lock, situation

MAX_RECONCILES: Final = 100
"""If the world is not at rest after this many reconciles, it never will be."""


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
    """An operator: its memory, the candidates that ended since its last reconcile, and the events it has emitted."""

    memory: Memory = field(default_factory=Memory)
    ended: list[EndedCandidate] = field(default_factory=list)
    reported: Counter[tuple[str, ...]] = field(default_factory=Counter)


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
    ended_pods: set[str] = field(default_factory=set)
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
            replica.ended.append(EndedCandidate(entry, released))

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
        """Reconcile, obey and let time pass until nothing is left to do."""
        for _ in range(MAX_RECONCILES):
            self._reconcile_standby()
            again, acted = self._reconcile()
            if acted or self.obey():
                continue
            if again is None:
                return
            self.now += again
        raise AssertionError(f"never at rest: {self}")

    def situation(self, replica: Replica, *, active: bool = True) -> Situation:
        """What a replica sees."""
        since = self.away_since if self.away_since is not None else 0.0
        ended, replica.ended = tuple(replica.ended), []
        return situation(
            self.resource,
            None,
            active=active,
            stored=StoredLock(self.spec, tuple(self.queue)),
            etcd=EtcdState(self.away_since is None, self.revision, since, ""),
            memory=replica.memory,
            ended=ended,
            ended_pods=frozenset(self.ended_pods),
            labelled=frozenset(self.labels),
            now=self.now,
            wall=NOON + timedelta(seconds=self.now),
        )

    def _reconcile_standby(self) -> None:
        standby = self.replicas[1]
        if self.interruption.how == "stale took over":
            return  # it has not reconciled since the beginning
        decided = plan(self.situation(standby, active=False))
        standby.memory = decided.memory
        assert decided.writes == (), "a replica that is not active wrote to etcd"

    def _reconcile(self) -> tuple[float | None, bool]:
        """One reconcile; when to reconcile again, and whether anything was done or tried."""
        replica = self.replicas[0]
        if self.resource is None and self.spec is None and not self.labels:
            replica.memory, replica.ended = Memory(), []
            return None, False
        decided = plan(self.situation(replica))
        replica.memory = decided.memory
        for event in decided.events:
            report = (self.resource.uid if self.resource else "", event.reason, event.message)
            replica.reported[report] += 1
            assert replica.reported[report] == 1, f"reported twice: {event}"
        operations = list(self._operations(decided))
        try:
            for operation in operations:
                self._perform(operation)
        except Cut:
            return 0.0, True
        return decided.again_in, bool(operations)

    def _operations(self, decided: ReconcilePlan) -> Iterator[Callable[[], None]]:
        """In the reconciler's order: a round that writes to etcd patches no status."""
        finalizers = decided.finalizers
        if finalizers is not None and FINALIZER in finalizers:
            yield lambda: self._put_finalizers(finalizers)
        for write in decided.writes:
            yield lambda write=write: self._write(write)  # type: ignore[misc]  # no type for a lambda's default
        if finalizers is not None and FINALIZER not in finalizers:
            yield lambda: self._put_finalizers(finalizers)
        for label in decided.labels:
            yield lambda label=label: self._label(label)  # type: ignore[misc]  # no type for a lambda's default
        if decided.status is not None and not decided.writes:
            yield lambda: self._patch_status(dict(decided.status or {}))

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
        revoked = evict.entry.create_revision <= (self.resource.spec.revoke_up_to_token or 0)
        assert revoked or not evict.entry.record.foreign, "a foreign candidate was evicted although nobody asked for it"
        assert revoked or evict.entry.record.pod_uid in self.ended_pods
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
