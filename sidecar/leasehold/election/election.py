"""The election of one sidecar, as a pure state machine. Start reading here.

What it guarantees
------------------
These hold as long as the rate of each host's clock, and of etcd's, is within `max_drift` of true. They hold whatever is
killed, paused, partitioned, delayed, restarted or answered late:

1. Exclusion. At most `capacity` sidecars decide "I lead" at any instant: the largest capacity in force during the last
   TTL. After it was lowered it must not be raised again before a TTL has passed, or an earlier holder may still count.
   A caller counts `validForSeconds` from the moment it *sent* its question.
2. Deadline. A holder trusts its lease only until its deadline, and only confirmed keep-alives move it: `lease.py`.
3. Clock. The deadline is compared with the clock when the question is answered: `Snapshot.is_holding`.
4. Tokens. They are the create revisions of the holders' keys, and grow strictly from candidate to candidate. A
   candidate may lose touch and hold again under its own token.
5. Handover. From its first moment the answer is no. The key goes when the guarded work has stopped or the drain time
   has passed, and the next may hold then, whatever `validForSeconds` said before. A process that ends may say that only
   the work's end counts. Once a delete or a revoke was sent, this candidate never holds again, whatever the answer is.
6. Takeover. A dead holder is replaced within its TTL and a second; if etcd's leader changes meanwhile, within twice
   that and etcd's own election.
7. Deletion. If a candidate's key is deleted by hand, its term ends when a watch or a confirming read shows that, at the
   latest at its deadline. Until then two may lead. (etcd itself can do this: a leader that stood still while another
   was elected may, on waking, revoke leases that were renewed meanwhile.)
8. Unknown outcomes. A transaction without an answer is neither done nor undone: the queue is read again, and the
   candidate is used further only if the read shows its key. If a delete under way may still remove the key, the
   candidate does not hold.
9. Lost data. An etcd that lost data voids 1 and 4 until one TTL has passed. It is noticed if its revision fell or its
   cluster's id changed, and noted as an error. A bumped revision (`etcdutl snapshot restore --bump-revision`) keeps the
   fall from being seen, and raises no create revision: a candidate in the snapshot that has been cut off since may hold
   again under its own token, below those of later holders. Nothing that it knows contradicts that, unless the cluster's
   id changed too; others note it if they had read the queue without it. `leasehold restore-check --delete` removes such
   candidates before clients are let in.

It cannot fence: between a check and a write any process can be paused. Compare the token where the write lands.

How it works
------------
A candidate is one key attached to one fresh lease; it is never used for a second place in the queue. The first
`capacity` keys by create revision are the holders. `handle(event, now)` takes what happened, and the time, and returns
what is to be done; `deadline()` says when it wants to be called with a `Tick` at the latest. It does no I/O, reads no
clock and knows neither asyncio nor etcd.

    IDLE      no candidate, and none wanted: not started, paused, unhealthy or stopped
    JOINING   read the spec, grant a lease, put the key; or take up the candidate of an earlier process
    WAITING   in the queue, lease valid
    HOLDING   among the first `capacity`, lease valid
    UNSURE    in the queue, but the deadline has passed: no claim is made until a keep-alive is confirmed
    YIELDING  no longer leading, the key not yet known to be gone; it never leads back to HOLDING

`TRANSITIONS` lists, for each state, the events that it knows, the function that handles each, and the states that it
may lead to. Any other event raises `IllegalEvent` and changes nothing. At most one step is under way for the state's
own progress and one keep-alive for the lease; an answer to any other question is late, and ignored.
`invariants.py` states what must hold after each event.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import joining, keep_alive, pod, queued, yielding
from leasehold.election.invariants import Checker
from leasehold.election.lifecycle import has_lost_data, nothing
from leasehold.election.machine import MOVES, ElectionConfig, IllegalEvent, Machine
from leasehold.election.snapshot import Snapshot, State
from leasehold.election.why_not import why_not
from leasehold.lock.keys import Keys

__all__ = ["MOVES", "TRANSITIONS", "Election", "ElectionConfig", "IllegalEvent", "Transition"]

IDLE, JOINING, WAITING, HOLDING, UNSURE, YIELDING = State


class Transition(NamedTuple):
    """What an event leads to: who handles it, and every state it may end in besides the one it came in.

    The end of a candidate that is still wanted ends in JOINING: the next one starts at once.
    """

    handler: Callable[[Machine, Any, float], None]
    leads_to: tuple[State, ...] = ()


def _pod(
    withdrawn: tuple[State, ...] = (),
    *,
    returned: tuple[State, ...] = (),
    handed_over: tuple[State, ...] = (),
    due: tuple[State, ...] = (),
) -> dict[type, Transition]:
    """What the pod wants, and time: known in every state.

    The arguments say where they lead: if the pod leaves the queue, or is back; if it hands over; if something is due.
    """
    return {
        ev.Stop: Transition(pod.stop, withdrawn),
        ev.Pause: Transition(pod.pause, withdrawn),
        ev.Health: Transition(pod.health, (*withdrawn, *returned)),
        ev.Resume: Transition(pod.resume, returned),
        ev.HandOver: Transition(pod.hand_over, handed_over),
        ev.WorkStopped: Transition(yielding.work_stopped),
        ev.Tick: Transition(pod.tick, due),
    }


_QUEUED: Final = {
    **_pod(withdrawn=(YIELDING,), handed_over=(YIELDING,), due=(YIELDING,)),
    ev.QueueRead: Transition(queued.queue_read, (WAITING, HOLDING, UNSURE, YIELDING, JOINING)),
    ev.OwnRead: Transition(keep_alive.own_read, (YIELDING, JOINING)),
    ev.Unchanged: Transition(keep_alive.unchanged, (JOINING,)),
    ev.KeptAlive: Transition(keep_alive.kept_alive, (JOINING,)),
    ev.Failed: Transition(queued.failed, (JOINING,)),
    ev.EntryPut: Transition(queued.entry_put, (YIELDING, JOINING)),
    ev.EntryGone: Transition(queued.entry_gone, (HOLDING, YIELDING, JOINING)),
    ev.SpecChanged: Transition(queued.spec_changed, (YIELDING,)),
    ev.WatchLost: Transition(queued.watch_lost),
}
"""The three states in the queue share their rows: what an event leads to from one of them is listed for all three."""

TRANSITIONS: Final[dict[State, dict[type, Transition]]] = {
    IDLE: {
        **_pod(returned=(JOINING,)),
        **dict.fromkeys((ev.EntryPut, ev.EntryGone, ev.SpecChanged, ev.WatchLost), Transition(nothing)),
        ev.Start: Transition(joining.start, (JOINING,)),
    },
    JOINING: {
        **_pod(withdrawn=(IDLE,)),
        ev.SpecRead: Transition(joining.spec_read),
        ev.Granted: Transition(joining.granted),
        ev.Joined: Transition(joining.joined, (WAITING, HOLDING, UNSURE, YIELDING)),
        ev.QueueRead: Transition(joining.queue_read, (WAITING, HOLDING, UNSURE, YIELDING)),
        ev.OwnRead: Transition(joining.resume_read, (UNSURE,)),
        ev.Written: Transition(joining.resume_written),
        ev.Failed: Transition(joining.failed),
        ev.EntryPut: Transition(nothing),
        ev.EntryGone: Transition(joining.entry_gone),
        ev.SpecChanged: Transition(joining.spec_changed),
        ev.WatchLost: Transition(joining.watch_lost),
    },
    WAITING: _QUEUED,
    HOLDING: _QUEUED,
    UNSURE: _QUEUED,
    YIELDING: {
        **_pod(due=(IDLE,)),
        ev.QueueRead: Transition(yielding.queue_read, (IDLE, JOINING)),
        ev.OwnRead: Transition(keep_alive.own_read, (IDLE, JOINING)),
        ev.Unchanged: Transition(keep_alive.unchanged, (IDLE, JOINING)),
        ev.KeptAlive: Transition(keep_alive.kept_alive, (IDLE, JOINING)),
        ev.Written: Transition(yielding.written, (IDLE, JOINING)),
        ev.Failed: Transition(yielding.failed, (IDLE, JOINING)),
        ev.EntryPut: Transition(queued.entry_put, (IDLE, JOINING)),
        ev.EntryGone: Transition(queued.entry_gone, (IDLE, JOINING)),
        ev.SpecChanged: Transition(queued.spec_changed),
        ev.WatchLost: Transition(yielding.watch_lost),
    },
}
"""Where each event leads in each state. A missing entry is the error. Past its deadline a WAITING or HOLDING candidate
is UNSURE before anything else, and an answer that shows that etcd lost data ends the candidate in any state."""


class Election:
    """One sidecar's election for one lock: what the shell around it calls."""

    def __init__(self, config: ElectionConfig, rng: random.Random) -> None:
        """`rng` spreads the retries of many sidecars; with the same one, the same events give the same commands."""
        self._machine = Machine(config, rng)
        self._checker = Checker()

    def handle(self, event: ev.Event, now: float) -> list[cmd.Command]:
        """Take one event at this instant and return what is to be done, in order.

        Raises IllegalEvent, having changed nothing, for an event that the state does not know.
        """
        machine, state = self._machine, self._machine.state_at(now)
        # nothing may change before both checks have passed: an illegal event leaves no trace
        transition = TRANSITIONS[state].get(type(event))
        late = self._is_late(event)
        if transition is None and not late:
            raise IllegalEvent(f"{type(event).__name__} while {state}")
        machine.out = []
        # no event announces the deadline: the first one after it finds the candidate unsure, whatever it says
        if state is not machine.state:
            machine.move(State.UNSURE)
            machine.note("unsure", "the lease deadline has passed without a confirmed keep-alive")
        if transition is None or late:
            self._clean_up_after(event)
        elif not has_lost_data(machine, event, now):
            transition.handler(machine, event, now)
        machine.reason = why_not(machine, now)
        # the image runs with -O: a broken invariant is for tests to find, and no reason to end a leader
        if __debug__:
            self._checker.check(machine, state, transition.leads_to if transition else ())
        return machine.out

    def _is_late(self, event: ev.Event) -> bool:
        """Whether the event answers a question that is no longer under way. Raises IllegalEvent if it never was."""
        if not isinstance(event, (ev.Answer, ev.Failed)):
            return False
        # such an answer belongs to another election, or was made up: a bug of the caller
        if not 0 < event.op <= self._machine.last_op:
            raise IllegalEvent(f"an answer to question {event.op}, which was never asked")
        asked = self._machine.pending.find(event.op)
        if asked is not None and not cmd.answers(event, asked.command):
            raise IllegalEvent(f"{type(event).__name__} is no answer to {type(asked.command).__name__}")
        return asked is None

    def _clean_up_after(self, event: ev.Event) -> None:
        # a late answer is ignored, but a lease that it brings would keep its id, unused, for a whole TTL
        if isinstance(event, ev.Granted) and event.lease != self._machine.candidate.lease_id:
            self._machine.out.append(cmd.Revoke(event.lease))

    def deadline(self) -> float | None:
        """The next instant at which something is to be done without any event but a Tick; None for never."""
        return self._machine.next_due()

    @property
    def keys(self) -> Keys:
        """The lock's keys in etcd."""
        return self._machine.keys

    @property
    def ttl(self) -> int:
        """The lease's TTL in seconds: what the candidate has, or what the next one will ask for."""
        return self._machine.candidate.lease.ttl or self._machine.ttl_to_ask()

    @property
    def lease_id(self) -> int | None:
        """The lease of the present candidate."""
        return self._machine.candidate.lease_id

    @property
    def snapshot(self) -> Snapshot:
        """What everybody else may know."""
        machine, candidate = self._machine, self._machine.candidate
        own = candidate.own
        return Snapshot(
            lock=machine.config.lock,
            identity=machine.config.record.identity,
            state=machine.state,
            token=own.create_revision if own else None,
            key=own.key if own else None,
            term_since=candidate.term_since,
            deadline=candidate.lease.deadline,
            leader=self._leader(),
            position=len(candidate.view.ahead(own.create_revision)) if own else None,
            cause=candidate.handover.cause,
            last_error=machine.error,
            reason=machine.reason,
        )

    def _leader(self) -> str | None:
        """The identity of the first holder, as last seen."""
        candidate, entries = self._machine.candidate, self._machine.candidate.view.entries
        # nobody holds a suspended lock, and the first in its queue only waits
        if self._machine.etcd.spec.suspend or not entries:
            return None
        first = entries[0]
        # first in the queue is not enough for ourselves: we may be unsure, or about to yield
        mine = candidate.own is not None and first.key == candidate.own.key
        return first.record.identity if not mine or self._machine.state is State.HOLDING else None
