"""Events, commands and snapshots as JSON and back: every class of them, whatever is in it."""

from __future__ import annotations

import json
import types
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.candidate.record_codec import COMMANDS, EVENTS, RecordError, decode, dumps, encode, loads
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import Snapshot
from leasehold.lock.names import LockName
from leasehold.lock.spec import Spec

KINDS = [*EVENTS.values(), *COMMANDS.values(), Snapshot, ElectionConfig]

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    float: st.floats(-1e12, 1e12),
    int: st.integers(-(2**63), 2**64),
    str: st.text(st.characters(), max_size=20),  # lone surrogates, too: a key may be of any bytes
    bool: st.booleans(),
    types.NoneType: st.none(),
    LockName: st.sampled_from([LockName("shop", "billing"), LockName("a", "b.c-d")]),
}


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Any value that this annotation allows."""
    if kind in PLAIN:
        return PLAIN[kind]
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return st.lists(anything(arguments[0]), max_size=3).map(tuple)
    if get_origin(kind) is frozenset:
        return st.frozensets(anything(arguments[0]), max_size=3)
    if arguments:
        return st.one_of(*map(anything, arguments))
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    return st.builds(kind, **{name: anything(one) for name, one in get_type_hints(kind).items()})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
@given(data=st.data())
def test_each_comes_back_as_it_was(kind: Any, data: st.DataObject) -> None:
    """Through a line of JSON, in which nothing but printable ASCII stands."""
    value = data.draw(anything(kind))
    line = dumps(encode(value))
    assert all(" " <= character <= "~" for character in line)
    back = decode(kind, loads(line.encode()))
    assert back == value
    assert encode(back) == encode(value)  # also what does not count in comparisons


def test_equal_specs_may_differ() -> None:
    """The names of a spec's unknown fields do not count in comparisons, and yet are noted by the election."""
    first, second = Spec(unknown=("a",)), Spec(unknown=("b",))
    assert first == second
    assert [encode(first), encode(second)] == [{"unknown": ["a"]}, {"unknown": ["b"]}]


@pytest.mark.parametrize("kind", EVENTS.values(), ids=lambda kind: str(kind.__name__))
@given(
    data=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["op", "origin", "x"]), inner),
        max_leaves=5,
    )
)
def test_anything_else_is_refused(kind: Any, data: Any) -> None:
    """With a RecordError, and nothing else."""
    try:
        value = decode(kind, data)
    except RecordError:
        return
    assert isinstance(value, kind)


@pytest.mark.parametrize("line", [b"", b"{", b"\xff", b"NaN", b"[" * 100_000, b'{"a": Infinity}', b"1" * 5000])
def test_what_is_not_json_is_refused(line: bytes) -> None:
    with pytest.raises(RecordError):
        loads(line)


def test_a_class_of_another_kind_is_not_recorded() -> None:
    with pytest.raises(TypeError, match="cannot be recorded"):
        encode(json.JSONDecoder())
