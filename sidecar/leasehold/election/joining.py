"""Into the queue: with a fresh lease and key, or by taking up the candidate that an earlier process left behind.

Fresh: read the spec, grant a lease with its TTL, then put the key in one transaction that compares the spec's revision
and reads the queue. A transaction without an answer leads to a read: a key that stands is used, and one that does not
proves nothing about a put still under way, so its lease is revoked, which the put cannot survive.

Resuming: read the key; if it stands, put our own incarnation into its record, comparing what was read; read again.
Then we are UNSURE of the lease, and hold only after a confirmed keep-alive.
"""

from __future__ import annotations

from typing import Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.queue_view import QueueView
from leasehold.election.queued import Queued
from leasehold.election.snapshot import State
from leasehold.lock.record import Entry

UNDECLARED_PAUSE: Final = 15.0
"""Seconds, at most, between looks for a lock that must be declared: its watch may have fallen silent."""


class Joining(Queued):
    """The phases IDLE and JOINING."""

    def _wanted(self) -> bool:
        return self._started and self._healthy and not self._paused and not self._stopping

    def _start(self, event: ev.Start, now: float) -> None:
        self._started = True
        self._resumable = event.resume
        self._next(now, 0.0)

    def _next(self, now: float, delay: float) -> None:
        if self._stopping:
            self._unwatch()
            self._out.append(cmd.Stopped())
        elif not self._wanted():
            self._unwatch()
        else:
            self._move(State.JOINING)
            self._begin(now, delay)

    def _begin(self, now: float, delay: float) -> None:
        first = self._take_up if self._resumable else self._read_spec
        if delay > 0:
            self._later(delay, now, first)
        else:
            first(now)

    # --- a fresh candidate --------------------------------------------------------------------------------------

    def _read_spec(self, now: float) -> None:
        self._ask(cmd.ReadSpec(self._op()))

    def _spec_read(self, event: ev.SpecRead, now: float) -> None:
        self._adopt(event.declared, event.origin.revision, now)
        self._step = None
        if self._is_undeclared():
            self._error = f"the lock {self.settings.lock} is not declared: create the Lock, or drop --require-lock"
            self._watching = cmd.Watch(event.origin.revision + 1)
            self._out.append(self._watching)
            self._later(UNDECLARED_PAUSE * self._rng.uniform(0.5, 1.0), now, self._read_spec)
        else:
            self._ask(cmd.Grant(self._op(), self._ttl()))

    def _joining_spec_changed(self, event: ev.SpecChanged, now: float) -> None:
        if self._step is None and self._is_undeclared():
            self._read_spec(now)

    def _joining_entry_gone(self, event: ev.EntryGone, now: float) -> None:
        """A watch of our candidate before may tell that this one's key is gone before its put is answered."""
        if self._lease_id is not None and event.key == self.keys.entry(self._lease_id):
            self._lose(now, "our key was deleted")

    def _joining_watch_lost(self, event: ev.WatchLost, now: float) -> None:
        self._watching = None
        if self._step is None and self._is_undeclared():
            self._later(self._back_off(), now, self._read_spec)

    def _granted(self, event: ev.Granted, now: float) -> None:
        asked = self._step.command.ttl if self._step else event.ttl
        self._lease_id = event.lease
        self._lease.granted(event.sent, event.ttl, asked)
        self._ask(cmd.Join(self._op(), event.lease, self.settings.record, self._declared.revision))

    def _joined(self, event: ev.Joined, now: float) -> None:
        if event.created:
            self._enter(QueueView.read(event.queue, event.origin.revision), now)
        else:
            self._start_over(now)

    def _join_reread(self, event: ev.QueueRead, now: float) -> None:
        """The joining transaction had no answer: what does the queue say?"""
        self._adopt(event.declared, event.origin.revision, now)
        view = QueueView.read(event.queue, event.origin.revision)
        if view.own(self.keys.entry(self._lease_id or 0)) is not None:
            self._enter(view, now)
        else:
            self._start_over(now)

    def _enter(self, view: QueueView, now: float) -> None:
        """Our key stands in the queue."""
        self._view = view
        self._own = view.own(self.keys.entry(self._lease_id or 0))
        self._step = self._watching = self._error = None
        self._beat_at = self._lease.next_due
        if self._is_still_ours(self._own, now):
            self._settle(now)

    def _start_over(self, now: float) -> None:
        """Join again, with a fresh lease; what became of the old one's key no longer matters."""
        self._drop_lease()
        self._later(self._back_off(), now, self._read_spec)

    def _joining_failed(self, event: ev.Failed, now: float) -> None:
        self._error = event.reason
        command = self._step.command if self._step else None
        if isinstance(command, (cmd.ReadOwn, cmd.Write)):
            self._later(self._back_off(), now, self._take_up)
        elif isinstance(command, (cmd.Join, cmd.ReadQueue)) and not event.refused:
            self._later(self._back_off(), now, self._read_queue)
        else:
            self._start_over(now)

    def _stop_joining(self, now: float) -> None:
        """Not wanted any more: a put under way dies with its lease, and so does a key that was to be taken up."""
        resumable, self._resumable = self._resumable, None
        if resumable is not None and self.settings.drain > 0:
            self._note("left-to-expire", "the earlier process's work may still run: its lease is left to expire")
        else:
            self._lease_id = resumable.lease if resumable else self._lease_id
            self._drop_lease()
        self._leave(now, 0.0)

    # --- the candidate of an earlier process --------------------------------------------------------------------

    def _take_up(self, now: float) -> None:
        if self._resumable is not None:
            self._ask(cmd.ReadOwn(self._op(), self._resumable.lease, None))

    def _resume_read(self, event: ev.OwnRead, now: float) -> None:
        """Is the key still there? Then say in its record that it is this process that acts for it now."""
        self._adopt(event.declared, event.origin.revision, now)
        own, resumable = event.own, self._resumable
        other = resumable is not None and resumable.cluster not in (0, event.origin.cluster)
        if own is None or resumable is None or other or own.create_revision != resumable.token or own.record.foreign:
            self._resumable = None
            self._note("not-resumed", "the earlier process's key is gone: joining anew")
            self._read_spec(now)
        elif own.record.incarnation == self.settings.record.incarnation:
            self._resumed(own, event.origin.revision, now)
        else:
            token, modified = own.create_revision, own.mod_revision
            self._ask(cmd.Write(self._op(), resumable.lease, self.settings.record, token, modified))

    def _resume_written(self, event: ev.Written, now: float) -> None:
        """Read again in either case: what the key says now, or what was in the way."""
        if event.done:
            self._take_up(now)
        else:
            self._later(self._back_off(), now, self._take_up)

    def _resumed(self, own: Entry, revision: int, now: float) -> None:
        """The key is ours again; whether we may hold under it is for a confirmed keep-alive to say."""
        self._resumable = self._step = self._watching = None
        self._own, self._lease_id = own, own.lease
        self._view = QueueView((own,), revision)
        self._lease.taken_up(self._ttl())
        self._may_have_led = True
        self._move(State.UNSURE)
        self._note("resumed", "taking up the earlier process's term")
        self._send_beat(now)
