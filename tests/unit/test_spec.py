"""A lock's spec in etcd: any bytes are a spec, or one sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.lock.names import MAX_IDENTITY
from leasehold.lock.spec import MAX_LEASE, Spec
from tests.support.json_values import json_values, quick

# --- the declared lock -----------------------------------------------------------------------------------------------

short = st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_IDENTITY)
specs = st.builds(
    Spec,
    ttl=st.none() | st.integers(3, 3600),
    capacity=st.integers(1, 1000),
    suspend=st.booleans(),
    deleting=st.booleans(),
    preferred_holder=short,
    preferred_group=short,
    handover_up_to_token=st.integers(0, MAX_LEASE),
    uid=short,
    generation=st.integers(0, MAX_LEASE),
    cluster=short,
)


def test_a_spec_has_the_documented_names() -> None:
    full = Spec(30, 2, True, True, "a", "g", 9, "u", 4, "c")
    assert json.loads(full.encode()) == {
        "leaseDurationSeconds": 30,
        "capacity": 2,
        "suspend": True,
        "deleting": True,
        "preferredHolder": "a",
        "preferredGroup": "g",
        "handoverUpToToken": 9,
        "uid": "u",
        "generation": 4,
        "cluster": "c",
    }


@quick
@given(specs)
def test_a_spec_comes_back_as_it_was(spec: Spec) -> None:
    assert Spec.decode(spec.encode()) == spec


@quick
@given(specs, specs)
def test_specs_are_equal_just_when_their_bytes_are(one: Spec, other: Spec) -> None:
    """The operator finds drift by comparing bytes."""
    assert (one == other) == (one.encode() == other.encode())
    assert Spec(**{name: getattr(one, name) for name in Spec.__slots__}).encode() == one.encode()


def test_an_empty_object_is_an_undeclared_locks_spec() -> None:
    assert Spec.decode(b"{}") == Spec() == Spec(None, 1, False, False, "", "", 0, "", 0, "")


@pytest.mark.parametrize("name", ["preferredHolder", "preferredGroup", "uid", "cluster"])
def test_half_a_character_is_no_text(name: str) -> None:
    """Whoever showed it, as the page of all locks does, would fail at that."""
    with pytest.raises(ValueError, match=f"an impossible {name}: ") as complaint:
        Spec.decode(json.dumps({name: "a\ud800"}).encode())
    assert str(complaint.value).encode()
    assert Spec.decode(json.dumps({name: "\U0001f600"}).encode()).encode()  # two halves in JSON, and one character


def test_unknown_fields_are_kept_by_name_only() -> None:
    """Fields of a newer operator are kept by name only."""
    spec = Spec.decode(b'{"capacity":2,"weight":3,"a\\u0007":{}}')
    assert spec == Spec(capacity=2)
    assert spec.unknown == ("a�", "weight")


def test_only_a_few_unknown_fields_are_kept() -> None:
    """A value of etcd's largest size can have a hundred thousand: too much for a log line, and for a flight record."""
    spec = Spec.decode(json.dumps({f"field-{number}": 0 for number in range(100_000)}).encode())
    assert spec.unknown[:2] == ("field-0", "field-1")
    assert len(spec.unknown) == 10


@quick
@given(st.binary(max_size=600) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_spec_or_one_sentence(value: bytes) -> None:
    """Any bytes under the spec key are a spec or one sentence."""
    spec = complaint = None
    try:
        spec = Spec.decode(value)
    except ValueError as error:
        complaint = str(error)
    if spec is not None:
        assert Spec.decode(spec.encode()) == spec
    else:
        assert complaint is not None
        assert complaint.startswith("the lock's spec key")
        assert len(complaint.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ('{"leaseDurationSeconds":2}', "leaseDurationSeconds"),
        ('{"leaseDurationSeconds":3601}', "leaseDurationSeconds"),
        ('{"leaseDurationSeconds":"15"}', "leaseDurationSeconds"),
        ('{"leaseDurationSeconds":null}', "leaseDurationSeconds"),
        ('{"capacity":0}', "capacity"),
        ('{"capacity":1001}', "capacity"),
        ('{"capacity":true}', "capacity"),
        ('{"capacity":1e2}', "capacity"),
        ('{"capacity":NaN}', "capacity"),
        ('{"suspend":1}', "suspend"),
        ('{"deleting":"no"}', "deleting"),
        ('{"preferredHolder":["a"]}', "preferredHolder"),
        (f'{{"preferredGroup":"{"g" * 254}"}}', "preferredGroup"),
        ('{"handoverUpToToken":-1}', "handoverUpToToken"),
        ('{"handoverUpToToken":9223372036854775808}', "handoverUpToToken"),
        ('{"generation":0.5}', "generation"),
        ('{"uid":1}', "uid"),
        ('{"cluster":[]}', "cluster"),
        ("[]", "JSON object"),
        ('{"capacity":2', "JSON object"),
        ('{"capacity":' + "[" * 100_000, "JSON object"),
        ('{"capacity":' + "9" * 5000 + "}", "JSON object"),
    ],
    ids=lambda text: text[:40],
)
def test_an_impossible_spec_is_named_in_one_sentence(value: str, named: str) -> None:
    with pytest.raises(ValueError, match=named) as raised:
        Spec.decode(value.encode())
    assert len(str(raised.value)) < 200


def test_deep_nesting_is_no_crash() -> None:
    """Whatever can still be parsed must still be reportable."""
    for depth in range(500, 1100):
        with pytest.raises(ValueError, match="the lock's spec key"):
            Spec.decode(b'{"capacity":' + b"[" * depth + b"]" * depth + b"}")
