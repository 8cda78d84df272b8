"""Names and values in etcd: what other programs rely on, and that no bytes from elsewhere can do harm."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leasehold.lock.keys import Keys, prefix_end
from leasehold.lock.names import MAX_IDENTITY, LockName, sanitise
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import MAX_LEASE, Spec

quick = settings(deadline=None)
"""A busy machine must not fail a test."""

LOCK = LockName("shop", "billing")

# --- names -----------------------------------------------------------------------------------------------------------


def test_the_keys_have_the_documented_layout() -> None:
    """Operators, other clients and `etcdctl elect` build these very strings."""
    keys = Keys(LOCK, "/root")
    assert keys.prefix == "/root/locks/shop/billing/queue"
    assert keys.queue == "/root/locks/shop/billing/queue/"
    assert keys.spec == "/root/locks/shop/billing/spec"
    assert keys.entry(0x326963A0F7B9E03C) == "/root/locks/shop/billing/queue/326963a0f7b9e03c"


def test_the_root_is_leasehold_unless_set() -> None:
    assert Keys(LOCK).spec == "/leasehold/locks/shop/billing/spec"


def test_the_spec_is_no_candidate() -> None:
    """A read of the whole queue must not find the spec in it."""
    keys = Keys(LOCK)
    assert not keys.queue.encode() <= keys.spec.encode() < prefix_end(keys.queue)


@quick
@given(st.text(), st.text())
def test_a_prefix_range_holds_only_its_keys(prefix: str, other: str) -> None:
    """A range over a prefix holds just the keys under it."""
    prefix = prefix.encode(errors="replace").decode() + "/"
    key = other.encode(errors="replace")
    assert (prefix.encode() <= key < prefix_end(prefix)) == key.startswith(prefix.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("billing", LockName("default", "billing")),
        ("shop/billing", LockName("shop", "billing")),
        ("a/b.c-d.0", LockName("a", "b.c-d.0")),
    ],
)
def test_a_lock_name_may_omit_its_namespace(text: str, expected: LockName) -> None:
    """A lock is named with or without its namespace."""
    assert LockName.parse(text, "default") == expected
    assert LockName.parse(str(expected), "elsewhere") == expected


@pytest.mark.parametrize(
    "text",
    ["", "/", "shop/", "/billing", "a/b/c", "Billing", "-a", "a-", "a..b", ".a", "a.", "a_b", "sh.op/a", "a\n", "ä"],
)
def test_an_invalid_name_is_refused_in_a_sentence(text: str) -> None:
    """A name that kubernetes would refuse is refused in a sentence."""
    with pytest.raises(ValueError, match="is not valid: use at most"):
        LockName.parse(text, "default")


def test_names_are_as_long_as_kubernetes_lets_them_be() -> None:
    LockName("n" * 63, "l" * 253)
    for namespace, name in (("n" * 64, "l"), ("n", "l" * 254)):
        with pytest.raises(ValueError, match="use at most"):
            LockName(namespace, name)


@quick
@given(st.text(max_size=20), st.text(max_size=20))
def test_no_valid_name_leaves_its_prefix(namespace: str, name: str) -> None:
    """No name that passes can leave its place in the tree."""
    try:
        lock = LockName(namespace, name)
    except ValueError:
        return
    assert Keys(lock).spec.count("/") == 5
    assert LockName.parse(str(lock), "other") == lock


# --- candidate records -----------------------------------------------------------------------------------------------

clean = st.text(max_size=300).map(sanitise)
named = clean.filter(bool)
records = st.builds(
    Record,
    identity=named,
    pod=clean,
    pod_namespace=clean,
    pod_uid=clean,
    node=clean,
    group=clean,
    priority=st.integers(-(2**31), 2**31 - 1),
    incarnation=named,
    yield_to=clean,
    certificate=clean,
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_a_record_has_the_documented_names() -> None:
    """`etcdctl get` shows this to people, and other programs read it."""
    full = Record("a", "p", "ns", "uid", "n", "g", 7, "i", "b", "leasehold:ns/shop")
    assert json.loads(full.encode()) == {
        "identity": "a",
        "pod": "p",
        "podNamespace": "ns",
        "podUID": "uid",
        "node": "n",
        "group": "g",
        "priority": 7,
        "incarnation": "i",
        "yieldTo": "b",
        "certificate": "leasehold:ns/shop",
    }
    assert Record("a", incarnation="i").encode() == b'{"identity":"a","incarnation":"i"}'


@quick
@given(records)
def test_a_record_of_ours_comes_back_as_it_was(record: Record) -> None:
    assert Record.decode(record.encode()) == record


@quick
@given(st.binary(max_size=600) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_value_has_a_safe_identity(value: bytes) -> None:
    """Any value in the queue is a candidate with an identity that is safe to show."""
    record = Record.decode(value)
    if record.foreign:
        assert record == Record(sanitise(value.decode(errors="replace")), foreign=True)
    assert len(record.identity) <= MAX_IDENTITY
    assert sanitise(record.identity) == record.identity


wrong_fields = st.dictionaries(
    st.sampled_from(
        [
            "identity",
            "pod",
            "podNamespace",
            "podUID",
            "node",
            "group",
            "priority",
            "incarnation",
            "yieldTo",
            "certificate",
        ]
    ),
    json_values | st.text(min_size=1),
    max_size=10,
)


@quick
@given(records, wrong_fields)
def test_a_record_is_ours_in_every_detail(record: Record, wrong: dict[str, Any]) -> None:
    """Half-believed records would be ranked, passed by or resumed on someone else's word."""
    value = json.dumps({**json.loads(record.encode()), **wrong}).encode()
    read = Record.decode(value)
    if read.foreign:
        assert (read.group, read.priority, read.incarnation, read.yield_to) == ("", 0, "", "")
    else:
        assert Record.decode(read.encode()) == read
        assert isinstance(read.priority, int)
        assert not isinstance(read.priority, bool)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"host-1",
        b"{}",
        b"[]",
        b"null",
        b'{"identity":"a"}',
        b'{"identity":"","incarnation":"i"}',
        b'{"identity":"a","incarnation":7}',
        b'{"identity":"a","incarnation":"i","priority":1.0}',
        b'{"identity":"a","incarnation":"i","priority":true}',
        b'{"identity":"a","incarnation":"i","priority":2147483648}',
        b'{"identity":"a\\u001b[2J","incarnation":"i"}',
        b'{"identity":"a","incarnation":"i"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_leasehold_did_not_write_is_foreign(value: bytes) -> None:
    """`etcdctl elect` and Go programs write any text they like into the queue."""
    assert Record.decode(value).foreign


