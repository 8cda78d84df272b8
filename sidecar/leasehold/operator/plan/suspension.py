"""Who suspended a lock, and who resumed it: an event for each, so that none of it happens in silence. Pure.

`kubectl replace` and `helm upgrade --force-replace` write the whole resource, so a `suspend` that somebody set by hand
falls back to its default. The event names the field manager that did it. Server-side apply of a manifest that no longer
has the field leaves no such name.
"""

from __future__ import annotations

from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import Event
from leasehold.operator.plan.resource import Lock


def suspension_events(lock: Lock, facts: Facts) -> tuple[Event, ...]:
    """The event, if `suspend` has changed since the last reconcile, or since the spec key was written."""
    before = facts.situation.memory.suspended
    if before is None:
        before = _declared(lock, facts)
    if lock.mistakes or before is None or before == lock.spec.suspend:
        return ()
    who = lock.managers.get("suspend", "")
    by = who or "its default: no field manager sets it any more"
    text = f"spec.suspend is {'true' if lock.spec.suspend else 'false'} now, by {by}"
    return (Event("Suspended", text) if lock.spec.suspend else Event("Resumed", text),)


def _declared(lock: Lock, facts: Facts) -> bool | None:
    """What the spec key says that was written for this resource; None if there is none."""
    declared = facts.declared
    is_ours = declared is not None and declared.uid == lock.uid and not declared.deleting
    return declared.suspend if declared is not None and is_ours else None
