"""Giving up the lock on purpose: at once in what is answered, in etcd when the guarded work has stopped.

Plain case: delete our key, then revoke the lease. Where candidates of lower rank stand between us and the one that
should hold next, our record first says `yieldTo`; then one transaction, which compares that all of them and the target
still stand, deletes our key and theirs. So none of them holds in between, and tokens never fall: those passed by join
again at the end. The waiter directly behind us, having seen our record change, reads the queue before it believes that
it is its turn.

An outcome that is not known is never taken for either: the queue is read again, and the deletion asked for again if
our key still stands. YIELDING leads to IDLE and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import ranking
from leasehold.election.machine import Machine
from leasehold.election.queue_view import QueueView
from leasehold.election.snapshot import Cause, State

STOP_PATIENCE: Final = 10.0
"""Seconds for which a stopping sidecar tries to give its key up; after that the lease is left to expire."""


WRITE_PATIENCE: Final = 3
"""So often the record is tried to be rewritten; an etcd that is full takes no writes, but it does take deletions."""


class Yielding(Machine):
    """The phase from the decision to give up to the key's end."""

    def _yield(self, cause: Cause, now: float) -> None:
        """From this moment the answer is no. The key goes once the guarded work has stopped."""
        self._led = held = self._has_led()
        self._move(State.YIELDING)
        self._cause = cause
        self._step = self._retry = None
        if held:
            self._note("yielding", cause)
        if held and self.settings.drain > 0:
            self._draining = True
            self._drain_until = now + self.settings.drain
            self._announce(now)
        else:
            self._give_up(now)

    def _has_led(self) -> bool:
        """Whether guarded work may be under way: we lead, or led, or take up the term of a process that may have."""
        led = self._term_since is not None or self._may_have_led
        return led and self._state in (State.HOLDING, State.UNSURE)

    def _drained(self, event: ev.WorkStopped | ev.Tick, now: float) -> None:
        """The guarded work has stopped, or had its time."""
        if self._draining:
            self._draining = False
            self._drain_until = math.inf
            self._give_up(now)

    def _may_pass(self, now: float) -> bool:
        """Whether we know well enough who may hold to pass others by, and can say so in our record."""
        known = not self._declared.broken and now >= self._nobody_passed_until
        return known and self._unwritten < WRITE_PATIENCE

    def _plan(self, now: float) -> ranking.HandoverPlan:
        if self._own is None or not self._view.whole or not self._may_pass(now):
            return ranking.HandoverPlan()
        return ranking.plan(self._view.entries, self._spec, self._own.create_revision)

    def _announce(self, now: float) -> bool:
        """Say in our record whom we hand over to, if that means passing others by. Whether that is under way now."""
        own, plan = self._own, self._plan(now)
        if own is None or not plan.passed or plan.target is None:
            return False
        record = replace(self.settings.record, yield_to=plan.target.record.identity)
        if own.record.yield_to == record.yield_to:
            return False
        self._ask(cmd.Write(self._op(), own.lease, record, own.create_revision, own.mod_revision))
        return True

    def _give_up(self, now: float) -> None:
        """Delete our key, and those that must not hold before the one preferred; read first what is not known."""
        if self._stopping and self._stop_by == math.inf:
            self._stop_by = now + STOP_PATIENCE
        self._beat_next(self._beat_at)
        if self._step is not None or self._own is None:
            return
        if self._unknown or (self._led and not self._view.whole):
            self._ask(cmd.ReadQueue(self._op()))
        elif not self._announce(now):
            self._delete(now)

    def _delete(self, now: float) -> None:
        own, plan = self._own, self._plan(now)
        assert own is not None, "only a candidate yields"
        self._given_up = self._given_up or not plan.in_parts
        spec = self._declared.revision if plan.passed else None
        parts = (plan.passed, plan.guards, spec, plan.in_parts)
        self._ask(cmd.Resign(self._op(), own.lease, own.create_revision, *parts))

    def _yield_written(self, event: ev.Written, now: float) -> None:
        command = self._step.command if self._step else None
        self._step = None
        if isinstance(command, cmd.Resign) and event.done and not command.keep_own:
            self._lose(now, "given up")
            return
        if isinstance(command, cmd.Write) and event.done and self._own is not None:
            self._own = replace(self._own, record=command.record, mod_revision=event.origin.revision)
        else:
            self._unknown = True
        self._go_on(now)

    def _yield_read(self, event: ev.QueueRead, now: float) -> None:
        self._adopt(event.declared, event.origin.revision, now)
        if event.origin.revision < self._heard:
            self._ask(cmd.ReadQueue(self._op()))
            return
        self._step, self._unknown = None, False
        self._view = QueueView.read(event.queue, event.origin.revision)
        own = self._view.own(self._own.key) if self._own else None
        if self._is_still_ours(own, now):
            self._own = own
            if self._draining:
                self._watch(event.origin.revision)
            self._go_on(now)

    def _yield_failed(self, event: ev.Failed, now: float) -> None:
        self._error = event.reason
        if self._is_beat(event.op):
            self._beat_failed(event, now)
        elif event.lease_gone:
            self._lose(now, "our lease has expired")
        elif event.unmarked:
            self._note("left-to-expire", "the resume file cannot be marked: the lease is not renewed any more")
            self._leave(now, self._back_off())
        else:
            self._unknown = True
            self._unwritten += self._step is not None and isinstance(self._step.command, cmd.Write)
            self._later(self._soon(), now, self._go_on)

    def _go_on(self, now: float) -> None:
        """Nothing is under way: give up, unless the guarded work still runs; then only what is unknown is read."""
        if not self._draining:
            self._give_up(now)
        elif self._unknown and self._step is None:
            self._ask(cmd.ReadQueue(self._op()))

    def _yield_watch_lost(self, event: ev.WatchLost, now: float) -> None:
        """The queue is read again before it matters."""
        self._watching = None
        self._view = replace(self._view, whole=False)

    def _patience_ends(self, now: float) -> None:
        """etcd has not answered a stopping sidecar in time."""
        self._note("left-to-expire", "etcd did not answer in time: the lease is left to expire")
        self._drop_lease()
        self._leave(now, 0.0)

    def _beat_failed(self, event: ev.Failed, now: float) -> None:
        """A keep-alive, or the read that confirms it, had no good answer."""
        self._beat = None
        self._error = event.reason
        if event.lease_gone:
            self._lose(now, "our lease has expired")
        else:
            self._beat_next(now + self._soon())
