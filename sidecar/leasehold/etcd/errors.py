"""What can go wrong between us and etcd, translated once, here, from gRPC's statuses.

The one question that matters to a caller is what became of the request:

- `Refused`: etcd answered, and did nothing of it;
- `NotSent`: it never left this process;
- `OutcomeUnknown`: it may have been done, may still be done later, or never.

Which answers prove that nothing was done was read from etcd's server code, 3.4 to 3.7. Of every status that its API
returns with one of `_DECIDED`'s codes, the check stands before the proposal to raft, or in the applier before its first
effect. UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, UNKNOWN, INTERNAL and DATA_LOSS prove nothing: a proposal that timed
out, or was under way when the leader changed or the server stopped, may still be applied. Nor does NOSPACE: the applier
performs the write that crosses the quota, and then answers NOSPACE.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Code(StrEnum):
    """The gRPC status of an answer, by its standard name."""

    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"


class RpcError(Exception):
    """etcd, or what stands before it, ended a call with a status other than OK; `message` is its own."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class BadSetting(ValueError):
    """A setting that cannot work: one sentence that names the URL or file, what is wrong and what would be right."""


class EtcdError(Exception):
    """Something went wrong between us and etcd; `reason` is one sentence for a log, without a full stop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def concerns_login(self) -> bool:
        """Whether the user, the password or the rights are what is wrong."""
        return False


class Refused(EtcdError):
    """etcd answered with an error, and did nothing of what was asked."""

    def __init__(self, reason: str, code: Code, message: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.message = message
        """etcd's own words."""

    @property
    def lease_gone(self) -> bool:
        """Whether etcd said that the lease named in the request does not exist."""
        return self.message == _LEASE_NOT_FOUND

    @property
    def users_changed(self) -> bool:
        """Whether etcd's users changed after it had looked up the caller: the same request may pass at once."""
        return self.message == _USERS_CHANGED

    @property
    def stale_token(self) -> bool:
        """Whether a fresh authentication token may be all that was missing."""
        return self.code is Code.UNAUTHENTICATED or self.message in _TOKEN_MESSAGES

    @property
    def concerns_login(self) -> bool:
        """Whether etcd objects to who asks, and not to what is asked."""
        return self.stale_token or self.code is Code.PERMISSION_DENIED


class LoginRefused(Refused):
    """etcd does not take the user name or the password."""

    @property
    def concerns_login(self) -> bool:
        """It does, whatever status etcd answers."""
        return True


class NotSent(EtcdError):
    """The request never left this process: there was no connection, no token, or the client is closed."""


class NoPassword(NotSent):
    """The request never left this process, because the password could not be read."""

    @property
    def concerns_login(self) -> bool:
        """It does: no login is tried."""
        return True


class OutcomeUnknown(EtcdError):
    """The request was sent, or may have been; whether etcd did it, or will yet do it, is not known."""

    def __init__(self, reason: str, code: Code | None = None, message: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.message = message

    @property
    def no_space(self) -> bool:
        """Whether etcd's NOSPACE alarm is on: it then takes no writes, but still reads, deletes and keep-alives."""
        return self.message == _NO_SPACE


class WatchLost(EtcdError):
    """A watcher has ended, and events may have been missed: read again, then watch from the revision after that.

    `compact_revision` is where etcd's history now begins, when the watch asked for older events; else 0.
    """

    def __init__(self, reason: str, compact_revision: int = 0) -> None:
        super().__init__(reason)
        self.compact_revision = compact_revision


_LEASE_NOT_FOUND: Final = "etcdserver: requested lease not found"
_NO_SPACE: Final = "etcdserver: mvcc: database space exceeded"
_TOO_MANY: Final = "etcdserver: too many requests"
_TOO_LARGE: Final = "grpc: received message larger than max"

_DECIDED: Final = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.FAILED_PRECONDITION,
        Code.OUT_OF_RANGE,
        Code.UNAUTHENTICATED,
    }
)

_USERS_CHANGED: Final = "etcdserver: revision of auth store is old"

_TOKEN_MESSAGES: Final = frozenset(
    {
        "etcdserver: invalid auth token",
        _USERS_CHANGED,
        "etcdserver: user name is empty",
    }
)

_LEARNER: Final = "etcdserver: rpc not supported for learner"
_CORRUPT: Final = "etcdserver: corrupt cluster"
_MEMBER_UNFIT: Final = frozenset({"etcdserver: not capable", _LEARNER})

_HINTS: Final = {
    _NO_SPACE: "its space is used up (NOSPACE alarm): compact, defragment and disarm it, or raise its quota",
    _CORRUPT: "its CORRUPT alarm is on: replace the member whose data differs, and disarm the alarm",
    _LEARNER: "it is a learner, which serves no candidates: name a voting member as an endpoint",
    "etcdserver: user name is empty": "it demands a user name and a password, and none were given",
    "etcdserver: permission denied": "permission denied: the user or certificate lacks a role for these keys",
}


def translate(error: RpcError, endpoint: str) -> Refused | OutcomeUnknown:
    """The error for a gRPC status from `endpoint`."""
    code, message = error.code, error.message
    said = _HINTS.get(message) or message.removeprefix("etcdserver: ") or "no reason given"
    if code is Code.UNIMPLEMENTED:
        return Refused(f"{endpoint} does not know this call: is it an etcd 3.4 or newer?", code, message)
    if _decided(code, message):
        return Refused(f"etcd at {endpoint} refused: {said}", code, message)
    return OutcomeUnknown(f"etcd at {endpoint} failed ({code}): {said}", code, message)


def spoils_connection(error: EtcdError) -> bool:
    """Whether this answer is a reason to use another member: this one serves no clients, or not us."""
    match error:
        case Refused():
            return error.code is Code.UNIMPLEMENTED or error.message in _MEMBER_UNFIT
        case OutcomeUnknown():
            return not error.no_space  # every member has that alarm, and keep-alives go on under it
        case _:
            return False


def is_lasting(error: EtcdError) -> bool:
    """Whether the member will go on answering so for some time: no use to ask it several times a second."""
    if isinstance(error, OutcomeUnknown):
        return error.message == _CORRUPT
    return isinstance(error, Refused) and spoils_connection(error)


def _decided(code: Code, message: str) -> bool:
    own_words = message.startswith(("etcdserver: ", "auth: "))  # a proxy's 401 or 403 says nothing of the request
    return (code in _DECIDED and own_words) or message == _TOO_MANY or message.startswith(_TOO_LARGE)
