"""What the schema lets through is what the operator can use: no more, no less, and with the same defaults."""

from typing import Any

import pytest

from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import MAX_LEASE
from leasehold.operator.plan.resource import FINALIZER, GROUP, KIND, PLURAL, VERSION, LockSpec, parse
from leasehold.operator.plan.status import MOST_HOLDERS, Condition, conditions, holders
from tests.unit.operator.test_crd_schema import CRD, SPEC, STATUS
from tests.unit.operator.test_crd_schema import VERSION as SCHEMA


def mistakes(**spec: Any) -> tuple[str, ...]:
    body = {"metadata": {"namespace": "team", "name": "lock", "uid": "1"}, "spec": spec}
    return parse(body).mistakes


def highest(field: dict[str, Any]) -> int:
    return int(field.get("maximum", MAX_LEASE))  # int64 is the bound of what has no other


NUMBERS = [(name, field) for name, field in SPEC.items() if field["type"] == "integer"]


def test_the_names_are_those_of_the_code() -> None:
    names = CRD["spec"]["names"]
    assert (CRD["spec"]["group"], SCHEMA["name"], names["plural"], names["kind"]) == (GROUP, VERSION, PLURAL, KIND)
    assert FINALIZER.startswith(f"{GROUP}/")


def test_the_defaults_are_those_of_the_code() -> None:
    """Also of a field that is missing, as in an object that is older than the field."""
    body = {"metadata": {"namespace": "team", "name": "lock", "uid": "1"}}
    defaults = {name: field["default"] for name, field in SPEC.items()}
    lock = parse({**body, "spec": defaults})
    assert (lock.spec, lock.mistakes) == (LockSpec(), ())
    assert parse(body).spec == LockSpec()


@pytest.mark.parametrize(("name", "field"), NUMBERS, ids=[name for name, _ in NUMBERS])
def test_the_bounds_are_those_of_the_code(name: str, field: dict[str, Any]) -> None:
    low, high = field["minimum"], highest(field)
    assert [mistakes(**{name: value}) for value in (low, high)] == [(), ()]
    for value in (low - 1, high + 1):
        [sentence] = mistakes(**{name: value})
        assert sentence.startswith(f"spec.{name} is ")


def test_texts_are_bounded_as_in_the_code() -> None:
    longest = SPEC["preferredHolder"]["maxLength"]
    assert mistakes(preferredHolder="x" * longest) == ()
    assert mistakes(preferredHolder="x" * (longest + 1))
    for policy in SPEC["deletionPolicy"]["enum"]:
        assert mistakes(deletionPolicy=policy) == ()
    assert mistakes(deletionPolicy="Delete")


def test_every_field_is_read() -> None:
    """A field that the code does not know would be promised by the schema, and never kept."""
    assert [name for name in SPEC if not mistakes(**{name: ["of no use"]})] == []


def test_the_lists_of_the_status_have_exactly_the_fields_of_the_schema() -> None:
    """The API server would drop another one, so the status would never be as it is wanted."""
    record = Record("pod-1", "pod-1", "team", "uid", "node", "group", incarnation="1")
    entries = [Entry(f"/queue/{lease:x}", lease, lease, lease, record) for lease in range(1, MOST_HOLDERS + 2)]
    listed = holders(entries, {entry.create_revision: "2026-01-02T03:04:05Z" for entry in entries})
    assert len(listed) == STATUS["holders"]["maxItems"]
    assert listed[0].keys() == STATUS["holders"]["items"]["properties"].keys()
    [written] = conditions([Condition("Ready", "True", "Declared", "It is.")], {}, 1, "2026-01-02T03:04:05Z")
    assert written.keys() == STATUS["conditions"]["items"]["properties"].keys()
