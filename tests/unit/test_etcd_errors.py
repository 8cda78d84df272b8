"""What each answer of etcd says of the request: refused for certain, or unknown."""

import pytest
from grpclib.const import Status

from leasehold.etcd.errors import Code, OutcomeUnknown, Refused, RpcError, spoils_connection, translate

REFUSED = [
    (Code.INVALID_ARGUMENT, "etcdserver: key is not provided"),
    (Code.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"),
    (Code.INVALID_ARGUMENT, "etcdserver: request is too large"),
    (Code.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password"),
    (Code.INVALID_ARGUMENT, "etcdserver: revision of auth store is old"),
    (Code.INVALID_ARGUMENT, "etcdserver: user name is empty"),
    (Code.NOT_FOUND, "etcdserver: requested lease not found"),
    (Code.FAILED_PRECONDITION, "etcdserver: lease already exists"),
    (Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"),
    (Code.OUT_OF_RANGE, "etcdserver: too large lease TTL"),
    (Code.PERMISSION_DENIED, "etcdserver: permission denied"),
    (Code.UNAUTHENTICATED, "etcdserver: invalid auth token"),
    (Code.UNKNOWN, "etcdserver: too many requests"),
    (Code.RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
    (Code.RESOURCE_EXHAUSTED, "grpc: received message larger than max (3000000 vs. 2097152)"),
]

UNKNOWN = [
    (Code.UNAVAILABLE, "etcdserver: request timed out"),
    (Code.UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure"),
    (Code.UNAVAILABLE, "etcdserver: leader changed"),
    (Code.UNAVAILABLE, "etcdserver: no leader"),
    (Code.UNAVAILABLE, "etcdserver: server stopped"),
    (Code.DEADLINE_EXCEEDED, "context deadline exceeded"),
    (Code.CANCELLED, "context canceled"),
    (Code.UNKNOWN, "not a primary lessor"),
    (Code.UNKNOWN, "raft proposal dropped"),
    (Code.INTERNAL, "stream terminated by RST_STREAM"),
    (Code.DATA_LOSS, "etcdserver: corrupt cluster"),
    # Applied, and answered so all the same, when it is the write that crosses the quota.
    (Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"),
    # From something in between, which may have passed the request on.
    (Code.PERMISSION_DENIED, "Received :status = '403'"),
    (Code.UNAUTHENTICATED, "Received :status = '401'"),
    (Code.INVALID_ARGUMENT, ""),
]


@pytest.mark.parametrize(("status", "message"), REFUSED)
def test_refused_for_certain(status: Code, message: str) -> None:
    error = translate(RpcError(status, message), "http://e:2379")
    assert isinstance(error, Refused)
    assert error.code == status.name
    assert message.removeprefix("etcdserver: ") in error.reason or "user name" in error.reason
    assert "http://e:2379" in error.reason
    assert not spoils_connection(error)


@pytest.mark.parametrize(("status", "message"), UNKNOWN)
def test_outcome_unknown(status: Code, message: str) -> None:
    error = translate(RpcError(status, message), "http://e:2379")
    assert isinstance(error, OutcomeUnknown)
    assert error.code == status.name
    assert str(error) == error.reason


def test_the_connection_outlives_a_full_disk_alone() -> None:
    """Every member has that alarm: to leave one for it would only break the keep-alives, which go on."""
    for status, message in UNKNOWN:
        error = translate(RpcError(status, message), "e")
        assert spoils_connection(error) is (message != "etcdserver: mvcc: database space exceeded")


def test_a_member_that_cannot_serve_us_is_left() -> None:
    for status, message in [
        (Code.UNIMPLEMENTED, "unknown service etcdserverpb.KV"),
        (Code.FAILED_PRECONDITION, "etcdserver: rpc not supported for learner"),
        (Code.FAILED_PRECONDITION, "etcdserver: not capable"),
    ]:
        error = translate(RpcError(status, message), "e")
        assert isinstance(error, Refused)
        assert spoils_connection(error)


def test_what_a_refusal_says_of_lease_and_token() -> None:
    def refused(status: Code, message: str) -> Refused:
        error = translate(RpcError(status, message), "e")
        assert isinstance(error, Refused)
        return error

    assert refused(Code.NOT_FOUND, "etcdserver: requested lease not found").lease_gone
    assert not refused(Code.NOT_FOUND, "etcdserver: member not found").lease_gone
    for status, message, stale in [
        (Code.UNAUTHENTICATED, "etcdserver: invalid auth token", True),
        (Code.INVALID_ARGUMENT, "etcdserver: revision of auth store is old", True),
        (Code.INVALID_ARGUMENT, "etcdserver: user name is empty", True),
        (Code.PERMISSION_DENIED, "etcdserver: permission denied", False),
    ]:
        assert refused(status, message).stale_token is stale


def test_every_grpc_status_has_its_code() -> None:
    assert {status.name for status in Status} - {"OK"} == {code.name for code in Code}
