"""The election of one sidecar, as a pure state machine. Start reading here.

What it guarantees
------------------
As long as the rate of each host's clock, and of etcd's, is within `max_drift` of true, and whatever is killed, paused,
partitioned, delayed, restarted or answered late:

1. At most `capacity` sidecars decide "I lead" at any instant (the largest capacity in force during the last TTL; one
   that was lowered must not be raised again before a TTL has passed, or a holder of before may still count).
   Whoever is told so counts `validForSeconds` from the moment it *sent* its question.
2. A holder believes in its lease only until its deadline, which moves only by confirmed keep-alives: `lease.py`.
3. The deadline is compared with the clock when the question is answered: `Snapshot.is_holding`.
4. Tokens, the create revisions of the holders' keys, grow strictly from candidate to candidate. A candidate may lose
   touch and take its own term up again under its own token.
5. From the first moment of a handover the answer is no; the key goes when the guarded work has stopped or the drain
   time has passed, and the next may hold then, whatever `validForSeconds` said before. Once a delete or a revoke was
   sent, this candidate never holds again, whatever the answer is.
6. A dead holder is replaced within its TTL and a second, or twice that and etcd's own election when etcd's leader
   changes meanwhile.
7. A candidate's key deleted by hand ends its term when a watch or a confirming read says so, at the latest at its
   deadline. Until then two may believe that they hold. (etcd can do that by itself: a leader of
   its own that stood still while another was elected may revoke leases on waking that were renewed meanwhile.)
8. A transaction without an answer is neither done nor undone: the queue is read again, and the candidate is used
   further only if the read shows its key. A key that a delete under way may still remove is never held under.
9. An etcd that lost data voids 1 and 4 until one TTL has passed. It is noticed where its revision fell, or its
   cluster's id changed, and said loudly.

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
    UNSURE    in the queue, but the deadline has passed: not to be believed until a keep-alive is confirmed
    YIELDING  no longer leading, the key not yet known to be gone; it never leads back to HOLDING

`MOVES` lists every change of state there is, `TRANSITIONS` every event that each state knows; any other raises
`IllegalEvent` and changes nothing. At most one question is under way for the state's own progress (`_step`) and one
for the lease (`_beat`); an answer to any other is late, and not believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.joining import Joining
from leasehold.election.machine import MOVES, ElectionConfig, IllegalEvent
from leasehold.election.snapshot import Cause, Snapshot, State
from leasehold.election.yielding import STOP_PATIENCE

__all__ = ["MOVES", "TRANSITIONS", "Election", "ElectionConfig", "IllegalEvent"]


class Election(Joining):
    """One sidecar's election for one lock: what the shell around it calls."""

    def handle(self, event: ev.Event, now: float) -> list[cmd.Command]:
        """Take one event at this instant and return what is to be done, in order.

        Raises IllegalEvent, having changed nothing, for an event that the state does not know.
        """
        act = TRANSITIONS[self._state_at(now)].get(type(event))
        late = self._is_late(event)
        if act is None and not late:
            raise IllegalEvent(f"{type(event).__name__} while {self._state_at(now)}")
        self._out = []
        if self._state_at(now) is not self._state:
            self._move(State.UNSURE)
            self._note("unsure", "the lease deadline has passed without a confirmed keep-alive")
        if late:
            self._too_late(event)
        elif act is not None and not self._has_rolled_back(event, now):
            act(self, event, now)
        return self._out

    def deadline(self) -> float | None:
        """The next instant at which something is to be done without any event but a Tick; None for never."""
        wanted = [self._drain_until, self._stop_by]
        if self._nobody_passed_until > -math.inf:
            wanted.append(self._nobody_passed_until)
        if self._state in (State.WAITING, State.HOLDING) and self._lease.deadline is not None:
            wanted.append(self._lease.deadline)
        if self._beat is None:
            wanted.append(self._beat_at)
        if self._retry is not None:
            wanted.append(self._retry[0])
        soonest = min(wanted)
        return None if soonest == math.inf else soonest

    @property
    def ttl(self) -> int:
        """The lease's TTL in seconds: what the candidate has, or what the next one will ask for."""
        return self._lease.ttl or self._ttl()

    @property
    def lease_id(self) -> int | None:
        """The lease of the present candidate."""
        return self._lease_id

    @property
    def snapshot(self) -> Snapshot:
        """What everybody else may know."""
        own = self._own
        return Snapshot(
            lock=self.settings.lock,
            identity=self.settings.record.identity,
            state=self._state,
            token=own.create_revision if own else None,
            key=own.key if own else None,
            term_since=self._term_since,
            deadline=self._lease.deadline,
            leader=self._leader(),
            position=len(self._view.ahead(own.create_revision)) if own else None,
            cause=self._cause,
            last_error=self._error,
        )

    def _leader(self) -> str | None:
        """The identity of the first holder, as last seen."""
        if self._spec.suspend or not self._view.entries:
            return None
        first = self._view.entries[0]
        mine = self._own is not None and first.key == self._own.key
        return first.record.identity if not mine or self._state is State.HOLDING else None

    # --- answers that come too late ------------------------------------------------------------------------------

    def _is_late(self, event: ev.Event) -> bool:
        """Whether the event answers a question that is no longer under way. Raises IllegalEvent if it never was."""
        if not isinstance(event, (ev.Answer, ev.Failed)):
            return False
        if not 0 < event.op <= self._ops:
            raise IllegalEvent(f"an answer to question {event.op}, which was never asked")
        asked = self._asked(event.op)
        if asked is not None and not isinstance(event, (asked.answer, ev.Failed)):
            raise IllegalEvent(f"{type(event).__name__} is no answer to {type(asked.command).__name__}")
        return asked is None

    def _too_late(self, event: ev.Event) -> None:
        """A late answer is not believed; but a lease that it brings is not left lying about."""
        if isinstance(event, ev.Granted) and event.lease != self._lease_id:
            self._out.append(cmd.Revoke(event.lease))

    # --- time, and what this pod wants ---------------------------------------------------------------------------

    def _tick(self, event: ev.Tick, now: float) -> None:
        if self._stop_by <= now:
            self._patience_ends(now)
            return
        if self._drain_until <= now:
            self._drained(event, now)
        if -math.inf < self._nobody_passed_until <= now:
            self._calm_ends(now)
        if self._retry is not None and self._retry[0] <= now:
            act, self._retry = self._retry[1], None
            act(now)
        if self._beat is None and self._beat_at <= now:
            self._send_beat(now)

    def _stop(self, event: ev.Stop, now: float) -> None:
        self._stopping = True
        self._withdraw(Cause.SHUTDOWN, now)

    def _pause(self, event: ev.Pause, now: float) -> None:
        self._paused = True
        self._withdraw(Cause.PAUSE, now)

    def _resume(self, event: ev.Resume, now: float) -> None:
        self._paused = False
        self._come_back(now)

    def _health(self, event: ev.Health, now: float) -> None:
        self._healthy = event.healthy
        if event.healthy:
            self._come_back(now)
        else:
            self._withdraw(Cause.UNHEALTHY, now)

    def _come_back(self, now: float) -> None:
        if self._state is State.IDLE and self._wanted():
            self._next(now, 0.0)

    def _withdraw(self, cause: Cause, now: float) -> None:
        """Leave the queue, from wherever we stand. What an earlier process left is kept until health is known."""
        if self._state is State.JOINING or (self._state is State.IDLE and self._stopping):
            self._stop_joining(now)
        elif self._state is State.YIELDING:
            if self._stopping and not self._draining and self._stop_by == math.inf:
                self._stop_by = now + STOP_PATIENCE
        elif self._state is not State.IDLE:
            self._yield(cause, now)

    def _hand_over(self, event: ev.HandOver, now: float) -> None:
        """Only what is held can be handed over."""
        if self._has_led():
            self._yield(Cause.REQUEST, now)


