"""A candidate's record in etcd: what other programs rely on, and that no bytes from elsewhere can do harm."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.lock.names import MAX_IDENTITY, sanitise
from leasehold.lock.record import Entry, Record
from tests.support.json_values import json_values, quick

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


# --- entries ---------------------------------------------------------------------------------------------------------


def test_an_entry_is_changed_once_its_record_was_rewritten() -> None:
    entry = Entry("k", 1, 5, 5, Record("a"))
    assert not entry.changed
    assert Entry("k", 1, 5, 6, Record("a")).changed
