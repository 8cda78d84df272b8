"""A script for the election: feed it events, see its commands, and let a small pretended etcd answer them.

`Queue` is one lock in an etcd that never fails; whatever goes wrong, a test does by hand: it answers with `Failed`,
changes the queue behind the election's back, or leaves questions unanswered. `Script` holds the election, the time and
the questions under way. Nothing happens in it by itself, not even a watch's event.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Final, TypeVar

from leasehold.candidate.record_state import state_of
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.election import Election, ElectionConfig
from leasehold.election.snapshot import Cause, State
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec
from tests.unit.election_queue import LOCK, Change, Queue

ME: Final = Record("me", incarnation="this-process")
FACTOR: Final = 0.99 / 1.01
"""What the default drift bound leaves of a TTL."""

Question = TypeVar("Question")


def settings(**changed: Any) -> ElectionConfig:
    """The settings of the sidecar under test."""
    return ElectionConfig(**{"lock": LOCK, "record": ME, **changed})


def record(identity: str, **fields: Any) -> Record:
    """Another candidate's record."""
    return Record(identity, incarnation=f"process-of-{identity}", **fields)


class Script:
    """An election, its time, its etcd, and what it has asked and not been told yet."""

    def __init__(self, queue: Queue | None = None, *, seed: int = 1, **changed: Any) -> None:
        self.etcd = queue or Queue()
        self.rng = random.Random(seed)
        self.election = Election(settings(**changed), self.rng)
        self.now = 1000.0
        self.asked: list[Any] = []
        self.sent: dict[int, float] = {}
        self.said: list[cmd.Command] = []
        self.watched: cmd.Watch | None = None
        self.told = 0
        self.ended = False

    # --- what it is ---------------------------------------------------------------------------------------------

    # Methods, not properties: mypy would take a property's value for settled by the first assertion on it.

    def state(self) -> State:
        return self.election.snapshot.state

    def holding(self) -> bool:
        return self.election.snapshot.is_holding(self.now)

    def stopped(self) -> bool:
        return self.ended

    @property
    def token(self) -> int:
        token = self.election.snapshot.token
        assert token is not None, "it has no key"
        return token

    @property
    def own(self) -> Entry:
        """Its key, as etcd has it."""
        return next(entry for entry in self.etcd.order if entry.create_revision == self.token)

    @property
    def cause(self) -> Cause | None:
        return self.election.snapshot.cause

    def notes(self) -> list[str]:
        """The kinds of all notes so far."""
        return [command.kind for command in self.said if isinstance(command, cmd.Note)]

    def revoked(self) -> list[int]:
        """All leases given back so far."""
        return [command.lease for command in self.said if isinstance(command, cmd.Revoke)]

    def dump(self) -> dict[str, Any]:
        """Everything that decides what the election does next, as a flight record has it."""
        machine = _fields_of(state_of(self.election))["_machine"]
        del machine["out"]  # what it asked for last is done
        return {**machine, "random": self.rng.getstate()}

    def pending(self) -> list[int]:
        """The numbers of the questions under way."""
        pending = self.dump()["pending"]
        return [request["command"]["op"] for request in (pending["step"], pending["keep_alive"]) if request]

    def last_op(self) -> int:
        """The number of the last question."""
        return int(self.dump()["last_op"])

    # --- what happens -------------------------------------------------------------------------------------------

    def feed(self, event: ev.Event) -> list[cmd.Command]:
        """One event, now. Revocations are done at once; questions wait to be answered."""
        commands = self.election.handle(event, self.now)
        self.said += commands
        for command in commands:
            match command:
                case cmd.Revoke(lease):
                    self.etcd.revoke(lease)
                case cmd.Watch(revision=revision):
                    self.watched = command
                    self.told = sum(known < revision for known, _ in self.etcd.history)
                case cmd.Stopped():
                    self.ended = True
                case cmd.Note():
                    pass
                case _:
                    self.asked.append(command)
                    self.sent[command.op] = self.now
        return commands

    def take(self, kind: type[Question]) -> Question:
        """The one question of this kind that waits for its answer."""
        found = [command for command in self.asked if isinstance(command, kind)]
        assert len(found) == 1, f"wanted one {kind.__name__}, asked is {self.asked}"
        self.asked.remove(found[0])
        return found[0]

    def reply(self, command: Any) -> ev.Event:
        """etcd does it now; its answer."""
        return self.etcd.answer(command, self.sent[command.op])

    def answer(self, *kinds: type) -> None:
        """Let etcd answer the questions of these kinds, each as it comes up."""
        for kind in kinds:
            self.feed(self.reply(self.take(kind)))

    def fail(self, kind: type, **how: Any) -> None:
        """The question of this kind gets no answer, or an error."""
        command: Any = self.take(kind)
        self.feed(ev.Failed(command.op, "no answer", **how))

    def settle(self) -> None:
        """Let etcd answer whatever is asked, until nothing more is, without time passing."""
        for _ in range(100):
            deadline = self.election.deadline()
            if self.asked:
                self.feed(self.reply(self.asked.pop(0)))
            elif deadline is not None and deadline <= self.now:
                self.feed(ev.Tick())
            else:
                return
        raise AssertionError(f"it never comes to rest: {self.asked}, {self.said[-10:]}")

    def rejoin(self) -> None:
        """Come to rest once the moment has passed after which one that has handed over joins again."""
        self.settle()
        assert self.state() is State.JOINING, "it has not handed over"
        self.doze()
        self.settle()

    def wait(self, seconds: float) -> list[cmd.Command]:
        """Time passes, in silence."""
        self.now += seconds
        return self.feed(ev.Tick())

    def hear(self) -> None:
        """The watch tells of all that it has not told of yet; if that leads to a new one, so does that."""
        while self.hear_next():
            pass

    def hear_next(self) -> bool:
        """The watch tells of the next thing that it has not told of, if there is one."""
        while self.told < len(self.etcd.history):
            _, change = self.etcd.history[self.told]
            self.told += 1
            if self._watches(change):
                self.feed(change)
                return True
        return False

    def _watches(self, change: Change) -> bool:
        watch = self.watched
        if watch is None or isinstance(change, ev.SpecChanged):
            return watch is not None and watch.spec
        return watch.queue or (change.entry.key if isinstance(change, ev.EntryPut) else change.key) in watch.keys

    def doze(self) -> list[cmd.Command]:
        """Time passes until the election wants to be called."""
        deadline = self.election.deadline()
        assert deadline is not None, "it wants nothing"
        return self.wait(max(0.0, deadline - self.now))

    def beat(self) -> None:
        """The next keep-alive that is confirmed: a holder's next one, a waiter's next but one at the latest."""
        self.doze()
        self.answer(cmd.KeepAlive)
        if not any(isinstance(command, cmd.ReadOwn) for command in self.asked):
            self.doze()
            self.answer(cmd.KeepAlive)
        self.answer(cmd.ReadOwn)

    # --- short ways to where a test begins ----------------------------------------------------------------------

    def start(self, resume: ev.Resumable | None = None) -> Script:
        """Take part, and come to rest."""
        self.feed(ev.Start(resume))
        self.settle()
        return self

    def drop(self, entry: Entry) -> list[cmd.Command]:
        """Another's key goes, and the watch says so."""
        return self.feed(ev.EntryGone(entry.key, self.etcd.delete(entry)))

    def rewrite(self, entry: Entry, **fields: Any) -> Entry:
        """A key's record is rewritten, and the watch says so."""
        changed = self.etcd.put(replace(entry.record, **fields), entry.lease)
        self.feed(ev.EntryPut(changed))
        return changed

    def come(self, who: Record) -> Entry:
        """Another candidate joins, and the watch says so."""
        entry = self.etcd.join(who)
        self.feed(ev.EntryPut(entry))
        return entry

    def declare(self, spec: Spec | None, broken: str = "") -> list[cmd.Command]:
        """The operator writes or deletes the spec, and the watch says so."""
        return self.feed(self.etcd.declare(spec, broken))


