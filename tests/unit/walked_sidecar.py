"""The sidecar of the random walks: after each event, what must never be is looked for."""

from __future__ import annotations

from typing import Any

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.record import Entry
from tests.unit.election_queue import Queue
from tests.unit.election_script import FACTOR, Script


class Sidecar(Script):
    """The election under test, and all that is said of it after each event."""

    def __init__(self, queue: Queue, seed: int, **changed: Any) -> None:
        super().__init__(queue, seed=seed, **changed)
        self.expires: dict[int, float] = {}
        self.harmed: set[int] = set()
        self.finished: set[int] = set()
        self.highest = 0
        self.most = 1
        self.latest: dict[int, float] = {}

    # --- what must never be --------------------------------------------------------------------------------------

    def feed(self, event: ev.Event) -> list[cmd.Command]:
        before = self.election.snapshot
        known, was_stopped = set(self.sent), self.stopped()
        commands = super().feed(event)
        self._check_commands(commands, known, was_stopped)
        self._check_snapshot(before)
        return commands

    def _check_commands(self, commands: list[cmd.Command], known: set[int], was_stopped: bool) -> None:
        """Numbers are new and grow; two questions at most are under way; nothing but tidying up follows the end."""
        numbers = [command.op for command in commands if "op" in command.__slots__]  # type: ignore[union-attr]  # it has
        assert numbers == sorted(set(numbers) - known)
        assert not was_stopped or all(isinstance(command, (cmd.Revoke, cmd.Stopped)) for command in commands)
        awaited = self.pending()
        assert len(set(awaited)) == len(awaited)
        idle = self.election.snapshot.state is State.IDLE
        assert idle or awaited or self.election.deadline() is not None, "nothing will ever happen any more"
        for command in commands:
            if isinstance(command, cmd.Revoke):
                self.finished |= {e.create_revision for e in self.history() if e.lease == command.lease}
            elif isinstance(command, cmd.Resign) and not command.keep_own:
                self.finished.add(command.token)
            elif isinstance(command, cmd.Note) and command.kind == "rolled-back":
                self.highest = 0  # the numbers given out before will be given out again
                self.finished.clear()
                self.harmed.clear()

    def _check_snapshot(self, before: Snapshot) -> None:
        now = self.election.snapshot
        if before.state is State.YIELDING and before.token is not None:
            self.finished.add(before.token)
        assert now.deadline is None or now.deadline <= max(self.latest.values(), default=0.0)
        if now.state is not State.HOLDING:
            return
        assert now.is_holding(self.now), "whoever was just told the time does not hold past its deadline"
        assert now.token is not None
        assert now.token not in self.finished, "what was given up is never held under again"
        assert now.token >= self.highest, "tokens grow"
        self.highest = now.token
        self.check_truth()

    def check_truth(self) -> None:
        """What it believes is so: its key stands in etcd, among the first."""
        token = self.election.snapshot.token
        if self.holding() and token not in self.harmed:
            tokens = [entry.create_revision for entry in self.etcd.order]
            assert token in tokens, "it holds without a key"
            assert tokens.index(token) < self.most

    def history(self) -> list[Entry]:
        return [change.entry for _, change in self.etcd.history if isinstance(change, ev.EntryPut)]

    # --- etcd, with leases that run out --------------------------------------------------------------------------

    def reply(self, command: Any) -> ev.Event:
        self.run_out()
        answer = super().reply(command)
        if isinstance(answer, (ev.Granted, ev.KeptAlive)) and answer.ttl > 0:
            lease = answer.lease if isinstance(answer, ev.Granted) else command.lease
            self.expires[lease] = self.now + answer.ttl
            self.latest[command.op] = answer.sent + answer.ttl * FACTOR
        return answer

    def run_out(self) -> None:
        """Leases that were not renewed end, and their keys go."""
        for lease, end in list(self.expires.items()):
            if end <= self.now:
                del self.expires[lease]
                self.etcd.revoke(lease)
