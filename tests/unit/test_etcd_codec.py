"""Requests and answers survive the way to etcd's messages and back, whatever they hold."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leasehold.etcd import codec
from leasehold.etcd import rpc_pb2 as pb
from leasehold.etcd.model import Compare, Delete, Get, KeyValue, Op, Put, ResponseHeader, SortBy

keys = st.one_of(st.binary(min_size=1, max_size=40), st.text(min_size=1, max_size=20))
ends = st.none() | keys
numbers = st.integers(0, 2**63 - 1)
counts = st.integers(0, 2**64 - 1)

headers = st.builds(pb.ResponseHeader, cluster_id=counts, member_id=counts, revision=numbers, raft_term=counts)
kvs = st.builds(
    pb.KeyValue,
    key=st.binary(max_size=20),
    value=st.binary(max_size=20),
    create_revision=numbers,
    mod_revision=numbers,
    version=numbers,
    lease=st.integers(-(2**63), 2**63 - 1),
)
gets = st.builds(
    Get,
    keys,
    end=ends,
    limit=numbers,
    revision=numbers,
    sort=st.none() | st.sampled_from(SortBy),
    keys_only=st.booleans(),
)
ops = gets | st.builds(Put, keys, st.binary(), numbers) | st.builds(Delete, keys, ends)


@given(gets)
def test_a_read_says_all_it_was_given(get: Get) -> None:
    message = pb.RangeRequest.FromString(codec.range_request(get).SerializeToString())
    assert message.key == codec.raw(get.key)
    assert message.range_end == codec.raw(get.end)
    for field in ("limit", "revision", "keys_only"):
        assert getattr(message, field) == getattr(get, field)
    assert (message.sort_order == pb.RangeRequest.NONE) == (get.sort is None)
    if get.sort is not None:
        assert pb.RangeRequest.SortTarget.Name(message.sort_target) == get.sort.name


@given(st.lists(ops, max_size=4), st.lists(ops, max_size=4))
def test_a_transaction_keeps_its_operations_in_order(success: list[Op], failure: list[Op]) -> None:
    message = codec.txn_request([], success, failure)
    for op, sent in [*zip(success, message.success, strict=True), *zip(failure, message.failure, strict=True)]:
        kind = {Get: "request_range", Put: "request_put", Delete: "request_delete_range"}[type(op)]
        assert sent.WhichOneof("request") == kind
        assert getattr(sent, kind).key == codec.raw(op.key)


@given(keys, ends, st.sampled_from(["=", "!=", "<", ">"]), numbers)
def test_a_comparison_names_its_subject(key: Any, end: Any, op: Any, number: int) -> None:
    made = {
        "create_revision": (Compare.create_revision(key, op, number, end=end), pb.Compare.CREATE),
        "mod_revision": (Compare.mod_revision(key, op, number, end=end), pb.Compare.MOD),
    }
    results = {"=": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", ">": "GREATER"}
    for field, (compare, target) in made.items():
        (message,) = codec.txn_request([compare], [], []).compare
        assert message.WhichOneof("target_union") == field  # set, even where it is 0 or empty
        assert getattr(message, field) == number
        assert message.target == target
        assert pb.Compare.CompareResult.Name(message.result) == results[op]
        assert (message.key, message.range_end) == (codec.raw(key), codec.raw(end))


@given(headers)
def test_the_origin_of_an_answer(header: pb.ResponseHeader) -> None:
    assert codec.origin_of(header) == ResponseHeader(
        cluster=header.cluster_id, member=header.member_id, term=header.raft_term, revision=header.revision
    )


@given(kvs)
def test_a_key_keeps_every_field(kv: pb.KeyValue) -> None:
    assert codec.key_value(kv) == KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


@given(headers, st.booleans(), st.lists(kvs, max_size=3))
def test_the_answers_of_a_transaction_carry_its_own_origin(
    header: pb.ResponseHeader, succeeded: bool, found: list[pb.KeyValue]
) -> None:
    message = pb.TxnResponse(
        header=header,
        succeeded=succeeded,
        responses=[
            pb.ResponseOp(response_range=pb.RangeResponse(kvs=found, count=9, more=True)),
            pb.ResponseOp(response_put=pb.PutResponse()),
            pb.ResponseOp(response_delete_range=pb.DeleteRangeResponse(deleted=7)),
        ],
    )
    answer = codec.txn_answer(pb.TxnResponse.FromString(message.SerializeToString()))
    read, put, delete = answer.answers
    origin = codec.origin_of(header)
    values = tuple(map(codec.key_value, found))
    assert (answer.origin, answer.succeeded) == (origin, succeeded)
    assert (read.origin, getattr(read, "kvs", None), getattr(read, "count", None)) == (origin, values, 9)
    assert put.origin == origin
    assert (delete.origin, getattr(delete, "deleted", None)) == (origin, 7)


@given(kvs, st.booleans())
def test_a_watched_change(kv: pb.KeyValue, deleted: bool) -> None:
    kind = pb.Event.DELETE if deleted else pb.Event.PUT
    event = codec.watch_event(pb.Event(type=kind, kv=kv))
    assert event.deleted is deleted
    assert event.kv == codec.key_value(kv)