_Act = Callable[[Election, Any, float], None]
_PODS: Final[dict[type, _Act]] = {
    ev.Stop: Election._stop,
    ev.HandOver: Election._hand_over,
    ev.Pause: Election._pause,
    ev.Resume: Election._resume,
    ev.WorkStopped: Election._drained,
    ev.Health: Election._health,
    ev.Tick: Election._tick,
}
_IGNORED: Final[dict[type, _Act]] = {
    ev.EntryPut: Election._nothing,
    ev.EntryGone: Election._nothing,
    ev.SpecChanged: Election._nothing,
    ev.WatchLost: Election._nothing,
}
_QUEUED: Final[dict[type, _Act]] = {
    **_PODS,
    ev.QueueRead: Election._queue_read,
    ev.KeptAlive: Election._kept_alive,
    ev.OwnRead: Election._own_read,
    ev.EntryPut: Election._entry_put,
    ev.EntryGone: Election._entry_gone,
    ev.SpecChanged: Election._spec_changed,
    ev.WatchLost: Election._watch_lost,
    ev.Failed: Election._step_failed,
}

TRANSITIONS: Final[dict[State, dict[type, _Act]]] = {
    State.IDLE: {**_PODS, **_IGNORED, ev.Start: Election._start},
    State.JOINING: {
        **_PODS,
        **_IGNORED,
        ev.SpecRead: Election._spec_read,
        ev.Granted: Election._granted,
        ev.Joined: Election._joined,
        ev.QueueRead: Election._join_reread,
        ev.OwnRead: Election._resume_read,
        ev.Written: Election._resume_written,
        ev.Failed: Election._joining_failed,
        ev.EntryGone: Election._joining_entry_gone,
        ev.SpecChanged: Election._joining_spec_changed,
        ev.WatchLost: Election._joining_watch_lost,
    },
    State.WAITING: _QUEUED,
    State.HOLDING: _QUEUED,
    State.UNSURE: _QUEUED,
    State.YIELDING: {
        **_QUEUED,
        ev.QueueRead: Election._yield_read,
        ev.Written: Election._yield_written,
        ev.Failed: Election._yield_failed,
        ev.WatchLost: Election._yield_watch_lost,
    },
}
"""Every event that each state knows, and what it leads to. A missing entry is the error."""
