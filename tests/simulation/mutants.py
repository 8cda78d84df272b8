"""Planted bugs: the real election with one thing taken out of it, as small as can be.

Each must be caught by the simulation; what catches it, and after how many seeds, `test_mutants.py` says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar
from unittest import mock

from leasehold.election import commands as cmd
from leasehold.election import election
from leasehold.election import events as ev
from leasehold.election.election import Election
from leasehold.election.lease import LeaseClock
from leasehold.election.queue_view import QueueView
from leasehold.election.ranking import HandoverPlan
from leasehold.election.snapshot import Cause, State
from leasehold.lock.spec import Spec


class Mutant(Election):
    """An election whose table leads to its own methods: `TRANSITIONS` names those of `Election` itself."""

    faults: ClassVar[tuple[str, ...]] = ()
    """Where only some faults in one order bring the bug out: those alone, so as not to wait for them."""
    _table: ClassVar[dict[State, dict[type, Any]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        acts = election.TRANSITIONS.items()
        cls._table = {state: {event: getattr(cls, act.__name__) for event, act in row.items()} for state, row in acts}

    def handle(self, event: ev.Event, now: float) -> list[cmd.Command]:
        with mock.patch.object(election, "TRANSITIONS", self._table):
            return super().handle(event, now)


class DeadlineFromTheReply(Mutant):
    """Counts the TTL from when the answer came, as etcd's Go `Session` does, not from before the question left."""

    def handle(self, event: ev.Event, now: float) -> list[cmd.Command]:
        if isinstance(event, (ev.Granted, ev.KeptAlive)):
            event = replace(event, sent=now)
        return super().handle(event, now)


class DriftFactorDropped(Mutant):
    """Believes all clocks to run alike."""

    def _forget(self) -> None:
        super()._forget()
        self._lease.factor = 1.0


class OwnKeyNotWatched(Mutant):
    """Hears nothing of its own key."""

    def handle(self, event: ev.Event, now: float) -> list[cmd.Command]:
        key = event.key if isinstance(event, ev.EntryGone) else None
        key = event.entry.key if isinstance(event, ev.EntryPut) else key
        if self._own is not None and key == self._own.key:
            return []
        return super().handle(event, now)


class NoConfirmationAfterUnsure(Mutant):
    """Once unsure, takes the next keep-alive's answer for proof that the lease lives."""

    def _kept_alive(self, event: ev.KeptAlive, now: float) -> None:
        super()._kept_alive(event, now)
        if self._state is State.UNSURE and event.ttl > 0:
            self._lease.deadline = event.sent + self._lease.ttl * self._lease.factor
            self._place(now)


class _Trusting(LeaseClock):
    def answered(self, origin: ev.ResponseHeader, sent: float, ttl: int) -> None:
        super().answered(origin, sent, ttl)
        self.deadline = sent + self.ttl * self.factor


class UnconfirmedKeepAliveCounted(Mutant):
    """Moves the deadline by a keep-alive's answer alone."""

    def _forget(self) -> None:
        super()._forget()
        self._lease = _Trusting(self.settings.max_drift)


class HoldsWhileOutcomeUnknown(Mutant):
    """A deletion had no answer, and the key is still there: so it was not done, and we lead on."""

    def _yield_read(self, event: ev.QueueRead, now: float) -> None:
        own = next((entry for entry in event.queue if self._own and entry.key == self._own.key), None)
        if own is not None and self._given_up and not self._stopping and self._lease.is_valid(now):
            self._state = State.WAITING
            self._step, self._unknown, self._given_up, self._cause = None, False, False, None
            self._queue_read(event, now)
        else:
            super()._yield_read(event, now)


class YieldingBackToHolding(Mutant):
    """Whom it yields to has gone while it waits for the guarded work: so it leads on."""

    def _entry_gone(self, event: ev.EntryGone, now: float) -> None:
        super()._entry_gone(event, now)
        if self._state is State.YIELDING and self._draining and self._cause is Cause.PREFERRED and self._own:
            self._state, self._draining, self._drain_until, self._cause = State.HOLDING, False, float("inf"), None


class _Hasty(QueueView):
    def clears_the_way(self, key: str, token: int) -> bool:
        ahead = self.ahead(token)
        return len(ahead) == 1 and ahead[0].key == key


class _Shortsighted(QueueView):
    def clears_the_way(self, key: str, token: int) -> bool:
        ahead = self.ahead(token)
        return bool(ahead) and ahead[-1].key == key and not ahead[-1].changed


class _Sees(Mutant):
    """Sees the queue through another kind of view."""

    kind: type[QueueView] = QueueView

    def _entry_gone(self, event: ev.EntryGone, now: float) -> None:
        view = self._view
        self._view = self.kind(view.entries, view.revision, view.whole)
        super()._entry_gone(event, now)


class ChangedKeyTakenOverUnread(_Sees):
    """Takes over from a predecessor that had rewritten its record, and may have deleted ours with its own."""

    kind = _Hasty


