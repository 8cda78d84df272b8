"""The commands: each reads the Lock, decides, writes or waits, and prints the result.

Results go to stdout; notices go to stderr: changes by other writers, questions, errors.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from leasehold.base.terminal import one_line
from leasehold.kubectl import appliers, change, describe, freshness, history, printing, waiting
from leasehold.kubectl.arguments import Arguments
from leasehold.kubectl.change import Decide, Target
from leasehold.kubectl.cluster import Cluster
from leasehold.kubectl.errors import ClusterError
from leasehold.kubectl.live_list import LiveList
from leasehold.kubectl.lock import LockView, items, named, text, who_holds
from leasehold.kubectl.times import age
from leasehold.kubectl.ui import show_page
from leasehold.lock.keys import DEFAULT_ROOT, Keys
from leasehold.lock.kube_names import QUALIFIED
from leasehold.lock.names import LockName

DONE: Final = 0
NOT_DONE: Final = 1


def now() -> datetime:
    """The wall clock, for ages."""
    return datetime.now(UTC)


def notify(sentence: str) -> None:
    """Print a notice beside the result."""
    sys.stderr.write(f"leasehold: {sentence}\n")


def list_locks(cluster: Cluster, given: Arguments) -> int:
    """`list`."""
    namespace = "" if given.all_namespaces else cluster.namespace
    live = LiveList(cluster, namespace, notify)
    found = live.first()
    if not found and not given.watch and given.output not in ("json", "yaml"):
        where = f" in {namespace} namespace" if namespace else ""
        sys.stderr.write(f"No resources found{where}.\n")
        return DONE
    old = bool(_notify_if_stale(cluster))
    sys.stdout.write(printing.many(found, given.output, now(), namespaces=given.all_namespaces, is_stale=old))
    sys.stdout.flush()
    for changed in live.changes() if given.watch else ():
        text = printing.many([changed], given.output, now(), namespaces=given.all_namespaces)
        sys.stdout.write(text if given.output in printing.HEADLESS else text.partition("\n")[2])
        sys.stdout.flush()
    return DONE


def _notify_if_stale(cluster: Cluster) -> str:
    """Say so if no operator reports; since when, empty if one does."""
    old = freshness.staleness(freshness.last_report(cluster.canaries()), now())
    if old:
        notify(f"No operator reports: what is shown is the last known, {old}. The sidecars work without it.")
    return old


def describe_lock(cluster: Cluster, given: Arguments) -> int:
    """`describe`. If Events or etcd cannot be read, the rest is shown, with the reason in their place."""
    view = _read(cluster, given)
    if given.output in ("name", "table", "wide"):
        sys.stdout.write(printing.one(view, given.output, now()))
        return DONE
    description = _gather(cluster, view, given)
    if given.output:
        sys.stdout.write(printing.as_data(describe.as_object(description), given.output))
        for error in filter(None, (description.events_error, description.queue_error)):
            notify(error)
    else:
        sys.stdout.write(describe.as_text(description, now()))
    _notify_if_stale(cluster)
    return NOT_DONE if description.queue_error else DONE


def _gather(cluster: Cluster, view: LockView, given: Arguments) -> describe.Description:
    found: dict[str, Any] = {}
    try:
        found["events"] = cluster.events(view)
    except ClusterError as error:
        found["events_error"] = str(error)
    if given.etcd is not None:
        found |= _queue(view, given)
    return describe.Description(view, **found)


def _queue(view: LockView, given: Arguments) -> dict[str, Any]:
    """The queue in etcd, read and shown as by `leasehold status`."""
    import asyncio
    import json
    import logging

    from leasehold.candidate import (  # with the etcd client, which only this needs
        any_member,
        queue_report,
        queue_status,
    )
    from leasehold.settings.connect import client_for

    etcd, root = given.etcd, given.root or root_of(view)
    assert etcd is not None

    async def read() -> queue_status.Queue:
        async with client_for(etcd) as client:
            return await queue_status.read_any(client, len(etcd.endpoints), root, view.name)

    logging.getLogger("leasehold").setLevel(logging.CRITICAL)  # a failure is printed below, once
    try:
        queue = asyncio.run(read())
    except any_member.QueueUnreadable as error:
        why = queue_status.why(error, named=bool(etcd.user))
        return {"queue_error": f"The queue cannot be read: {one_line(why)}"}
    return {"queue": queue_report.as_table(queue), "queue_data": json.loads(queue_report.as_json(queue))}


def root_of(view: LockView) -> str:
    """The root of the Lock's keys, from the key in its status: the operator may use another than the default."""
    key, default = text(view.status, "key"), Keys(view.name, "").prefix
    return (
        key.removesuffix(default) if key.startswith("/") and key.endswith(default) and key != default else DEFAULT_ROOT
    )


