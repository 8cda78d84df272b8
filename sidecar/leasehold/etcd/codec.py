"""The plain values of `model` to and from etcd's messages. Pure; every field of `model` is translated here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from leasehold.etcd import rpc_pb2 as pb
from leasehold.etcd.model import (
    Compare,
    Delete,
    DeleteAnswer,
    Get,
    Key,
    KeyValue,
    ListedMember,
    Op,
    Put,
    PutAnswer,
    RangeAnswer,
    Relation,
    ResponseHeader,
    SortBy,
    StatusAnswer,
    TimeToLiveAnswer,
    TxnAnswer,
    WatchEvent,
)

_SORT_TARGETS: Final = {
    SortBy.KEY: pb.RangeRequest.KEY,
    SortBy.CREATE: pb.RangeRequest.CREATE,
}

# Enumeration members are looked up in Python each time, in code that nothing else uses.
_CREATE, _MOD, _DELETE = pb.Compare.CREATE, pb.Compare.MOD, pb.Event.DELETE

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
    return pb.RangeRequest(
        key=raw(get.key),
        range_end=raw(get.end),
        limit=get.limit,
        revision=get.revision,
        sort_order=pb.RangeRequest.NONE if get.sort is None else pb.RangeRequest.ASCEND,
        sort_target=_SORT_TARGETS[get.sort or SortBy.KEY],
        keys_only=get.keys_only,
    )


def put_request(put: Put) -> pb.PutRequest:
    """A request to write."""
    return pb.PutRequest(key=raw(put.key), value=put.value, lease=put.lease)


def delete_request(delete: Delete) -> pb.DeleteRangeRequest:
    """A request to delete."""
    return pb.DeleteRangeRequest(key=raw(delete.key), range_end=raw(delete.end))


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
    message = pb.Compare(key=raw(compare.key), range_end=raw(compare.end), result=_RELATIONS[compare.op])
    if compare.subject == "create":
        message.target = _CREATE
        message.create_revision = compare.revision
    else:
        message.target = _MOD
        message.mod_revision = compare.revision
    return message


# --- answers ---------------------------------------------------------------------------------------------------------


def origin_of(header: pb.ResponseHeader) -> ResponseHeader:
    """The header of an answer."""
    return ResponseHeader(header.cluster_id, header.member_id, header.raft_term, header.revision)


def key_value(kv: pb.KeyValue) -> KeyValue:
    """A key as etcd has it."""
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def range_answer(message: pb.RangeResponse, origin: ResponseHeader) -> RangeAnswer:
    """What was read."""
    return RangeAnswer(origin, tuple(map(key_value, message.kvs)), message.count, message.more)


def txn_answer(message: pb.TxnResponse) -> TxnAnswer:
    """The answer to a transaction. The answers in it have only a revision in their headers, so all get its header."""
    origin = origin_of(message.header)
    return TxnAnswer(origin, message.succeeded, tuple(_response_op(op, origin) for op in message.responses))


def _response_op(op: pb.ResponseOp, origin: ResponseHeader) -> RangeAnswer | PutAnswer | DeleteAnswer:
    match op.WhichOneof("response"):
        case "response_range":
            return range_answer(op.response_range, origin)
        case "response_put":
            return PutAnswer(origin)
        case _:
            return DeleteAnswer(origin, op.response_delete_range.deleted)


def time_to_live_answer(message: pb.LeaseTimeToLiveResponse) -> TimeToLiveAnswer:
    """What is left of a lease."""
    return TimeToLiveAnswer(origin_of(message.header), message.ID, message.TTL, message.grantedTTL, tuple(message.keys))


def status_answer(message: pb.StatusResponse) -> StatusAnswer:
    """A member's state."""
    return StatusAnswer(
        origin_of(message.header),
        message.version,
        message.leader,
        message.isLearner,
        tuple(message.errors),
        message.dbSize,
        message.dbSizeQuota,
    )


def listed_members(message: pb.MemberListResponse) -> tuple[ListedMember, ...]:
    """The cluster's members."""
    return tuple(ListedMember(one.ID, one.name, tuple(one.clientURLs), one.isLearner) for one in message.members)


def watch_event(event: pb.Event) -> WatchEvent:
    """One change of a key."""
    return WatchEvent(event.type == _DELETE, key_value(event.kv))
