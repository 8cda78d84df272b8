"""What this pod wants, and the passing of time."""

from __future__ import annotations

import math

from leasehold.base.records import replace
from leasehold.election import events as ev
from leasehold.election import joining, keep_alive, lifecycle, queued, yielding
from leasehold.election.machine import Machine
from leasehold.election.snapshot import Cause, State


def tick(machine: Machine, event: ev.Tick, now: float) -> None:
    """Do everything that is due, in this order: an end first, so that nothing is started for what ends."""
    pending, handover = machine.pending, machine.candidate.handover
    if handover.stop_by is not None and handover.stop_by <= now:
        yielding.stop_timed_out(machine, now)
        return
    if handover.drain_until is not None and handover.drain_until <= now:
        yielding.work_stopped(machine, event, now)
    if machine.etcd.no_skipping_until is not None and machine.etcd.no_skipping_until <= now:
        queued.skipping_allowed_again(machine, now)
    # what is due may itself schedule the next retry, so it is cleared first
    if pending.retry is not None and pending.retry.at <= now:
        action, pending.retry = pending.retry.action, None
        action(machine, now)
    if pending.keep_alive is None and pending.keep_alive_at <= now:
        keep_alive.send(machine, now)


def stop(machine: Machine, event: ev.Stop, now: float) -> None:
    """The process is to end."""
    machine.intent = replace(machine.intent, stopping=True)
    _withdraw(machine, Cause.SHUTDOWN, now, math.inf if event.awaits_work else machine.config.drain)


def pause(machine: Machine, event: ev.Pause, now: float) -> None:
    """Leave the queue until Resume."""
    machine.intent = replace(machine.intent, paused=True)
    _withdraw(machine, Cause.PAUSE, now, machine.config.drain)


def resume(machine: Machine, event: ev.Resume, now: float) -> None:
    """Join again."""
    machine.intent = replace(machine.intent, paused=False)
    _come_back(machine, now)


def health(machine: Machine, event: ev.Health, now: float) -> None:
    """An unhealthy app neither joins nor stays."""
    known, healthy = machine.intent, event.healthy
    machine.intent = replace(
        known,
        healthy=healthy,
        was_healthy=known.was_healthy or healthy,
        problem=event.problem,
        unhealthy_until=event.until,
    )
    if healthy:
        _come_back(machine, now)
    else:
        _withdraw(machine, Cause.UNHEALTHY, now, machine.config.drain)


def hand_over(machine: Machine, event: ev.HandOver, now: float) -> None:
    """Give up the lock, then stand in the queue again."""
    # only what is held can be handed over
    if machine.has_led():
        yielding.begin(machine, Cause.REQUEST, now, machine.config.drain)


def _come_back(machine: Machine, now: float) -> None:
    # a candidate that still yields joins again at its end
    if machine.state is State.IDLE and machine.intent.wants_candidate:
        lifecycle.join_if_wanted(machine, now)


def _withdraw(machine: Machine, cause: Cause, now: float, drain: float) -> None:
    """Leave the queue, from wherever we stand. `drain` is how long the guarded work may take to stop, in seconds."""
    # while the app's health is unknown, what an earlier process left is kept: IDLE gives it up only to stop
    if machine.state is State.JOINING or (machine.state is State.IDLE and machine.intent.stopping):
        joining.withdraw(machine, now, drain)
    elif machine.state is State.YIELDING:
        yielding.limit_stop(machine, now)
    elif machine.state is not State.IDLE:
        yielding.begin(machine, cause, now, drain)
