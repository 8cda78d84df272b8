"""What etcd, another process or the network do to a candidate."""

from __future__ import annotations

from dataclasses import replace

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.lock.spec import Spec
from tests.transcripts.transcript import Recorded, holding
from tests.unit.election_queue import Queue
from tests.unit.election_script import ME, record

_BEFORE = replace(ME, incarnation="the-process-before")


def join_without_an_answer() -> Recorded:
    """A joining transaction without an answer

    It was done or it was not, so the queue is read.
    The key stands there: it was done, and the candidate is used.
    """
    script = Recorded()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    script.say("etcd does it, and its answer is lost.")
    join = script.take(cmd.Join)
    script.reply(join)
    script.feed(ev.Failed(join.op, "timed out"))
    script.settle()
    return script


def join_that_may_still_come() -> Recorded:
    """A joining transaction that may still be under way

    The read shows no key, which does not prove that the put will not come.
    So its lease is revoked, which the put cannot survive, and it joins with another one.
    """
    script = Recorded()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    script.fail(cmd.Join)
    script.settle()
    script.now += 0.5
    script.feed(ev.Tick())
    script.settle()
    return script


def resign_without_an_answer() -> Recorded:
    """A deletion without an answer

    Once a deletion was sent, this candidate never holds again, whatever became of it.
    The queue is read, the key stands still, and the deletion is asked for again.
    """
    script = holding()
    script.feed(ev.HandOver())
    script.fail(cmd.Resign)
    script.doze()
    script.answer(cmd.ReadQueue)
    script.answer(cmd.Resign)
    return script


def resume_a_term() -> Recorded:
    """A container that restarts resumes its term

    The key of the earlier process still stands, so this one writes its own incarnation into the record.
    It is unsure of the lease until a keep-alive is confirmed, and holds then under the same token.
    """
    queue = Queue()
    left = queue.join(_BEFORE)
    script = Recorded(queue)
    script.start(ev.Resumable(left.lease, left.create_revision, queue.cluster))
    return script


def nothing_to_resume() -> Recorded:
    """A container that restarts too late

    The earlier process's key is gone, so there is nothing to resume.
    It joins with a fresh lease, as if it had never been there.
    """
    script = Recorded()
    script.start(ev.Resumable(0x66, 99, script.etcd.cluster))
    return script


def taken_over() -> Recorded:
    """Another process takes the key over

    The record names another incarnation: a second process uses the same state directory.
    The key and its lease are that one's now; this one stops holding, revokes nothing, and joins again.
    """
    script = holding()
    script.say("Another process writes its incarnation into the record.")
    script.rewrite(script.own, incarnation="another-process")
    script.settle()
    return script


def key_deleted() -> Recorded:
    """The holder's key is deleted by hand

    The watch says so, and the term has ended at that moment.
    What may be left of the lease is given back, and a fresh candidate joins.
    """
    script = holding()
    own = script.own
    script.now += 1.0
    script.feed(ev.EntryGone(own.key, script.etcd.delete(own)))
    script.settle()
    return script


def lease_gone() -> Recorded:
    """The lease has expired

    The keep-alive's answer is that there is no such lease: the process was frozen, or etcd away, for too long.
    The candidate has ended, and another one joins.
    """
    script = holding()
    script.etcd.revoke(script.own.lease)
    script.doze()
    script.answer(cmd.KeepAlive)
    script.settle()
    return script


def etcd_rolled_back() -> Recorded:
    """etcd was restored from a backup

    The revision of an answer is lower than what was known when it was asked for, so etcd has lost data.
    The candidate is dropped and the loss is noted: tokens may fall, and two may have led.
    """
    script = holding()
    script.say("etcd is restored from an old backup, and the connection breaks.")
    script.etcd.entries.clear()
    script.etcd.leases.clear()
    script.etcd.revision = 3
    script.feed(ev.WatchLost("the connection broke"))
    script.settle()
    return script


def watch_lost() -> Recorded:
    """A watch is lost

    Events may have been missed, so the queue is read again, and watched from there on.
    The holder holds meanwhile: its lease does not depend on the watch.
    """
    script = holding()
    script.feed(ev.WatchLost("etcd has compacted the revision"))
    script.settle()
    return script


def late_answers() -> Recorded:
    """Answers that come too late

    An answer to a question that is no longer awaited is not believed, so this lease is not used.
    It is given back, because nobody else would end it before it expires.
    """
    script = Recorded()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec)
    grant = script.take(cmd.Grant)
    script.feed(ev.Failed(grant.op, "timed out"))
    script.settle()
    script.say("The first question's answer comes after all.")
    script.feed(script.reply(grant))
    return script


def broken_spec() -> Recorded:
    """A spec that cannot be read

    Somebody wrote something else into the spec key: it is noted once, and the last good spec stays in force.
    When the operator has mended it, the new one is obeyed.
    """
    script = holding(Spec(ttl=30))
    script.declare(None, broken="the lock's spec key does not hold a JSON object")
    script.settle()
    script.say("The operator writes the key again.")
    script.declare(Spec(ttl=20))
    script.settle()
    return script


def silent_watch() -> Recorded:
    """A deletion that the watch does not tell of

    The key ahead is gone, and a hung member tells nobody.
    The read that confirms the next keep-alive shows it, and the waiter's turn has come.
    """
    queue = Queue()
    first = queue.join(record("first"))
    script = Recorded(queue)
    script.start()
    queue.delete(first)
    script.beat()
    script.settle()
    return script
