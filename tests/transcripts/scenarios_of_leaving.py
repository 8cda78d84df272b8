"""Giving the lock up on purpose: on request, for a preferred candidate, by the spec, for a pause, at the end."""

from __future__ import annotations

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.lock.spec import Spec
from tests.transcripts.transcript import Recorded, holding
from tests.unit.election_script import record


def handover_on_request() -> Recorded:
    """A handover on request

    The answer is no from the moment of the request; then the key is deleted and the lease given back.
    The candidate is never used again: it joins with a fresh lease, behind whoever waited.
    """
    script = holding()
    script.come(record("other"))
    script.say("POST /handover")
    script.feed(ev.HandOver())
    script.rejoin()
    return script


def handover_with_drain() -> Recorded:
    """A handover that waits for the guarded work

    With --drain the key stays, and the lease is kept alive and confirmed, until the work has stopped.
    Meanwhile the answer is no; POST /drained ends the wait before the drain time has passed.
    """
    script = holding(drain=30.0)
    script.say("POST /handover")
    script.feed(ev.HandOver())
    script.beat()
    script.say("POST /drained")
    script.now += 2.0
    script.feed(ev.WorkStopped())
    script.answer(cmd.Resign)
    return script


def handover_to_the_preferred() -> Recorded:
    """A handover that skips a candidate of lower rank

    The preferred holder waits behind another one, so the holder first writes yieldTo into its own record.
    Then one transaction deletes its key and that of the one between, if all of them still stand.
    """
    script = holding(Spec(preferred_holder="best"))
    script.come(record("low"))
    script.say("The preferred holder joins.")
    script.come(record("best"))
    script.answer(cmd.Write)
    script.answer(cmd.Resign)
    return script


def skipped_by_a_holder() -> Recorded:
    """A waiter that a holder skips

    The holder ahead says in its record whom it hands over to, and then deletes this waiter's key with its own.
    That is no loss: it joins again, at the end of the queue and without an alarm.
    """
    script = Recorded()
    first = script.etcd.join(record("first"))
    script.start()
    script.say("The holder announces to whom it yields.")
    script.rewrite(first, yield_to="best")
    own = script.own
    gone = script.etcd.delete(script.etcd.entries[first.key], own)
    script.say("It deletes its key and ours in one transaction.")
    script.feed(ev.EntryGone(own.key, gone))
    script.settle()
    return script


def lock_suspended() -> Recorded:
    """The lock is suspended, and resumed

    The holder gives the lock up and waits in the queue: nobody holds a suspended lock.
    When the lock is no longer suspended, the first of the queue holds at once.
    """
    script = holding()
    script.say("The Lock is suspended.")
    script.declare(Spec(suspend=True))
    script.rejoin()
    script.say("It is no longer.")
    script.declare(Spec(suspend=False))
    script.settle()
    return script


def capacity_lowered() -> Recorded:
    """The capacity is lowered

    Of two holders the younger one is one no more; it gives its key up and queues again.
    For one TTL nobody is skipped, since the old limit may still be believed somewhere.
    """
    script = Recorded()
    script.etcd.declare(Spec(capacity=2))
    script.etcd.join(record("first"))
    script.start()
    script.say("The Lock's capacity becomes 1.")
    script.declare(Spec(capacity=1))
    script.rejoin()
    return script


def handed_over_up_to_a_token() -> Recorded:
    """Handed over by its token

    kubectl leasehold handover declares that holders up to a token give up, and this one's token is not above it.
    Its next candidate has a higher token, so the declaration does not concern it.
    """
    script = holding()
    script.declare(Spec(handover_up_to_token=script.token))
    script.rejoin()
    return script


def pause_and_resume() -> Recorded:
    """A pause

    A paused sidecar leaves the queue and watches nothing.
    When it is resumed, it joins with a fresh lease.
    """
    script = holding()
    script.say("POST /pause")
    script.feed(ev.Pause())
    script.settle()
    script.say("POST /resume")
    script.now += 60.0
    script.feed(ev.Resume())
    script.settle()
    return script


def app_unhealthy() -> Recorded:
    """The app falls ill

    A holder whose app is unhealthy gives the lock up, and does not queue again.
    It joins when the app is well.
    """
    script = holding()
    script.feed(ev.Health(healthy=False))
    script.settle()
    script.say("The app is well again.")
    script.now += 5.0
    script.feed(ev.Health(healthy=True))
    script.settle()
    return script


def stop_with_drain() -> Recorded:
    """A holder that is told to stop

    The guarded work has the drain time to stop; after that the key is deleted and the lease given back.
    Then the election has ended, and nothing of it is left in etcd.
    """
    script = holding(drain=10.0)
    script.say("SIGTERM")
    script.feed(ev.Stop())
    script.beat()
    script.say("The drain time has passed.")
    script.now = 1010.0
    script.feed(ev.Tick())
    script.settle()
    return script


def stop_that_awaits_the_work() -> Recorded:
    """A native sidecar that is told to stop

    TERM does not prove that the app has ended, so the key stays, and the lease is kept alive.
    The key is deleted once it is known that the app has ended.
    """
    script = holding()
    script.say("SIGTERM")
    script.feed(ev.Stop(awaits_work=True))
    script.beat()
    script.say("The app's port refuses connections.")
    script.feed(ev.WorkStopped())
    script.settle()
    return script


def stop_without_etcd() -> Recorded:
    """A holder that is told to stop while etcd is away

    The deletion has no answer, so whether it was done is unknown, and it tries again for ten seconds.
    Then the lease is left to expire: another may hold after that.
    """
    script = holding()
    script.feed(ev.Stop())
    script.fail(cmd.Resign)
    script.now += 0.5
    script.feed(ev.Tick())
    script.fail(cmd.ReadQueue)
    script.now = 1010.5
    script.feed(ev.Tick())
    return script
