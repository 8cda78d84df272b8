"""Which etcd keeps its users apart. Pure.

By the advisories that etcd has published itself: before these releases, a user could see or do more than its roles
allow, so a certificate of its own would isolate nobody. GHSA-xg4h-6gfc-h4m8 is the newest of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_PATCHES: Final = {(3, 5): 33, (3, 6): 14, (3, 7): 1}
"""The first patch release of each minor release that isolates; all minor releases after these do."""


def outdated(versions: Iterable[str]) -> str:
    """What is wrong with members of these versions, in a sentence without a full stop; "" if nothing is known to be."""
    old = sorted({version for version in versions if not _isolates(version)})
    if not old:
        return ""
    good = ", ".join(f"{major}.{minor}.{patch}" for (major, minor), patch in _PATCHES.items())
    return (
        f"etcd {', '.join(old)} does not keep its users to their roles, as its own security advisories say: upgrade "
        f"every member to {good}, or later"
    )


def _isolates(version: str) -> bool:
    """Whether it does. A version that cannot be read is not judged; one before 3.5 gets no mended releases."""
    try:
        major, minor, patch = (int(part) for part in version.partition("-")[0].split("."))
    except ValueError:
        return True
    if (major, minor) > max(_PATCHES):
        return True
    return patch >= _PATCHES.get((major, minor), patch + 1)
