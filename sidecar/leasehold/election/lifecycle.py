"""How a candidate begins and ends, from whatever phase: joining is started, a lease given back, a loss noted."""

from __future__ import annotations

from typing import Final

from leasehold.base.records import replace
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import knowledge
from leasehold.election.machine import Machine
from leasehold.election.queue_view import QueueView
from leasehold.election.snapshot import State
from leasehold.lock.reason import Code
from leasehold.lock.record import Entry

REJOIN_SECONDS: Final = 0.02
"""So long after a handover the old leader joins again: etcd, and a node that both share, serve the successor first."""


def join_if_wanted(machine: Machine, now: float, delay: float = 0.0) -> None:
    """From IDLE: join after so many seconds if the pod wants that; if it stops, the election has ended."""
    if not machine.intent.wants_candidate:
        knowledge.unwatch(machine)
        if machine.intent.stopping:
            machine.out.append(cmd.Stopped())
        return
    machine.move(State.JOINING)
    first = take_up if machine.resumable else read_spec
    # no timer for no delay: the shell would need a turn of its loop to send what can be sent now
    if delay > 0:
        machine.schedule(delay, now, first)
    else:
        first(machine, now)


def read_spec(machine: Machine, now: float) -> None:
    """The first step of a fresh candidate: the lease is asked for with the spec's TTL."""
    machine.ask(cmd.ReadSpec(machine.next_op()))


def read_queue(machine: Machine, now: float) -> None:
    """The step of every candidate that has a key, or may have one, and does not know the queue."""
    machine.ask(cmd.ReadQueue(machine.next_op()))


def take_up(machine: Machine, now: float) -> None:
    """The first step with the candidate of an earlier process: read its key."""
    if machine.resumable is not None:
        machine.ask(cmd.ReadOwn(machine.next_op(), machine.resumable.lease, None))


def nothing(machine: Machine, event: ev.Event, now: float) -> None:
    """The event is legal, and of no consequence: what a watch says does not matter without a candidate."""


def has_lost_data(machine: Machine, event: ev.Event, now: float) -> bool:
    """Whether this answer shows that etcd lost data; if so the candidate, whose key may be anyone's, is dropped."""
    if not isinstance(event, ev.Answer):
        return False
    asked, header, known = machine.pending.find(event.op), event.origin, machine.etcd.header
    machine.etcd.header = header
    # a keep-alive's revision is that of one member, which may lag; every other answer is linearizable
    fell = asked is not None and header.revision < asked.known_revision and not isinstance(event, ev.KeptAlive)
    other = known is not None and header.cluster != known.cluster
    machine.etcd.revision = header.revision if fell or other else max(machine.etcd.revision, header.revision)
    if not fell and not other:
        return False
    machine.note("rolled-back", "etcd has lost data: tokens may fall, and two may have led, for up to one TTL")
    # revisions are counted from lower numbers now, so every spec and queue would seem older than what is known
    machine.etcd.spec_revision = machine.etcd.first_token = machine.etcd.first_token_revision = 0
    lose(machine, now, "etcd was wiped, or restored from a backup", code=Code.ETCD_LOST_DATA)
    return True


def is_still_ours(machine: Machine, own: Entry | None, now: float) -> bool:
    """Whether etcd shows our key with our process named in it, and if so learn it; if not, the candidate ends here."""
    known = machine.candidate.own
    # the same key with another create revision was deleted meanwhile, and the new one has another token
    if own is None or known is None or own.create_revision != known.create_revision:
        lose(machine, now, "our key is gone")
        return False
    if own.record.foreign or own.record.incarnation != machine.config.record.incarnation:
        _taken_over(machine, own, now)
        return False
    learn_own(machine, own)
    return True


def learn_own(machine: Machine, own: Entry) -> None:
    """Our key as etcd shows it, under the lease that it is to have."""
    candidate = machine.candidate
    lease = candidate.lease_id or 0
    if own.lease != lease and not candidate.detached:
        candidate.detached = True
        machine.note("detached", "somebody has taken our key off our lease, so it would outlive us: deleting it")
    candidate.own = replace(own, lease=lease)


def take_view(machine: Machine, event: ev.QueueRead, now: float) -> bool:
    """Learn the queue as a read shows it. Whether our key stands in it; if it does not, the candidate ends here."""
    candidate, revision = machine.candidate, event.origin.revision
    knowledge.adopt(machine, event.declared, revision, now)
    machine.pending.step = None
    view = QueueView.read(event.queue, revision)
    knowledge.saw_queue(machine, view)
    # a watch has shown more: this read misses what came or went since
    if revision < candidate.watch_revision:
        read_queue(machine, now)
        return False
    candidate.view = view
    return is_still_ours(machine, candidate.view.own(candidate.entry.key), now)


def lose(machine: Machine, now: float, why: str, *, expected: bool = False, code: Code = Code.KEY_LOST) -> None:
    """Our candidate is no more, or not to be trusted: from here on it never holds again.

    `expected` says that nothing went wrong; so does a deletion that we asked for.
    """
    candidate = machine.candidate
    expected = expected or candidate.handover.resigned
    # a leader that handed over would be last in the queue in any case
    delay = REJOIN_SECONDS if expected and candidate.term_since is not None else machine.back_off()
    if candidate.own is not None and not expected:
        machine.note("lost", why)
        machine.fail(code, why)
    machine.resumable = None
    drop_lease(machine)
    leave(machine, now, delay)


def _taken_over(machine: Machine, own: Entry, now: float) -> None:
    """Another process acts for our key: it is its own now, lease and all."""
    error = "another process has taken over our key: two must not share one state directory"
    if own.record.foreign:
        error = f"another program has written over our key: it says {own.record.identity!r} now"
    machine.fail(Code.TAKEN_OVER, error)
    machine.note("usurped", error)
    # the lease is not revoked: that would end the other process's term
    leave(machine, now, machine.back_off())


def drop_lease(machine: Machine) -> None:
    """Give back our lease; whatever key it may hold, now or later, goes with it."""
    lease, machine.candidate.lease_id = machine.candidate.lease_id, None
    if lease is not None:
        machine.out.append(cmd.Revoke(lease))


def leave(machine: Machine, now: float, delay: float) -> None:
    """The candidate has ended, and with it all that was pending."""
    machine.forget_candidate()
    machine.move(State.IDLE)
    join_if_wanted(machine, now, delay)


def keep_alive_failed(machine: Machine, event: ev.Failed, now: float) -> None:
    """A keep-alive, or the read that confirms it, had no good answer."""
    machine.pending.keep_alive = None
    if event.lease_gone:
        lose(machine, now, "our lease has expired")
    else:
        machine.schedule_keep_alive(now + machine.short_delay())
