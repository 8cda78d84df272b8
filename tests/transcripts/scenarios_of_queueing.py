"""Joining, waiting, coming to hold, and keeping the lease alive."""

from __future__ import annotations

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.lock.spec import Spec
from tests.transcripts.transcript import Recorded, holding
from tests.unit.election_queue import Queue
from tests.unit.election_script import record


def join_an_empty_lock() -> Recorded:
    """Joining a lock that nobody holds

    Three round trips: the spec, a lease, and one transaction that puts the key and reads the queue.
    The deadline counts from when the lease was asked for, less the drift that clocks may have.
    """
    script = Recorded()
    script.feed(ev.Start())
    for kind in (cmd.ReadSpec, cmd.Grant, cmd.Join):
        script.now += 0.002
        script.answer(kind)
    return script


def wait_for_the_one_ahead() -> Recorded:
    """Waiting, and holding when the one ahead has gone

    In a short queue a waiter watches all keys, so that it can name the leader at any time.
    The only key ahead is deleted and was never rewritten: the way is clear, and it holds before it reads the queue.
    """
    queue = Queue()
    first = queue.join(record("first"))
    script = Recorded(queue)
    script.start()
    script.say("The holder's key is deleted.")
    script.now += 1.0
    script.drop(first)
    script.settle()
    return script


def two_ahead() -> Recorded:
    """The second in line moves up, and does not hold

    In a long queue a waiter watches only the first key, the one ahead and its own, so one waiter reads and not all.
    The one ahead is deleted: this one is next in line, not yet the holder, and reads whom to watch from here on.
    """
    queue = Queue()
    queue.join(record("first"))
    second = queue.join(record("second"))
    script = Recorded(queue, watch_all_up_to=2)
    script.start()
    script.say("The one directly ahead leaves.")
    script.drop(second)
    script.settle()
    return script


def keep_alive_confirmed() -> Recorded:
    """A keep-alive that counts

    The keep-alive's answer alone moves nothing, since a leader that was replaced could have given it.
    The deadline moves with the read after it, answered by the same member in the same term.
    """
    script = holding()
    script.say("A third of the TTL has passed.")
    script.doze()
    script.answer(cmd.KeepAlive)
    script.now += 0.002
    script.answer(cmd.ReadOwn)
    return script


def keep_alive_unconfirmed() -> Recorded:
    """A keep-alive that does not count

    Another term answers the confirming read than the one known before, so the deadline stays where it is.
    The next keep-alive is sent at once, is confirmed in the new term, and counts.
    """
    script = holding()
    script.doze()
    script.answer(cmd.KeepAlive)
    script.say("etcd elects another leader.")
    script.etcd.term += 1
    script.answer(cmd.ReadOwn)
    script.settle()
    return script


def deadline_passed() -> Recorded:
    """The deadline passes, and it holds again

    etcd does not answer, so at its deadline the holder is unsure: its answer is no, whatever its key does.
    A confirmed keep-alive and a read of the queue later it holds again, under the same token and in the same term.
    """
    script = holding()
    script.doze()
    script.fail(cmd.KeepAlive)
    script.now = 1014.9
    script.feed(ev.Tick())
    script.say("etcd answers again.")
    script.settle()
    return script


def undeclared_lock() -> Recorded:
    """A lock that must be declared, and is not

    With --require-lock nothing is joined before the lock is declared, and the spec key is watched meanwhile.
    When the operator declares it, the spec is read again, and it joins.
    """
    script = Recorded(require_lock=True)
    script.start()
    script.say("The operator declares the lock.")
    script.now += 3.0
    script.declare(Spec(ttl=10))
    script.settle()
    return script


def capacity_raised() -> Recorded:
    """The capacity is raised to two

    The first two of the queue hold from now on, so the next in line reads the queue and holds.
    It watches the whole queue then, because every holder's place depends on the others.
    """
    queue = Queue()
    queue.join(record("first"))
    script = Recorded(queue)
    script.start()
    script.say("The Lock's capacity becomes 2.")
    script.declare(Spec(capacity=2))
    script.settle()
    return script


def app_not_healthy_yet() -> Recorded:
    """An app whose health is not known yet

    With --app-health a sidecar that starts joins nothing before the app has said that it is well.
    Then it joins like any other.
    """
    script = Recorded(starts_healthy=False)
    script.feed(ev.Start())
    script.say("The app answers its probe.")
    script.feed(ev.Health(healthy=True))
    script.settle()
    return script


def foreign_candidate_ahead() -> Recorded:
    """A candidate that Leasehold did not write

    etcdctl elect stands in the same queue, and its record is its text.
    It is waited for like any other, and its key is never deleted to prefer another.
    """
    queue = Queue()
    first = queue.join(record("etcdctl", foreign=True))
    script = Recorded(queue)
    script.start()
    script.drop(first)
    return script