def _fields_of(state: Any) -> Any:
    if not isinstance(state, dict) or "fields" not in state:
        return state
    return {name: _fields_of(value) for name, value in state["fields"].items()}


def held(spec: Spec | None = None, **changed: Any) -> Script:
    """A sidecar that holds a lock which is declared so, or not at all."""
    queue = Queue()
    if spec is not None:
        queue.declare(spec)
    script = Script(queue, **changed).start()
    assert script.holding()
    return script


def deadline(script: Script) -> float:
    found = script.election.snapshot.deadline
    assert found is not None
    return found


def waiting_behind(*names: str, spec: Spec | None = None, **changed: Any) -> tuple[Script, list[Entry]]:
    """A sidecar that waits behind candidates of these names, and their entries."""
    queue = Queue()
    if spec is not None:
        queue.declare(spec)
    ahead = [queue.join(record(name)) for name in names]
    script = Script(queue, **changed).start()
    assert script.state() is State.WAITING
    assert not script.asked
    return script, ahead


def behind(script: Script, identity: str, **fields: Any) -> Script:
    """Another sidecar, that waits in the same queue."""
    other = Script(script.etcd, record=record(identity, **fields))
    other.now = script.now
    return other.start()


def converge(*scripts: Script) -> None:
    """All hear and are answered, until nothing happens any more, with a little time passing."""
    for _ in range(30):
        for script in scripts:
            script.hear()
            script.settle()
            script.wait(0.1)