def show_history(cluster: Cluster, given: Arguments) -> int:
    """`history`."""
    view = _read(cluster, given)
    if given.output in ("json", "yaml"):
        terms = {"recentTerms": [dict(term) for term in items(view.status, "recentTerms")]}
        sys.stdout.write(printing.as_data(terms, given.output))
    else:
        sys.stdout.write(history.as_table(view, now()))
    _notify_if_stale(cluster)
    return DONE


def handover(cluster: Cluster, given: Arguments) -> int:
    """`handover`."""
    view = _read(cluster, given)
    if given.to is not None:
        return _prefer(cluster, view, given, given.to)
    targets = change.target(view, given.up_to_token)
    after = _change(cluster, view, change.handover(targets), given)
    if given.wait:
        return _wait(
            cluster, after.name, waiting.given_up(targets), given, f"{named(targets.holders)} did not hand over"
        )
    return DONE


def _prefer(cluster: Cluster, view: LockView, given: Arguments, identity: str) -> int:
    after = _change(cluster, view, change.prefer(view, identity), given)
    if given.wait and identity:
        missed = f"{one_line(identity)} did not take over"
        return _wait(cluster, after.name, waiting.held_by(identity), given, missed)
    return DONE


def suspend(cluster: Cluster, given: Arguments) -> int:
    """`suspend`."""
    _change(cluster, _read(cluster, given), change.suspend, given)
    return DONE


def resume(cluster: Cluster, given: Arguments) -> int:
    """`resume`."""
    _change(cluster, _read(cluster, given), change.resume, given)
    return DONE


def revoke(cluster: Cluster, given: Arguments) -> int:
    """`revoke`. The targets are fixed before the question, however long the answer takes."""
    view = _read(cluster, given)
    targets = change.target(view, given.up_to_token)
    notify(revocation_risk(view, targets))
    if not given.yes and not _confirmed():
        notify("Nothing was changed.")
        return NOT_DONE
    _change(cluster, view, change.revoke(targets), given)
    return DONE


def revocation_risk(view: LockView, targets: Target) -> str:
    """The risk of a revocation, as a sentence."""
    return (
        f"Revoking deletes the key of {named(targets.holders)} in etcd: the next in {view.name}'s queue leads at once, "
        f"while a holder that is cut off may act as leader for up to {view.ttl} more seconds; until then only fencing "
        "tokens keep the two apart."
    )


def _confirmed() -> bool:
    sys.stderr.write("Revoke? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def wait(cluster: Cluster, given: Arguments) -> int:
    """`wait`."""
    desired = {"held": "held by anybody", "free": "free"}.get(
        given.goal, f"held by {given.goal.removeprefix('holder=')}"
    )
    missed = f"it was not {one_line(desired)}"
    return _wait(cluster, given.lock(cluster.namespace), waiting.goal(given.goal), given, missed, say=True)


# --- shared ---


def _read(cluster: Cluster, given: Arguments) -> LockView:
    return cluster.get(given.lock(cluster.namespace))


def _change(cluster: Cluster, view: LockView, decide: Decide, given: Arguments) -> LockView:
    """Make a change and print what was done."""
    after, made = change.apply(cluster, view, decide, notify)
    if undone := appliers.warning(view, made.spec):
        notify(undone)
    change.give_up(cluster, after, made.spec)
    _say(after, made.summary, given)
    return after


def _say(view: LockView, what: str, given: Arguments) -> None:
    """A line as kubectl prints it, or the Lock in the requested format."""
    if given.output:
        sys.stdout.write(printing.one(view, given.output, now()))
    else:
        sys.stdout.write(f"{QUALIFIED}/{view.name.name} {what}\n")
    sys.stdout.flush()


def _wait(
    cluster: Cluster,
    lock: LockName,
    met: Callable[[LockView], bool],
    given: Arguments,
    missed: str,
    *,
    say: bool = False,
) -> int:
    """Wait as long as `--timeout` says. With `say`, the Lock is the result, and was not printed before.

    `missed` says what has not happened, with "not" in it.
    """

    def begun(view: LockView) -> None:
        notify(f"Waiting up to {age(given.timeout)}, since {missed} yet: the Lock {lock} {who_holds(view)}.")

    one = waiting.Waiting(cluster, lock, met, given.timeout, begun=begun)
    done = one.run()
    assert one.last is not None
    if not done:
        notify(f"After {given.timeout:g} seconds {missed}: the Lock {lock} {who_holds(one.last)}.")
        return NOT_DONE
    if say or not given.output:
        _say(one.last, who_holds(one.last), given)
    return DONE


def check(cluster: Cluster, given: Arguments) -> int:
    """`check`."""
    from leasehold.kubectl import check  # which others have no use for

    return check.check(cluster, given)


FUNCTIONS: Final[dict[str, Callable[[Cluster, Arguments], int]]] = {
    "check": check,
    "list": list_locks,
    "describe": describe_lock,
    "history": show_history,
    "handover": handover,
    "suspend": suspend,
    "resume": resume,
    "revoke": revoke,
    "wait": wait,
    "ui": show_page,
}
