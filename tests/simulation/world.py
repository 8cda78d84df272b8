"""One schedule: hosts, an etcd, faults, all drawn from one seed; then peace, in which the lock must come to rest."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from leasehold.election.election import ElectionConfig
from leasehold.election.events import HandOver, Stop, WorkStopped
from leasehold.election.invariants import InvariantBroken
from leasehold.election.snapshot import State
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec

from .cluster import Cluster
from .fault import Fault, Heal
from .faults import FAULTS, LOSSES
from .host import Host
from .judge import Judge
from .kind import DRIFT, draw
from .network import Link, Network
from .node import Process
from .service import Service
from .store import Image
from .timeline import Timeline, Trace
from .violation import CALM, Violation
from .watches import Hub

MOST_STEPS = 10_000


class Failure(AssertionError):
    """A schedule broke an invariant, or the machine raised: everything to see it again."""

    def __init__(self, seed: int, cause: Exception, trace: Trace, only: tuple[str, ...]) -> None:
        self.seed, self.cause = seed, cause
        self.invariant = cause.invariant if isinstance(cause, Violation | InvariantBroken) else type(cause).__name__
        faults = f" --faults {','.join(only)}" if only else ""
        again = f"see it again: python -m tests.simulation --seed {seed}{faults} --verbose"
        super().__init__(f"seed {seed} breaks {self.invariant}: {cause}\n{trace}\n{again}")


class World:
    """Everything there is, in true time."""

    def __init__(
        self,
        seed: int,
        echo: Callable[[str], None] | None = None,
        only: tuple[str, ...] = (),
    ) -> None:
        """`only` names the faults that there are to be, and with several members; without it the seed says."""
        self.seed, self.only = seed, only
        self.rng = random.Random(seed)
        self.timeline = Timeline()
        self.trace = Trace(self.timeline, echo)
        self.kind = draw(self.rng)
        if only:
            faults = tuple(fault for fault in (*FAULTS, *LOSSES) if fault.name in only)
            self.kind = replace(self.kind, faults=faults, members=3, brisk=False)
        self.ttl = self.kind.ttl
        self.patience = min(max(self.ttl / 5, 0.5), 2.0)
        self.epoch = 0
        self.images: list[Image] = []
        self.varies_capacity = self.rng.random() < 0.4
        rates = [self._rate() for _ in range(self.kind.members)]
        self.cluster = Cluster(self.timeline, self.rng, self.trace, rates)
        self.service, self.hub, self.network = Service(self.cluster), Hub(self.cluster), Network(self)
        self.judge = Judge(self)
        self._connect()
        self.hosts = [self._host(n) for n in range(self.kind.hosts)]
        self._heals: dict[int, tuple[Fault, Heal]] = {}
        self._struck = 0
        self._vacant_since = 0.0
        self.disturbed = 0.0
        """When a process last ended or began."""
        self.at_peace = False

    def _rate(self) -> float:
        bound = DRIFT if self.kind.clocks_hold else 0.2
        return 1 + self.rng.choice((-bound, bound, 0.0, self.rng.uniform(-bound, bound)))

    def _connect(self) -> None:
        def committed() -> None:
            self.hub.publish()
            self.judge.committed()

        self.cluster.on_commit = committed
        self.cluster.on_down = self.network.hang_up
        self.service.on_give_up = self.judge.handovers.gives_up
        self.hub.on_told = self.judge.tells
        self.judge.clocks_hold = self.kind.clocks_hold
        self.judge.expects_data_loss = any(loss in self.kind.faults for loss in LOSSES)

    def _host(self, number: int) -> Host:
        rng = self.rng
        record = Record(
            identity=f"pod{number}", group=rng.choice(("", "red", "blue")), priority=rng.choice((0, 0, 0, 1, 2))
        )
        settings = ElectionConfig(
            lock=LockName("sim", "lock"),
            record=record,
            ttl=self.ttl if rng.random() < 0.8 else None,
            drain=rng.choice((0.0, 0.0, 0.5, 2.0)),
            max_drift=DRIFT,
            # no queue here is as long as a long one: in two of three schedules a short one counts as that
            watch_all_up_to=(32, 1, 3)[self.seed % 3],
        )
        self.network.links[record.identity] = Link()
        return Host(self, settings, self._rate())

    # --- a run

    def run(self) -> None:
        """The whole schedule. Raises Failure."""
        try:
            self._begin()
            self._until(self.ttl * self.kind.length)
            self._make_peace()
            self._come_to_rest()
            self._hand_round()
            self._all_stop()
        except Exception as error:
            raise Failure(self.seed, error, self.trace, self.only) from error

    def _begin(self) -> None:
        self.trace.add("world", "is", self.kind)
        if self.rng.random() < 0.7:
            capacity = self.rng.choice((1, 2)) if self.varies_capacity else 1
            self.cluster.store.declare(
                Spec(ttl=self.ttl, capacity=capacity, preferred_group=self.rng.choice(("", "red")))
            )
            self.cluster.on_commit()
        for host in self.hosts:
            self.timeline.after(self.rng.choice((0.0, self.rng.uniform(0.0, self.ttl))), self._start, host)
        self.timeline.after(self.rng.uniform(0.5, 2.0) * self.ttl, self._take_image)
        self._fault_later()
        if self.kind.brisk:
            self._look_for_vacancy()

    def _start(self, host: Host) -> None:
        if host.process is None and not self.at_peace:
            host.start(resume=False)

    def _look_for_vacancy(self) -> None:
        """Where nothing but crashes happens, a vacancy ends a TTL and a second after the last of them."""
        alive = self._alive()
        calm = not any(process.is_holding() or process.snapshot.state is State.YIELDING for process in alive)
        waiting = any(process.snapshot.state is State.WAITING for process in alive)
        if not (calm and waiting):
            self._vacant_since = self.timeline.now
        since = max(self._vacant_since, self.disturbed)
        if self.timeline.now - since > (1 + DRIFT) * self.cluster.longest_ttl + 1.0:
            raise Violation("liveness", f"nobody holds since {since:.3f}: {self._states()}")
        if not self.at_peace:
            self.timeline.after(0.1, self._look_for_vacancy)

    def _take_image(self) -> None:
        self.images.append(self.cluster.store.image())

    def lose_data(self, image: Image, bump: int = 0) -> None:
        """etcd comes back with less than it had: one TTL in which nothing can be promised."""
        self.epoch += 1
        self.cluster.restore(image, same_cluster=self.rng.random() < 0.5, bump=bump)
        self.hub.reset()
        self.judge.lost_data()

    # --- faults

    def _fault_later(self) -> None:
        self.timeline.after(self.rng.expovariate(self.kind.pace / self.ttl), self._strike)

    def _strike(self) -> None:
        if self.timeline.now >= self.ttl * self.kind.length:
            return
        fault = self.rng.choice(self.kind.faults)
        if not fault.sort or all(other.sort != fault.sort for other, _ in self._heals.values()):
            self.trace.add("world", "fault", fault.name)
            heal = fault.strike(self)
            if heal is not None:
                number = self._struck = self._struck + 1
                self._heals[number] = (fault, heal)
                self.timeline.after(self.rng.uniform(0.0, fault.lasts) * self.ttl, self._heal, number)
        self._fault_later()

    def _heal(self, number: int) -> None:
        if number in self._heals:
            _, heal = self._heals.pop(number)
            heal()

    def _until(self, instant: float) -> None:
        if not self.timeline.run(instant, MOST_STEPS):
            raise Violation("rate", f"{MOST_STEPS} things have happened: somebody turns in circles")

    def _make_peace(self) -> None:
        """All faults stop."""
        self.at_peace = True
        self.trace.add("world", "peace")
        for number in list(self._heals):
            self._heal(number)
        if self.cluster.leader is None:
            self.cluster.promote(self.rng.choice(self.cluster.members))
        self._revive()
        spec = self.cluster.store.declared.spec or Spec()
        self.timeline.after(
            0.5,
            self._declare,
            Spec(capacity=spec.capacity, preferred_holder=spec.preferred_holder, generation=spec.generation + 1),
        )

    def _revive(self) -> None:
        for host in self.hosts:
            if host.process is None or host.process.dead:
                host.start(resume=True)

    def _declare(self, spec: Spec) -> None:
        self.cluster.store.declare(spec)
        self.cluster.on_commit()

    # --- peace

    def _come_to_rest(self) -> None:
        """Ghosts expire within one TTL, counted anew by a new leader; then a back-off, and a handover or two."""
        drains = sum(host.settings.drain for host in self.hosts)
        # whoever was cut off hears of it within a keep-alive's interval and its timeouts: a rest before that is a lull
        self._until(self.timeline.now + self.cluster.longest_ttl / 3 + 2 * self.patience)
        self._revive()
        self._await_rest(self.cluster.longest_ttl * 1.02 + 1.6 + 8.0 + drains)

    def _await_rest(self, bound: float) -> None:
        if self.varies_capacity:  # for a TTL after the capacity fell, nobody is passed by
            bound += CALM
        end = self.timeline.now + bound
        while not self._is_at_rest():
            self._until(self.timeline.now + 0.1)
            if self.timeline.now > end:
                raise Violation("liveness", f"not at rest {bound:.1f} s after the faults: {self._states()}")

    def _states(self) -> str:
        return ", ".join(f"{h.name} {h.process.snapshot.state if h.process else 'dead'}" for h in self.hosts)

    def _alive(self) -> list[Process]:
        return [host.process for host in self.hosts if host.process and not host.process.dead]

    def _is_at_rest(self) -> bool:
        """Whether exactly those hold who should."""
        spec = self.cluster.store.declared.spec or Spec()
        alive = self._alive()
        ranks = sorted(((self._rank(process, spec), process.is_holding()) for process in alive), reverse=True)
        holding = [rank for rank, holds in ranks if holds]
        queued = [(entry.create_revision, entry.record.incarnation) for entry in self.cluster.store.queue()]
        ours = [(process.snapshot.token or 0, process.settings.record.incarnation) for process in alive]
        only_ours = queued == sorted(ours)
        return only_ours and holding == [rank for rank, _ in ranks[: spec.capacity]]

    @staticmethod
    def _rank(process: Process, spec: Spec) -> tuple[bool, bool, int]:
        record = process.settings.record
        group = bool(spec.preferred_group) and record.group == spec.preferred_group
        return (record.identity == spec.preferred_holder, group, record.priority)

    def _hand_round(self) -> None:
        """Every waiter can be reached: the lock changes hands as often as it is asked to."""
        for _ in range(2):
            holding = [process for process in self._alive() if process.is_holding()]
            if not holding:
                raise Violation("liveness", f"nobody holds: {self._states()}")
            chosen = self.rng.choice(holding)
            self.trace.add("world", "asks", f"{chosen.host.name} to hand over")
            chosen.take(HandOver())
            self._until(self.timeline.now + 0.05)
            self._await_rest(4.0 + sum(host.settings.drain for host in self.hosts))

    def _all_stop(self) -> None:
        """Each stops in its turn, and its successor holds at once; at the end nothing of ours is left."""
        while alive := self._alive():
            chosen = self.rng.choice(alive)
            self.trace.add("world", "stops", chosen.host.name)
            chosen.take(Stop())
            if self.rng.random() < 0.5:
                chosen.take(WorkStopped())
            end = self.timeline.now + 1.5 * chosen.settings.drain + 2.0
            while not chosen.dead:
                self._until(self.timeline.now + 0.05)
                if self.timeline.now > end:
                    raise Violation("liveness", f"{chosen.host.name} does not stop: {self._states()}")
            self._await_rest(4.0 + sum(host.settings.drain for host in self.hosts))
        self._until(self.timeline.now + 0.5)
        left = [entry.record.identity for entry in self.cluster.store.queue() if entry.record.incarnation != "usurper"]
        if left:
            raise Violation("liveness", f"all have stopped, and the queue still holds {left}")
