"""Handover: from the signal (or the request) until the successor has told that it leads."""

import contextlib
import random
import signal
import tempfile
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence

from tests.bench.candidates import (
    Candidate,
    Etcd3Lock,
    Etcdctl,
    GoElection,
    Sidecar,
    SidecarAskedAnew,
    sidecar_of,
    wait_queue,
)
from tests.bench.samples import MeasurementFailed, Sample, Table, milliseconds, percentiles, ratios, say
from tests.bench.scale import Bench

Make = Callable[[str], Candidate]
KEPT = "leasehold --state-dir"


class Duel:
    """A leader and its only waiter, again and again."""

    def __init__(self, bench: Bench, name: str, prefix: str, make: Make) -> None:
        self.sample = Sample(name)
        self._etcd = bench.etcd
        self._prefix = prefix
        self._make = make
        self._made = 0
        self._leader: Candidate | None = None
        self._waiter: Candidate | None = None

    def prepare(self) -> None:
        """See to it that one leads and the other waits."""
        if self._leader is None:
            self._leader = self._start()
            self._leader.led_at()
        self._leader.hang_up()
        if self._waiter is None:
            self._waiter = self._start()
        self._wait_queued()

    def measure(self) -> None:
        """One handover."""
        leader, waiter = self._leader, self._waiter
        if leader is None or waiter is None:
            raise MeasurementFailed(f"{self.sample.name}: not prepared")
        begun = self._hand_over(leader)
        self.sample.add(waiter.led_at() - begun)
        self._leader, self._waiter = waiter, self._after(leader)

    def close(self) -> None:
        """End both."""
        for candidate in (self._leader, self._waiter):
            if candidate is not None:
                candidate.close()

    def _start(self) -> Candidate:
        self._made += 1
        candidate = self._make(f"{self._made}")
        try:
            candidate.start()
        except BaseException:
            candidate.close()
            raise
        return candidate

    def _wait_queued(self) -> None:
        wait_queue(self._etcd, self._prefix, 2)

    @abstractmethod
    def _hand_over(self, leader: Candidate) -> float:
        """Begin, and return when that was."""

    @abstractmethod
    def _after(self, leader: Candidate) -> Candidate | None:
        """What the old leader is now: a waiter, or gone."""


class ByTerm(Duel):
    """The leader gets SIGTERM and ends; another process takes the waiter's place."""

    def _hand_over(self, leader: Candidate) -> float:
        begun = time.monotonic()
        leader.process.signal(signal.SIGTERM)
        return begun

    def _after(self, leader: Candidate) -> None:
        leader.process.wait()
        leader.close()


class ByRequest(Duel):
    """The leader is asked to step down, and queues again.

    Go's is asked by a line on its standard input, which is open; a sidecar by a request on a connection that is open,
    too, as an app has one that means to ask. Nobody waits for the answer.
    """

    def prepare(self) -> None:
        super().prepare()
        if self._leader is not None:
            self._leader.get_ready()

    def _hand_over(self, leader: Candidate) -> float:
        return leader.step_down()

    def _after(self, leader: Candidate) -> Candidate:
        leader.requeue()
        return leader


class WithoutQueue(ByRequest):
    """A lock without a queue: that the other waits shows in nothing but the time it has had to."""

    def _wait_queued(self) -> None:
        wait_queue(self._etcd, self._prefix, 1)


def run(bench: Bench) -> list[Table]:
    """Both ways, each contender in turn."""
    with tempfile.TemporaryDirectory(prefix="leasehold-bench-") as state:
        stopped = contest(bench, _by_term(bench, state))
    asked = contest(bench, _by_request(bench))
    kept = next(duel.sample for duel in stopped if duel.sample.name == KEPT)
    others = [duel.sample for duel in stopped if "leasehold" not in duel.sample.name]
    return [
        _table("Handover when the leader is stopped (SIGTERM)", stopped),
        ratios("Handover by SIGTERM, in ratios", [duel.sample for duel in stopped]),
        ratios("Handover by SIGTERM with --state-dir, in ratios", [kept, *others]),
        _table("Handover when the leader is asked to step down", asked),
        ratios("Handover on request, in ratios", [duel.sample for duel in asked]),
    ]


def contest(bench: Bench, duels: Sequence[Duel]) -> Sequence[Duel]:
    """Round by round, all in each, in any order: who is still busy shall not always disturb the same one."""
    with contextlib.ExitStack() as stack:
        for duel in duels:
            stack.callback(duel.close)
        for turn in range(bench.scale.handovers):
            for duel in duels:
                duel.prepare()
            for duel in random.sample(duels, len(duels)):
                time.sleep(bench.scale.settle_seconds)
                duel.measure()
            if turn % 10 == 9:
                say(f"handover: {turn + 1} of {bench.scale.handovers} rounds")
    return duels


def _by_term(bench: Bench, state: str) -> list[Duel]:
    etcd, env = bench.etcd, bench.env
    ours, etcdctl, go = Sidecar.prefix, Etcdctl.prefix, GoElection.prefix

    def kept(name: str) -> Sidecar:
        return Sidecar(etcd, "kept", name, env, flags=["--state-dir", tempfile.mkdtemp(dir=state)])

    other = sidecar_of(bench.before)
    before = ByTerm(
        bench, "leasehold before", ours.format(lock="before"), lambda name: other(etcd, "before", name, env)
    )
    return [
        ByTerm(bench, "leasehold", ours.format(lock="term"), lambda name: Sidecar(etcd, "term", name, env)),
        *([before] if bench.before else []),
        ByTerm(bench, KEPT, ours.format(lock="kept"), kept),
        ByTerm(bench, "etcdctl elect", etcdctl.format(lock="term"), lambda name: Etcdctl(etcd, "term", name)),
        ByTerm(bench, "Go concurrency.Election", go.format(lock="term"), lambda name: GoElection(etcd, "term", name)),
    ]


def _by_request(bench: Bench) -> list[Duel]:
    etcd, env = bench.etcd, bench.env
    ours, go, other = (kind.prefix.format(lock="ask") for kind in (Sidecar, GoElection, Etcd3Lock))
    new = SidecarAskedAnew.prefix.format(lock="new")
    return [
        ByRequest(bench, "leasehold, POST /handover", ours, lambda name: Sidecar(etcd, "ask", name, env)),
        ByRequest(bench, "leasehold, on a new connection", new, lambda name: SidecarAskedAnew(etcd, "new", name, env)),
        ByRequest(bench, "Go concurrency.Election, Resign", go, lambda name: GoElection(etcd, "ask", name)),
        WithoutQueue(bench, "PyPI etcd3 Lock, release", other, lambda name: Etcd3Lock(etcd, "ask", name, env)),
    ]


def _table(title: str, duels: Sequence[Duel]) -> Table:
    notes = ["From the signal or the request until the successor's own word that it leads has reached the measurer."]
    return percentiles(title, [duel.sample for duel in duels], milliseconds, notes)
