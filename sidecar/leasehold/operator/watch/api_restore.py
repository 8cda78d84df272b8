"""Whether the API server was restored from a backup. Pure.

Its resource versions fall then, so each cache that takes a higher version for newer would keep what is lost, and ignore
what is there. Watches miss what happens until the versions have caught up. So this process ends: the next one begins
with a list of everything. Leaders do not notice.
"""

from __future__ import annotations

from collections.abc import Set


class ApiServerRestored(Exception):
    """The API server shows an object as it was before. The text is one sentence."""


def is_lower(version: str, known: str) -> bool:
    """Whether this resourceVersion is lower than the other one. Those that are no numbers cannot be compared."""
    return version.isdecimal() and known.isdecimal() and int(version) < int(known)


def check_version(name: str, version: str, known: str) -> None:
    """Raises ApiServerRestored if the object has this version in an answer to what was asked after `known` was seen."""
    if is_lower(version, known):
        raise _restored(f"{name} went from resourceVersion {known} back to {version}")


def check_alive(name: str, uid: str, deleted: Set[str]) -> None:
    """Raises ApiServerRestored if the UID of an object that is there now was seen to be deleted."""
    if uid in deleted:
        raise _restored(f"{name} is back, which was deleted")


def _restored(evidence: str) -> ApiServerRestored:
    text = "the API server was restored from a backup: {}; starting again, for what was seen before no longer counts"
    return ApiServerRestored(text.format(evidence))