class PredecessorTakenForTheOnlyOne(_Sees):
    """Takes over when the key directly ahead goes, whoever else stands ahead."""

    kind = _Shortsighted

    def _moved_up(self, clear: bool, now: float) -> None:
        if clear and self._own is not None:
            self._view = replace(self._view, entries=(self._own,))
        super()._moved_up(clear, now)


class LeaseReused(Mutant):
    """Stands in the queue again under the lease of the candidate that it gave up."""

    _kept: tuple[int, LeaseClock] | None = None

    def _drop_lease(self) -> None:
        if self._lease_id is not None and self._lease.deadline is not None and not self._stopping:
            self._kept = (self._lease_id, self._lease)
            self._lease_id = None
        super()._drop_lease()

    def _spec_read(self, event: ev.SpecRead, now: float) -> None:
        kept, self._kept = self._kept, None
        if kept is None or not kept[1].is_valid(now):
            super()._spec_read(event, now)
            return
        self._adopt(event.declared, event.origin.revision, now)
        self._lease_id, self._lease = kept
        self._ask(cmd.Join(self._op(), kept[0], self.settings.record, self._declared.revision))


# --- beyond the list -------------------------------------------------------------------------------------------------


class _AnyTerm(LeaseClock):
    def confirm(self, origin: ev.ResponseHeader) -> bool:
        if self._before is not None:
            self._before = replace(self._before, term=origin.term)
        return super().confirm(origin)


class _AnyMember(LeaseClock):
    def answered(self, origin: ev.ResponseHeader, sent: float, ttl: int) -> None:
        super().answered(origin, sent, ttl)
        self._sent = sent

    def confirm(self, origin: ev.ResponseHeader) -> bool:
        if self._before is not None:
            self._before = replace(self._before, member=origin.member)
        return super().confirm(origin)


class TermNotCompared(Mutant):
    """Confirms a keep-alive by a read in another raft term."""

    def _forget(self) -> None:
        super()._forget()
        self._lease = _AnyTerm(self.settings.max_drift)


class MemberNotCompared(Mutant):
    """Confirms a keep-alive by a read through another member."""

    faults = ("relapse",)

    def _forget(self) -> None:
        super()._forget()
        self._lease = _AnyMember(self.settings.max_drift)


class SpecReadOnce(Mutant):
    """Keeps to the spec under which it joined."""

    def _adopt(self, declared: ev.Declared, revision: int, now: float) -> bool:
        return super()._adopt(declared, revision, now) if self._state is State.JOINING else False


class GuardsDropped(Mutant):
    """Passes others by without comparing that the target still stands."""

    faults = ("roughen", "sicken", "hand_over", "pause")

    def _ask(self, command: Any) -> None:
        super()._ask(replace(command, guards=()) if isinstance(command, cmd.Resign) else command)


class YieldsWithoutSayingSo(Mutant):
    """Passes others by without writing `yieldTo` first."""

    def _announce(self, now: float) -> bool:
        return False


class UsurperIgnored(Mutant):
    """Does not look at whose process its own record names."""

    def _is_still_ours(self, own: Any, now: float) -> bool:
        if own is not None:
            own = replace(own, record=replace(own.record, incarnation=self.settings.record.incarnation))
        return super()._is_still_ours(own, now)


class ResumedLeaseTrusted(Mutant):
    """Takes up an earlier process's key and counts a whole TTL from then on."""

    faults = ("crash", "cut_all")

    def _resumed(self, own: Any, revision: int, now: float) -> None:
        super()._resumed(own, revision, now)
        self._lease.deadline = now + self._lease.ttl * self._lease.factor
        self._reread(now)


class PreferenceIgnoredWhenYielding(Mutant):
    """Gives its key up without passing those by who are not to hold."""

    def _plan(self, now: float) -> HandoverPlan:
        plan = super()._plan(now)
        return type(plan)(target=plan.target)


class SuspendedOnlyBeforeHolding(Mutant):
    """Heeds suspension and the token to be handed over only when it joins."""

    def _respond(self, before: Spec, now: float) -> None:
        if self._state is not State.HOLDING:
            super()._respond(before, now)


class NeverBacksOff(Mutant):
    """Tries again at once, always."""

    def _back_off(self) -> float:
        return 0.0

    def _soon(self) -> float:
        return 0.0


LISTED: tuple[type[Mutant], ...] = (
    DeadlineFromTheReply,
    DriftFactorDropped,
    OwnKeyNotWatched,
    NoConfirmationAfterUnsure,
    UnconfirmedKeepAliveCounted,
    HoldsWhileOutcomeUnknown,
    YieldingBackToHolding,
    ChangedKeyTakenOverUnread,
    PredecessorTakenForTheOnlyOne,
    LeaseReused,
)
FURTHER: tuple[type[Mutant], ...] = (
    TermNotCompared,
    MemberNotCompared,
    SpecReadOnce,
    GuardsDropped,
    YieldsWithoutSayingSo,
    UsurperIgnored,
    ResumedLeaseTrusted,
    PreferenceIgnoredWhenYielding,
    SuspendedOnlyBeforeHolding,
    NeverBacksOff,
)
