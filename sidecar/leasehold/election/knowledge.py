"""What etcd showed, kept up to date: the lock's spec, the highest revision, and what is watched."""

from __future__ import annotations

from leasehold.base.records import replace
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.machine import Machine
from leasehold.election.queue_view import QueueView
from leasehold.election.snapshot import State
from leasehold.lock.spec import DEFAULT_TTL, Spec


def saw_revision(machine: Machine, revision: int) -> None:
    """A watch showed this revision: an older read says less."""
    machine.candidate.watch_revision = max(machine.candidate.watch_revision, revision)
    machine.etcd.revision = max(machine.etcd.revision, revision)


def saw_queue(machine: Machine, view: QueueView) -> None:
    """The whole queue was read. Note if it has a key again that was gone: etcd was restored from a snapshot.

    The first create revision in a queue never falls: a key that comes later has a higher one, whatever goes. A restore
    that bumps the revision shows in nothing else. Only others can note it: to the owner of such a key nothing is odd.
    """
    etcd, entries = machine.etcd, view.entries
    first = entries[0].create_revision if entries else view.revision + 1
    # an older read may show a key that has gone since
    if view.revision <= etcd.first_token_revision:
        return
    if first < etcd.first_token:
        machine.note(
            "rolled-back",
            "etcd was restored from a snapshot: candidates are back that were gone, and tokens may fall; "
            "leasehold restore-check tells how to prevent that",
        )
    etcd.first_token, etcd.first_token_revision = first, view.revision


def adopt(machine: Machine, declared: ev.Declared, revision: int, now: float) -> bool:
    """Learn the spec as it stood at this revision. Whether anything changed that matters here and now."""
    etcd = machine.etcd
    # reads and watches arrive in any order: an older one must not undo what a newer one showed
    if revision < etcd.spec_revision:
        return False
    etcd.spec_revision = revision
    known, etcd.declared = etcd.declared, declared
    before = etcd.spec
    # a spec that cannot be read says nothing: to fall back to the defaults would end a suspension, for one
    if not declared.broken:
        etcd.spec = declared.effective
        if etcd.spec.capacity < before.capacity:
            _on_capacity_lowered(machine, before, now)
    _report_bad_spec(machine, known, before)
    mended_or_broken = bool(known.broken) != bool(declared.broken)
    return etcd.spec != before or mended_or_broken or (declared != known and machine.is_undeclared())


def _on_capacity_lowered(machine: Machine, before: Spec, now: float) -> None:
    """For a TTL, skip nobody: a holder that is no longer among the first may not know it before its deadline.

    If a handover deleted its key and the capacity were raised again, there would be one holder too many.
    """
    longest = max(machine.ttl_to_ask(), machine.candidate.lease.ttl, before.ttl or DEFAULT_TTL, DEFAULT_TTL)
    machine.etcd.no_skipping_until = now + longest


def _report_bad_spec(machine: Machine, known: ev.Declared, before: Spec) -> None:
    """Note once what is wrong with the spec."""
    declared, unknown = machine.etcd.declared, machine.etcd.spec.unknown
    if declared.broken and declared.broken != known.broken:
        machine.note("spec-broken", f"{declared.broken}; the last good spec stays in force")
    if not declared.broken and unknown and unknown != before.unknown:
        machine.note("spec-unknown", f"the lock's spec has unknown fields: {', '.join(unknown)}")


def watch(machine: Machine, revision: int) -> None:
    """Watch what our place in the queue calls for, from after the revision of the read that showed it."""
    candidate = machine.candidate
    wanted = cmd.Watch(revision + 1)
    # only a read of the whole queue shows how long it is
    is_short = candidate.view.complete and len(candidate.view.entries) <= machine.config.watch_all_up_to
    if _must_see_all(machine) or is_short:
        wanted = replace(wanted, queue=True)
    elif candidate.own is not None:
        # The key ahead decides when it is our turn; the first one only says who leads. No waiter acts on the others,
        # so it does not watch them.
        ahead = candidate.view.just_ahead(candidate.token)
        watched = (candidate.own, ahead, candidate.view.entries[0])
        wanted = replace(wanted, keys=frozenset(entry.key for entry in watched if entry))
        candidate.view = replace(candidate.view, complete=False)
    known = machine.etcd.watching
    # a watch of the same keys goes on: to open it again would cost etcd a request per read
    if known is None or (known.keys, known.queue) != (wanted.keys, wanted.queue):
        machine.etcd.watching = wanted
        machine.out.append(wanted)


def _must_see_all(machine: Machine) -> bool:
    # a holder must see who is preferred to it; with several holders, any key may decide our place
    return machine.state in (State.HOLDING, State.YIELDING) or machine.etcd.spec.capacity > 1


def is_first_unwatched(machine: Machine) -> bool:
    """Whether the first of a long queue has gone, so that we cannot be sure who is the first now."""
    watching, view = machine.etcd.watching, machine.candidate.view
    if watching is None or watching.queue or not view.entries:
        return False
    return view.entries[0].key not in watching.keys


def is_watched_wrongly(machine: Machine, count: int) -> bool:
    """Whether a waiter watches the whole of a queue that is too long now, or the contrary; `count` 0 is not known."""
    watching, limit = machine.etcd.watching, machine.config.watch_all_up_to
    if watching is None or _must_see_all(machine):
        return False
    # one that has grown by a few more may shrink again: to change at once would cost a read each time
    if watching.queue:
        return len(machine.candidate.view.entries) > limit + limit // 4
    return 0 < count <= limit


def forget_watch(machine: Machine) -> None:
    """The watches may have missed something: the view can miss somebody, and the next read opens new ones."""
    machine.etcd.watching = None
    machine.candidate.view = replace(machine.candidate.view, complete=False)


def unwatch(machine: Machine) -> None:
    """End the watches, if there are any."""
    if machine.etcd.watching is not None:
        machine.etcd.watching = None
        machine.out.append(cmd.Watch(0, spec=False))
