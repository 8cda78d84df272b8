"""Parsers of the flags' values: each returns the value, or raises ValueError with a hint. Pure."""

from __future__ import annotations

from typing import Final

from leasehold.kubectl.times import parse_duration
from leasehold.lock.names import MAX_IDENTITY, LockName, sanitise
from leasehold.lock.spec import MAX_LEASE

MAX_PORT: Final = 65535
WEEK_SECONDS: Final = 7 * 86400.0


def token(given: str) -> int:
    """A fencing token."""
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= MAX_LEASE):
        raise ValueError("a fencing token is a whole number above 0")
    return int(given)


def identity(given: str) -> str:
    """A candidate's identity; may be empty."""
    if sanitise(given) != given:
        raise ValueError(f"an identity has at most {MAX_IDENTITY} printable characters")
    return given


def goal(given: str) -> str:
    """The state to wait for."""
    if given not in ("held", "free") and given.removeprefix("holder=") in ("", given):
        raise ValueError("use held, free or holder=IDENTITY")
    return given


def namespace(given: str) -> str:
    """A namespace's name."""
    return _checked(given, "any").namespace


def lock_name(given: str) -> str:
    """A Lock's name."""
    return _checked("any", given).name


def _checked(namespace: str, name: str) -> LockName:
    """Raises ValueError with the rule only: the caller's sentence has the rest."""
    try:
        return LockName(namespace, name)
    except ValueError as error:
        raise ValueError(str(error).rpartition("is not valid: ")[2]) from None


def request_timeout(given: str) -> float:
    """The limit for a request, in seconds; 0 for none."""
    seconds = parse_duration(given)
    if seconds < 0:
        raise ValueError("a request cannot end before it begins; 0 means no limit")
    return seconds


def timeout(given: str) -> float:
    """Seconds to wait; a negative duration is a week, as with kubectl wait."""
    seconds = parse_duration(given)
    return seconds if seconds >= 0 else WEEK_SECONDS


def port(given: str) -> int:
    """A port of this machine; 0 is any free one."""
    if not (given.isascii() and given.isdigit() and int(given) <= MAX_PORT):
        raise ValueError(f"use a port from 0 to {MAX_PORT}; 0 is any free one")
    return int(given)