def test_unknown_fields_do_not_make_a_record_foreign() -> None:
    """Unknown fields of a newer sidecar do not make it foreign."""
    assert not Record.decode(b'{"identity":"a","incarnation":"i","colour":"red"}').foreign


BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
hostile = st.text(
    st.sampled_from("a\x00\x07\x1b\x7f\x85\xad\u200b\u200f\u2028\u2029\u202e\u2066\ud800\ufeff\uffff\U0001f600")
)


@quick
@given(st.text() | hostile)
def test_a_sanitised_text_is_short_and_stays_on_its_line(text: str) -> None:
    """Nothing from another candidate may move the cursor, split or reorder a line, or break UTF-8."""
    safe = sanitise(text)
    assert len(safe) <= MAX_IDENTITY
    assert len(safe.splitlines()) <= 1
    assert not {unicodedata.category(character) for character in safe} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(character) for character in safe} & BIDI_CONTROLS
    assert sanitise(safe) == safe
    assert safe.encode().decode() == safe


@quick
@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=MAX_IDENTITY))
def test_a_plain_identity_is_left_as_it_is(text: str) -> None:
    assert sanitise(text) == text


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


def test_unknown_fields_are_kept_by_name_only() -> None:
    """Fields of a newer operator are kept by name only."""
    spec = Spec.decode(b'{"capacity":2,"weight":3,"a\\u0007":{}}')
    assert spec == Spec(capacity=2)
    assert spec.unknown == ("a�", "weight")


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


# --- entries ---------------------------------------------------------------------------------------------------------


def test_an_entry_is_changed_once_its_record_was_rewritten() -> None:
    entry = Entry("k", 1, 5, 5, Record("a"))
    assert not entry.changed
    assert Entry("k", 1, 5, 6, Record("a")).changed
