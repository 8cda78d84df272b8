"""How to come to each state, with each question under way that it knows."""

from __future__ import annotations

from collections.abc import Callable

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.lock.spec import Spec
from tests.unit.election_queue import Queue
from tests.unit.election_script import Script, record


def idle() -> Script:
    return Script()


def joining(*answered: type) -> Callable[[], Script]:
    def script() -> Script:
        script = Script()
        script.feed(ev.Start())
        script.answer(*answered)
        return script

    return script


def joining_unknown() -> Script:
    script = joining(cmd.ReadSpec, cmd.Grant)()
    script.fail(cmd.Join)
    script.wait(0.0)
    script.take(cmd.ReadQueue)
    return script


def resuming() -> Script:
    queue = Queue()
    old = queue.join(record("me"))
    script = Script(queue)
    script.feed(ev.Start(ev.Resumable(old.lease, old.create_revision, queue.cluster)))
    return script


def resuming_written() -> Script:
    script = resuming()
    script.answer(cmd.ReadOwn)
    return script


def undeclared() -> Script:
    script = Script(require_lock=True)
    return script.start()


def waiting() -> Script:
    queue = Queue()
    queue.join(record("first"))
    return Script(queue).start()


def waiting_reading() -> Script:
    script = waiting()
    script.rewrite(script.etcd.order[0])
    script.drop(script.etcd.order[0])
    return script


def holding() -> Script:
    return Script().start()


def holding_beating() -> Script:
    script = holding()
    script.wait(5.0)
    return script


def holding_confirming() -> Script:
    script = holding_beating()
    script.answer(cmd.KeepAlive)
    return script


def unsure() -> Script:
    script = holding_beating()
    script.wait(15.0)
    return script


def draining() -> Script:
    script = Script(drain=30.0).start()
    script.feed(ev.HandOver())
    return script


def yielding() -> Script:
    script = holding()
    script.feed(ev.HandOver())
    return script


def yielding_beating() -> Script:
    script = yielding()
    script.wait(5.0)
    return script


def announcing() -> Script:
    queue = Queue()
    queue.declare(Spec(preferred_holder="best"))
    script = Script(queue).start()
    script.come(record("low"))
    script.come(record("best"))
    return script
