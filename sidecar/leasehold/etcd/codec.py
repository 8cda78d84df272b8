"""The plain values of `model` to and from etcd's messages. Pure; every field of ours is translated here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from leasehold.election.events import ResponseHeader
from leasehold.etcd import rpc_pb2 as pb
from leasehold.etcd.model import (
    Compare,
    Delete,
    DeleteAnswer,
    Get,
    Key,
    KeyValue,
    Op,
    Put,
    PutAnswer,
    RangeAnswer,
    Relation,
    SortBy,
    StatusAnswer,
    TimeToLiveAnswer,
    TxnAnswer,
    WatchEvent,
)

_SORT_TARGETS: Final = {
    SortBy.KEY: pb.RangeRequest.KEY,
    SortBy.VERSION: pb.RangeRequest.VERSION,
    SortBy.CREATE: pb.RangeRequest.CREATE,
    SortBy.MOD: pb.RangeRequest.MOD,
    SortBy.VALUE: pb.RangeRequest.VALUE,
}

_RELATIONS: Final[dict[Relation, pb.Compare.CompareResult]] = {
    "=": pb.Compare.EQUAL,
    "!=": pb.Compare.NOT_EQUAL,
    "<": pb.Compare.LESS,
    ">": pb.Compare.GREATER,
}


def raw(key: Key | None) -> bytes:
    """A key as bytes, one that was read with `surrogateescape` as it was; no key at all is empty."""
    return key.encode(errors="surrogateescape") if isinstance(key, str) else key or b""


# --- requests --------------------------------------------------------------------------------------------------------


def range_request(get: Get) -> pb.RangeRequest:
    """A request to read."""
    order = pb.RangeRequest.NONE
    if get.sort is not None:
        order = pb.RangeRequest.DESCEND if get.descending else pb.RangeRequest.ASCEND
    return pb.RangeRequest(
        key=raw(get.key),
        range_end=raw(get.end),
        limit=get.limit,
        revision=get.revision,
        sort_order=order,
        sort_target=_SORT_TARGETS[get.sort or SortBy.KEY],
        serializable=get.serializable,
        keys_only=get.keys_only,
        count_only=get.count_only,
        min_mod_revision=get.min_mod_revision,
        max_mod_revision=get.max_mod_revision,
        min_create_revision=get.min_create_revision,
        max_create_revision=get.max_create_revision,
    )


def put_request(put: Put) -> pb.PutRequest:
    """A request to write."""
    return pb.PutRequest(key=raw(put.key), value=put.value, lease=put.lease, prev_kv=put.prev)


def delete_request(delete: Delete) -> pb.DeleteRangeRequest:
    """A request to delete."""
    return pb.DeleteRangeRequest(key=raw(delete.key), range_end=raw(delete.end), prev_kv=delete.prev)


def txn_request(compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op]) -> pb.TxnRequest:
    """A request for a transaction."""
    return pb.TxnRequest(
        compare=map(_compare, compares), success=map(_request_op, success), failure=map(_request_op, failure)
    )


def _request_op(op: Op) -> pb.RequestOp:
    match op:
        case Get():
            return pb.RequestOp(request_range=range_request(op))
        case Put():
            return pb.RequestOp(request_put=put_request(op))
        case Delete():
            return pb.RequestOp(request_delete_range=delete_request(op))


def _compare(compare: Compare) -> pb.Compare:
    message = _operand(compare)
    message.key = raw(compare.key)
    message.result = _RELATIONS[compare.op]
    message.range_end = raw(compare.end)
    return message


def _operand(compare: Compare) -> pb.Compare:
    if isinstance(compare.operand, bytes):
        return pb.Compare(target=pb.Compare.VALUE, value=compare.operand)
    match compare.subject:
        case "create":
            return pb.Compare(target=pb.Compare.CREATE, create_revision=compare.operand)
        case "mod":
            return pb.Compare(target=pb.Compare.MOD, mod_revision=compare.operand)
        case "version":
            return pb.Compare(target=pb.Compare.VERSION, version=compare.operand)
        case "lease":
            return pb.Compare(target=pb.Compare.LEASE, lease=compare.operand)
        case "value":
            raise TypeError(f"a key's value is compared with bytes, not with {compare.operand}")


# --- answers ---------------------------------------------------------------------------------------------------------


def origin_of(header: pb.ResponseHeader) -> ResponseHeader:
    """Who answered, and what it knew."""
    return ResponseHeader(header.cluster_id, header.member_id, header.raft_term, header.revision)


def key_value(kv: pb.KeyValue) -> KeyValue:
    """A key as etcd has it."""
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def range_answer(message: pb.RangeResponse, origin: ResponseHeader) -> RangeAnswer:
    """What was read."""
    return RangeAnswer(origin, tuple(map(key_value, message.kvs)), message.count, message.more)


def put_answer(message: pb.PutResponse, origin: ResponseHeader) -> PutAnswer:
    """What was overwritten."""
    return PutAnswer(origin, key_value(message.prev_kv) if message.HasField("prev_kv") else None)


def delete_answer(message: pb.DeleteRangeResponse, origin: ResponseHeader) -> DeleteAnswer:
    """What was deleted."""
    return DeleteAnswer(origin, message.deleted, tuple(map(key_value, message.prev_kvs)))


def txn_answer(message: pb.TxnResponse) -> TxnAnswer:
    """What a transaction did. The answers in it have no more than a revision in their headers: its own counts."""
    origin = origin_of(message.header)
    return TxnAnswer(origin, message.succeeded, tuple(_response_op(op, origin) for op in message.responses))


def _response_op(op: pb.ResponseOp, origin: ResponseHeader) -> RangeAnswer | PutAnswer | DeleteAnswer:
    match op.WhichOneof("response"):
        case "response_range":
            return range_answer(op.response_range, origin)
        case "response_put":
            return put_answer(op.response_put, origin)
        case _:
            return delete_answer(op.response_delete_range, origin)


def time_to_live_answer(message: pb.LeaseTimeToLiveResponse) -> TimeToLiveAnswer:
    """What is left of a lease."""
    return TimeToLiveAnswer(origin_of(message.header), message.ID, message.TTL, message.grantedTTL, tuple(message.keys))


def status_answer(message: pb.StatusResponse) -> StatusAnswer:
    """A member's state."""
    return StatusAnswer(
        origin_of(message.header),
        message.version,
        message.dbSize,
        message.leader,
        message.raftTerm,
        message.raftIndex,
        message.isLearner,
        tuple(message.errors),
    )


def watch_event(event: pb.Event) -> WatchEvent:
    """One change of a key."""
    previous = key_value(event.prev_kv) if event.HasField("prev_kv") else None
    return WatchEvent(event.type == pb.Event.DELETE, key_value(event.kv), previous)
