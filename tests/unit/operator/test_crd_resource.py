"""The schema accepts exactly what the operator can use, with the same defaults."""

from typing import Any

import pytest

from leasehold.lock.kube_names import FINALIZER, GROUP, KIND, PLURAL, VERSION
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import MAX_LEASE
from leasehold.operator.plan.resource import LockSpec, parse
from leasehold.operator.plan.status import (
    MAX_LISTED_HOLDERS,
    Condition,
    RecordedStatus,
    render_conditions,
    render_holders,
)
from tests.unit.operator.test_crd_schema import CRD, SPEC, STATUS
from tests.unit.operator.test_crd_schema import VERSION as SCHEMA


def mistakes(**spec: Any) -> tuple[str, ...]:
    body = {"metadata": {"namespace": "team", "name": "lock", "uid": "1"}, "spec": spec}
    return parse(body).mistakes


def highest(field: dict[str, Any]) -> int:
    return int(field.get("maximum", MAX_LEASE))  # without another bound, int64 is one


NUMBERS = [(name, field) for name, field in SPEC.items() if field["type"] == "integer"]


def test_names_match_the_code() -> None:
    names = CRD["spec"]["names"]
    assert (CRD["spec"]["group"], SCHEMA["name"], names["plural"], names["kind"]) == (GROUP, VERSION, PLURAL, KIND)
    assert FINALIZER.startswith(f"{GROUP}/")


def test_defaults_match_the_code() -> None:
    """Missing fields get them as well: an object may be older than a field."""
    body = {"metadata": {"namespace": "team", "name": "lock", "uid": "1"}}
    defaults = {name: field["default"] for name, field in SPEC.items() if "default" in field}
    lock = parse({**body, "spec": defaults})
    assert (lock.spec, lock.mistakes) == (LockSpec(), ())
    assert parse(body).spec == LockSpec()


@pytest.mark.parametrize(("name", "field"), NUMBERS, ids=[name for name, _ in NUMBERS])
def test_bounds_match_the_code(name: str, field: dict[str, Any]) -> None:
    low, high = field["minimum"], highest(field)
    assert [mistakes(**{name: value}) for value in (low, high)] == [(), ()]
    for value in (low - 1, high + 1):
        [sentence] = mistakes(**{name: value})
        assert sentence.startswith(f"spec.{name} is ")


def test_text_lengths_match_the_code() -> None:
    longest = SPEC["preferredHolder"]["maxLength"]
    assert mistakes(preferredHolder="x" * longest) == ()
    assert mistakes(preferredHolder="x" * (longest + 1))
    for policy in SPEC["deletionPolicy"]["enum"]:
        assert mistakes(deletionPolicy=policy) == ()
    assert mistakes(deletionPolicy="Delete")


def test_every_field_is_read() -> None:
    """If the code ignored a field, the schema would promise what nobody does."""
    assert [name for name in SPEC if not mistakes(**{name: ["of no use"]})] == []


def test_status_lists_match_the_schema() -> None:
    """The API server would drop any other field, so the status would never become the desired one."""
    record = Record("pod-1", "pod-1", "team", "uid", "node", "group", incarnation="1")
    entries = [Entry(f"/queue/{lease:x}", lease, lease, lease, record) for lease in range(1, MAX_LISTED_HOLDERS + 2)]
    listed = render_holders(entries, {entry.create_revision: "2026-01-02T03:04:05Z" for entry in entries})
    assert len(listed) == STATUS["holders"]["maxItems"]
    assert listed[0].keys() == STATUS["holders"]["items"]["properties"].keys()
    condition, nothing = Condition("Ready", "True", "Declared", "It is."), RecordedStatus.read({})
    [written] = render_conditions([condition], nothing, 1, "2026-01-02T03:04:05Z")
    assert written.keys() == STATUS["conditions"]["items"]["properties"].keys()
