"""What each command does: read the Lock, decide, write or wait, and say so.

Results go to stdout, and what else the user should know to stderr: a change by another writer, a question, an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from leasehold.kubectl import change, describe, printing, waiting
from leasehold.kubectl.arguments import Arguments
from leasehold.kubectl.change import Decide, Target
from leasehold.kubectl.cluster import Cluster
from leasehold.kubectl.errors import ClusterError
from leasehold.kubectl.lock import QUALIFIED, LockView, named, printable, text, who_holds
from leasehold.lock.keys import DEFAULT_ROOT, Keys
from leasehold.lock.names import LockName

DONE: Final = 0
NOT_DONE: Final = 1


def now() -> datetime:
    """The wall clock, which the ages are counted by."""
    return datetime.now(UTC)


def tell(sentence: str) -> None:
    """Say something beside the result."""
    sys.stderr.write(f"leasehold: {sentence}\n")


def list_locks(cluster: Cluster, given: Arguments) -> int:
    """`list`."""
    namespace = "" if given.all_namespaces else cluster.namespace
    found = cluster.locks(namespace)
    if not found and given.output not in ("json", "yaml"):
        where = f" in {namespace} namespace" if namespace else ""
        sys.stderr.write(f"No resources found{where}.\n")
        return DONE
    sys.stdout.write(printing.many(found, given.output, now(), namespaces=given.all_namespaces))
    return DONE


def describe_lock(cluster: Cluster, given: Arguments) -> int:
    """`describe`. Events and etcd may be out of reach: then the rest is shown, with the reason in their place."""
    view = cluster.get(given.lock(cluster.namespace))
    if given.output in ("name", "table", "wide"):
        sys.stdout.write(printing.one(view, given.output, now()))
        return DONE
    told = _find_out(cluster, view, given)
    if given.output:
        sys.stdout.write(printing.as_data(describe.as_object(told), given.output))
        for error in filter(None, (told.events_error, told.queue_error)):
            tell(error)
    else:
        sys.stdout.write(describe.as_text(told, now()))
    return NOT_DONE if told.queue_error else DONE


def _find_out(cluster: Cluster, view: LockView, given: Arguments) -> describe.Told:
    found: dict[str, Any] = {}
    try:
        found["events"] = cluster.events(view)
    except ClusterError as error:
        found["events_error"] = str(error)
    if given.etcd is not None:
        found |= _queue(view, given)
    return describe.Told(view, **found)


def _queue(view: LockView, given: Arguments) -> dict[str, Any]:
    """The queue in etcd, by the reading of `leasehold status`."""
    import asyncio
    import json
    import logging

    from leasehold.candidate import queue_status  # brings the etcd client along, which only this needs
    from leasehold.etcd import EtcdError

    assert given.etcd is not None
    logging.getLogger("leasehold").setLevel(logging.CRITICAL)  # what goes wrong is said below, once
    try:
        queue = asyncio.run(queue_status.read_any(given.etcd, Keys(view.name, given.root or root_of(view))))
    except EtcdError as error:
        return {"queue_error": f"The queue cannot be read: {printable(queue_status.why(given.etcd, error))}"}
    return {"queue": queue_status.as_table(queue), "queue_data": json.loads(queue_status.as_json(queue))}


def root_of(view: LockView) -> str:
    """The root of the Lock's keys, by the key that its status names: the operator may use another than the usual."""
    key, usual = text(view.status, "key"), Keys(view.name, "").prefix
    return key.removesuffix(usual) if key.startswith("/") and key.endswith(usual) and key != usual else DEFAULT_ROOT


def handover(cluster: Cluster, given: Arguments) -> int:
    """`handover`."""
    view = cluster.get(given.lock(cluster.namespace))
    if given.to is not None:
        return _prefer(cluster, view, given, given.to)
    meant = change.target(view, given.token)
    after = _change(cluster, view, change.handover(meant), given)
    if given.wait:
        return _wait(cluster, after.name, waiting.given_up(meant), given, f"{named(meant.holders)} did not hand over")
    return DONE


def _prefer(cluster: Cluster, view: LockView, given: Arguments, identity: str) -> int:
    after = _change(cluster, view, change.prefer(view, identity), given)
    if given.wait and identity:
        missed = f"{printable(identity)} did not take over"
        return _wait(cluster, after.name, waiting.held_by(identity), given, missed)
    return DONE


def suspend(cluster: Cluster, given: Arguments) -> int:
    """`suspend`."""
    _change(cluster, cluster.get(given.lock(cluster.namespace)), change.suspend, given)
    return DONE


def resume(cluster: Cluster, given: Arguments) -> int:
    """`resume`."""
    _change(cluster, cluster.get(given.lock(cluster.namespace)), change.resume, given)
    return DONE


def revoke(cluster: Cluster, given: Arguments) -> int:
    """`revoke`. Who it is about is fixed before the question, and stays so however long the answer takes."""
    view = cluster.get(given.lock(cluster.namespace))
    meant = change.target(view, given.token)
    tell(what_is_given_up(view, meant))
    if not given.yes and not _confirmed():
        tell("Nothing was changed.")
        return NOT_DONE
    _change(cluster, view, change.revoke(meant), given)
    return DONE


def what_is_given_up(view: LockView, meant: Target) -> str:
    """What a revocation costs."""
    return (
        f"Revoking deletes the key of {named(meant.holders)} in etcd: whoever waits for {view.name} leads at once, "
        f"while a holder that is cut off may believe for up to {view.ttl} more seconds that it still leads, so that "
        "only fencing tokens keep the two apart meanwhile."
    )


def _confirmed() -> bool:
    sys.stderr.write("Revoke? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def wait(cluster: Cluster, given: Arguments) -> int:
    """`wait`."""
    wanted = {"held": "held by anybody", "free": "free"}.get(
        given.goal, f"held by {given.goal.removeprefix('holder=')}"
    )
    missed = f"it was not {printable(wanted)}"
    return _wait(cluster, given.lock(cluster.namespace), waiting.goal(given.goal), given, missed, say=True)


# --- what they share ---


def _change(cluster: Cluster, view: LockView, decide: Decide, given: Arguments) -> LockView:
    """Make a change and say what was done."""
    after, made = change.apply(cluster, view, decide, tell)
    _say(after, made.said, given)
    return after


def _say(view: LockView, what: str, given: Arguments) -> None:
    """A sentence as kubectl has them, or the Lock in the format that was asked for."""
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
    """Wait as long as `--timeout` says. `say`: the Lock is the result, and was not printed before."""
    one = waiting.Waiting(cluster, lock, met, given.timeout)
    done = one.run()
    assert one.last is not None
    if not done:
        tell(f"After {given.timeout:g} seconds {missed}: the Lock {lock} {who_holds(one.last)}.")
        return NOT_DONE
    if say or not given.output:
        _say(one.last, who_holds(one.last), given)
    return DONE


FUNCTIONS: Final[dict[str, Callable[[Cluster, Arguments], int]]] = {
    "list": list_locks,
    "describe": describe_lock,
    "handover": handover,
    "suspend": suspend,
    "resume": resume,
    "revoke": revoke,
    "wait": wait,
}
