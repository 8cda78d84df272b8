"""A suspension that begins or ends is told, with the field manager that did it."""

from __future__ import annotations

from dataclasses import replace

from leasehold.operator.plan.model import Event, Memory
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import Lock
from tests.unit.operator.planned import declared, lock, names, settled, situation


def changed(resource: Lock, suspend: bool, manager: str) -> Lock:
    spec = replace(resource.spec, suspend=suspend)
    return replace(resource, spec=spec, generation=resource.generation + 1, managers={"suspend": manager})


def test_who_undid_a_suspension_is_told() -> None:
    """`kubectl replace` sets what its manifest leaves out to the default."""
    resource, memory = settled(lock(suspend=True), declared(suspend=True))
    replaced = changed(resource, False, "kubectl-replace")
    for known in (memory, Memory()):
        decided = plan(situation(replaced, declared(suspend=True), memory=known))
        [event] = decided.events
        assert event == Event("Resumed", "spec.suspend is false now, by kubectl-replace"), "after a restart, too"
        again = plan(situation(replaced, declared(suspend=True), memory=decided.memory))
        assert again.events == (), "told once, though the spec key is not written yet"


def test_who_suspended_is_told() -> None:
    resource, memory = settled(lock(), declared())
    decided = plan(situation(changed(resource, True, "leasehold-kubectl"), declared(), memory=memory))
    assert [(one.reason, one.message) for one in decided.events] == [
        ("Suspended", "spec.suspend is true now, by leasehold-kubectl")
    ]


def test_server_side_apply_leaves_no_name() -> None:
    """Who applies a manifest that has lost the field gives it up."""
    resource, memory = settled(lock(suspend=True), declared(suspend=True))
    given_up = replace(changed(resource, False, ""), managers={})
    [event] = plan(situation(given_up, declared(suspend=True), memory=memory)).events
    assert event.message == "spec.suspend is false now, by its default: no field manager sets it any more"


def test_nothing_is_told_of_a_new_lock() -> None:
    """Nor of a key that somebody edited, which is repaired, nor while the spec cannot be read."""
    assert names(plan(situation(lock(suspend=True)))) == []
    resource, memory = settled(lock(), declared())
    assert names(plan(situation(resource, declared(suspend=True), memory=memory))) == []
    broken = replace(changed(resource, True, "x"), mistakes=("spec.suspend is 'yes': use true or false",))
    assert "Suspended" not in names(plan(situation(broken, declared(), memory=memory)))


def test_a_standby_that_takes_over_does_not_tell_it_again() -> None:
    resource, memory = settled(lock(), declared())
    suspended = changed(resource, True, "x")
    standby = plan(situation(suspended, declared(), memory=memory, active=False))
    assert names(plan(situation(suspended, declared(suspend=True), memory=standby.memory))) == []
