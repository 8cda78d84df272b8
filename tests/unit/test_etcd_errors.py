"""What each answer of etcd says of the request: refused for certain, or unknown."""

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from leasehold.etcd.errors import Code, OutcomeUnknown, Refused, spoils_connection, translate

REFUSED = [
    (Status.INVALID_ARGUMENT, "etcdserver: key is not provided"),
    (Status.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"),
    (Status.INVALID_ARGUMENT, "etcdserver: request is too large"),
    (Status.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password"),
    (Status.INVALID_ARGUMENT, "etcdserver: revision of auth store is old"),
    (Status.INVALID_ARGUMENT, "etcdserver: user name is empty"),
    (Status.NOT_FOUND, "etcdserver: requested lease not found"),
    (Status.FAILED_PRECONDITION, "etcdserver: lease already exists"),
    (Status.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"),
    (Status.OUT_OF_RANGE, "etcdserver: too large lease TTL"),
    (Status.PERMISSION_DENIED, "etcdserver: permission denied"),
    (Status.UNAUTHENTICATED, "etcdserver: invalid auth token"),
    (Status.UNKNOWN, "etcdserver: too many requests"),
    (Status.RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
    (Status.RESOURCE_EXHAUSTED, "grpc: received message larger than max (3000000 vs. 2097152)"),
]

UNKNOWN = [
    (Status.UNAVAILABLE, "etcdserver: request timed out"),
    (Status.UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure"),
    (Status.UNAVAILABLE, "etcdserver: leader changed"),
    (Status.UNAVAILABLE, "etcdserver: no leader"),
    (Status.UNAVAILABLE, "etcdserver: server stopped"),
    (Status.DEADLINE_EXCEEDED, "context deadline exceeded"),
    (Status.CANCELLED, "context canceled"),
    (Status.UNKNOWN, "not a primary lessor"),
    (Status.UNKNOWN, "raft proposal dropped"),
    (Status.INTERNAL, "stream terminated by RST_STREAM"),
    (Status.DATA_LOSS, "etcdserver: corrupt cluster"),
    # Applied, and answered so all the same, when it is the write that crosses the quota.
    (Status.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"),
    # From something in between, which may have passed the request on.
    (Status.PERMISSION_DENIED, "Received :status = '403'"),
    (Status.UNAUTHENTICATED, "Received :status = '401'"),
    (Status.INVALID_ARGUMENT, None),
]


@pytest.mark.parametrize(("status", "message"), REFUSED)
def test_refused_for_certain(status: Status, message: str) -> None:
    error = translate(GRPCError(status, message), "http://e:2379")
    assert isinstance(error, Refused)
    assert error.code == status.name
    assert message.removeprefix("etcdserver: ") in error.reason or "user name" in error.reason
    assert "http://e:2379" in error.reason
    assert not spoils_connection(error)


@pytest.mark.parametrize(("status", "message"), UNKNOWN)
def test_outcome_unknown(status: Status, message: str | None) -> None:
    error = translate(GRPCError(status, message), "http://e:2379")
    assert isinstance(error, OutcomeUnknown)
    assert error.code == status.name
    assert str(error) == error.reason


def test_the_connection_outlives_a_full_disk_alone() -> None:
    """Every member has that alarm: to leave one for it would only break the keep-alives, which go on."""
    for status, message in UNKNOWN:
        error = translate(GRPCError(status, message), "e")
        assert spoils_connection(error) is (message != "etcdserver: mvcc: database space exceeded")


def test_a_member_that_cannot_serve_us_is_left() -> None:
    for status, message in [
        (Status.UNIMPLEMENTED, "unknown service etcdserverpb.KV"),
        (Status.FAILED_PRECONDITION, "etcdserver: rpc not supported for learner"),
        (Status.FAILED_PRECONDITION, "etcdserver: not capable"),
    ]:
        error = translate(GRPCError(status, message), "e")
        assert isinstance(error, Refused)
        assert spoils_connection(error)


def test_what_a_refusal_says_of_lease_and_token() -> None:
    def refused(status: Status, message: str) -> Refused:
        error = translate(GRPCError(status, message), "e")
        assert isinstance(error, Refused)
        return error

    assert refused(Status.NOT_FOUND, "etcdserver: requested lease not found").lease_gone
    assert not refused(Status.NOT_FOUND, "etcdserver: member not found").lease_gone
    for status, message, stale in [
        (Status.UNAUTHENTICATED, "etcdserver: invalid auth token", True),
        (Status.INVALID_ARGUMENT, "etcdserver: revision of auth store is old", True),
        (Status.INVALID_ARGUMENT, "etcdserver: user name is empty", True),
        (Status.PERMISSION_DENIED, "etcdserver: permission denied", False),
    ]:
        assert refused(status, message).stale_token is stale


def test_every_grpc_status_has_its_code() -> None:
    assert {status.name for status in Status} - {"OK"} == {code.name for code in Code}
