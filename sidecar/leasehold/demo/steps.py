"""The steps of the tour: what each does to the sidecars, and what must follow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from leasehold.demo.stage import Stage, Step

Act = Callable[[Stage, str], Awaitable[Step]]


def _nobody(title: str, outcome: str = "nobody leads") -> Step:
    return Step(title, outcome, held=False)


async def _election(stage: Stage, title: str) -> Step:
    leader = await stage.settled()
    if leader is None:
        return _nobody(title)
    return Step(
        title, f"{leader.name} leads with token {stage.token(leader)}; the others stand in the queue", held=True
    )


async def _handover(stage: Stage, title: str) -> Step:
    now = await stage.before_change()
    if now is None:
        return _nobody(title)
    await stage.watchman.post(f"{now.old.control}/handover")
    new = await stage.next_leader(now.old)
    if new is None:
        return _nobody(title, "nobody took over")
    name = now.old.name
    outcome = f"{name} → {new.leader}, token {now.led.token} → {new.token}; {name} queues again"
    return Step(title, outcome, new.token > now.led.token, (new.received - now.since) * 1000)


async def _crash(stage: Stage, title: str) -> Step:
    now = await stage.before_change()
    if now is None:
        return _nobody(title)
    now.old.kill()
    new = await stage.next_leader(now.old)
    await now.old.start()
    if new is None:
        return _nobody(title, "nobody took over")
    outcome = (
        f"{now.old.name} dies; {new.leader} leads with token {new.token} once the lease of {stage.ttl} s has run out"
    )
    return Step(title, outcome, new.token > now.led.token, (new.received - now.since) * 1000)


async def _freeze(stage: Stage, title: str) -> Step:
    """The leader is frozen in the midst of its work, and writes late: etcd refuses its token before anything else."""
    now = await stage.before_change()
    if now is None:
        return _nobody(title)
    old = now.old
    old.freeze()
    new = await stage.next_leader(old)
    taken = new is not None and await stage.watchman.write_fenced(stage.etcd, new, f"report of {new.leader}")
    question = asyncio.create_task(stage.watchman.ask(old), name="ask the frozen one")
    await asyncio.sleep(0.2)  # so that the question has arrived before it thaws
    old.thaw()
    answer = await question
    late = await stage.watchman.write_fenced(stage.etcd, now.led, f"late report of {old.name}")
    if new is None or answer is None:
        return _nobody(title, "nobody took over" if new is None else "the thawed one does not answer")
    outcome = (
        f"{new.leader} leads, and writes with token {new.token}: {_verdict(taken)}. {old.name} thaws, answers "
        f"{200 if answer.leading else 503}, and writes late with token {now.led.token}: {_verdict(late)} by etcd"
    )
    held = new.token > now.led.token and taken and not late and not answer.leading
    return Step(title, outcome, held, (new.received - now.since) * 1000)


def _verdict(taken: bool) -> str:
    return "taken" if taken else "refused"


async def _cut(stage: Stage, title: str) -> Step:
    """The leader's network is cut: it must stop by itself, before the next one may lead."""
    now = await stage.before_change()
    if now is None:
        return _nobody(title)
    old = now.old
    old.relay.sever()
    try:
        stopped = await stage.wait(lambda: not stage.watchman.seen[old.name].leading)
        new = await stage.next_leader(old)
        last = stage.watchman.led[old.name]
    finally:
        old.relay.heal()
    if not stopped:
        return _nobody(title, f"{old.name} cannot reach etcd and goes on saying 200")
    if new is None:
        return _nobody(title, "nobody took over")
    # Of the answers' own times: when this process got to see them says nothing about who was first.
    after = new.received - last.sent
    outcome = (
        f"{old.name} cannot reach etcd and says 503 by itself; {new.leader} leads {after:.1f} s after the last yes"
    )
    return Step(title, outcome, after > 0 and new.token > last.token, (new.received - now.since) * 1000)


async def _sick_app(stage: Stage, title: str) -> Step:
    """The leader's app fails its checks: the sidecar hands over, and says why it does not lead."""
    now = await stage.before_change()
    if now is None:
        return _nobody(title)
    name = now.old.name
    stage.sick.add(name)
    try:
        new = await stage.next_leader(now.old)
        told = await stage.wait(lambda: stage.watchman.seen[name].reason.startswith("the app is unhealthy"))
        reason = stage.watchman.seen[name].reason
    finally:
        stage.sick.discard(name)
    if new is None:
        return _nobody(title, "nobody took over")
    outcome = f"{new.leader} leads; {name} says: {reason}"
    return Step(title, outcome, told and new.token > now.led.token)


async def _resume(stage: Stage, title: str) -> Step:
    now = await stage.before_change()
    if now is None:
        return _nobody(title)
    old, watchman = now.old, stage.watchman
    await stage.wait(lambda: stage.has_just_renewed(old))  # then most of the lease is left
    token, since, left = stage.token(old), time.monotonic(), watchman.led[old.name].left()
    old.kill()
    watchman.seen.pop(old.name, None)
    await old.start()
    again = await stage.wait(lambda: watchman.leader() is not None)
    leader, gap = watchman.leader(), (time.monotonic() - since) * 1000
    if not again or leader is None:
        return _nobody(title)
    same = leader is old and stage.token(leader) == token
    outcome = f"{old.name} is killed and started again: it leads under the same token {token}, without a failover"
    other = f"it took longer than the lease, so {leader.name} took over with token {stage.token(leader)}"
    return Step(title, outcome if same else other, same or gap >= left * 1000, gap)


STEPS: Final[tuple[tuple[str, Act], ...]] = (
    ("Election", _election),
    ("Graceful handover", _handover),
    ("kill -9 of the leader", _crash),
    ("A frozen leader", _freeze),
    ("A cut network", _cut),
    ("A sick app", _sick_app),
    ("A restart within the TTL", _resume),
)
