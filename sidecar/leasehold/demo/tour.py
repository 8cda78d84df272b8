"""The steps of the tour, and whether each of them held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from leasehold.demo.candidates import Candidate
from leasehold.demo.watch import Watchman

_FAILOVER_TTLS: Final = 4
"""A step fails if there is no new leader after so many TTLs: generous, because the machine may be busy."""
_PAUSE_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its outcome in words, whether it held, and the time without a leader in milliseconds."""

    title: str
    outcome: str
    held: bool
    gap_ms: float | None = None


class StepView(Protocol):
    """Shows the steps."""

    def begin(self, title: str) -> None:
        """A step begins."""

    def end(self, step: Step) -> None:
        """It has ended."""


class Tour:
    """The steps, on three sidecars that are up."""

    def __init__(self, candidates: Sequence[Candidate], watchman: Watchman, view: StepView) -> None:
        self._candidates = candidates
        self._watchman = watchman
        self._view = view
        self._ttl = candidates[0].ttl
        self._timeout = _FAILOVER_TTLS * self._ttl

    async def run(self) -> bool:
        """Run all steps; returns whether all held, and no two answers contradicted each other."""
        steps: list[tuple[str, Callable[[], Awaitable[Step]]]] = [
            ("Election", self._election),
            ("Graceful handover", self._handover),
            ("kill -9 of the leader", self._crash),
            ("A frozen leader", self._freeze),
            ("A restart within the TTL", self._resume),
        ]
        held = True
        for title, act in steps:
            self._view.begin(title)
            step = await act()
            self._view.end(step)
            held = held and step.held
            await asyncio.sleep(_PAUSE_SECONDS)
        return held and self._watchman.contradictions == 0

    def _token(self, candidate: Candidate) -> int:
        seen = self._watchman.seen.get(candidate.name)
        return seen.token if seen else 0

    def _has_just_renewed(self, candidate: Candidate) -> bool:
        seen = self._watchman.seen.get(candidate.name)
        return seen is not None and seen.valid_for > self._ttl * 5 / 6  # it renews at two thirds

    async def _settled(self) -> Candidate | None:
        """The leader, once there is one and all live sidecars are in the queue; None after a timeout."""
        watchman = self._watchman
        everyone = [one for one in self._candidates if one.alive and not one.frozen]

        def settled() -> bool:
            seen = [watchman.seen.get(one.name) for one in everyone]
            return watchman.leader() is not None and all(one and one.position is not None for one in seen)

        return watchman.leader() if await watchman.wait(settled, self._timeout) else None

    async def _next(self, old: Candidate, since: float) -> tuple[Candidate | None, float]:
        """The leader after `old`, and the milliseconds from the time `since` until it answered so."""
        await self._watchman.wait(lambda: self._watchman.leader() not in (None, old), self._timeout)
        new = self._watchman.leader()
        seen = self._watchman.seen.get(new.name) if new else None
        return new if new is not old else None, ((seen.received if seen else time.monotonic()) - since) * 1000

    async def _election(self) -> Step:
        leader = await self._settled()
        if leader is None:
            return Step("Election", "nobody leads", held=False)
        outcome = f"{leader.name} leads with token {self._token(leader)}; the others stand in the queue"
        return Step("Election", outcome, held=True)

    async def _handover(self) -> Step:
        old = await self._settled()
        if old is None:
            return Step("Graceful handover", "nobody leads", held=False)
        token = self._token(old)
        since = time.monotonic()
        await self._watchman.post(f"{old.control}/handover")
        new, gap = await self._next(old, since)
        if new is None:
            return Step("Graceful handover", "nobody took over", held=False)
        outcome = f"{old.name} → {new.name}, token {token} → {self._token(new)}; {old.name} queues again"
        return Step("Graceful handover", outcome, self._token(new) > token, gap)

    async def _crash(self) -> Step:
        title = "kill -9 of the leader"
        old = await self._settled()
        if old is None:
            return Step(title, "nobody leads", held=False)
        token, since = self._token(old), time.monotonic()
        old.kill()
        new, gap = await self._next(old, since)
        await old.start()
        if new is None:
            return Step(title, "nobody took over", held=False)
        after = f"once the lease of {self._ttl} s has run out"
        outcome = f"{old.name} dies; {new.name} leads with token {self._token(new)} {after}"
        return Step(title, outcome, self._token(new) > token, gap)

    async def _freeze(self) -> Step:
        title = "A frozen leader"
        old = await self._settled()
        if old is None:
            return Step(title, "nobody leads", held=False)
        token, since = self._token(old), time.monotonic()
        old.freeze()
        new, gap = await self._next(old, since)
        question = asyncio.create_task(self._watchman.ask(old), name="ask the frozen one")
        await asyncio.sleep(0.2)  # so that the question has arrived before it thaws
        old.thaw()
        answer = await question
        if new is None or answer is None:
            return Step(title, "nobody took over" if new is None else "the thawed one does not answer", held=False)
        word = "503" if not answer.leading else "200 (!)"
        outcome = f"{old.name} is stopped; {new.name} leads; thawed, the first answer of {old.name} is {word}"
        return Step(title, outcome, self._token(new) > token and not answer.leading, gap)

    async def _resume(self) -> Step:
        title = "A restart within the TTL"
        old = await self._settled()
        if old is None:
            return Step(title, "nobody leads", held=False)
        await self._watchman.wait(lambda: self._has_just_renewed(old), self._ttl)  # then most of the lease is left
        token, since = self._token(old), time.monotonic()
        old.kill()
        self._watchman.seen.pop(old.name, None)
        await old.start()
        again = await self._watchman.wait(lambda: self._watchman.leader() is not None, self._timeout)
        leader, gap = self._watchman.leader(), (time.monotonic() - since) * 1000
        if not again or leader is None:
            return Step(title, "nobody leads", held=False)
        same = leader is old and self._token(leader) == token
        outcome = f"{old.name} is killed and started again: it leads under the same token {token}, without a failover"
        return Step(title, outcome if same else f"{leader.name} took over with token {self._token(leader)}", same, gap)
