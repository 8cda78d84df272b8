"""What is wrong with which version of etcd, for all who use one, judge one or show one. Pure."""

from __future__ import annotations

import math
import re
from typing import Final

_FIRST_SOUND_PATCH: Final = {(3, 4): 31, (3, 5): 13}
"""The first patch release of a minor version in which a replaced leader's revocations are refused."""


def known_bug_of(version: str) -> str | None:
    """The bug of this version of etcd that the election suffers from, for the log; None if none is known.

    Until 3.4.31 and 3.5.13, a leader whose disk hung, and which was replaced meanwhile, could hand its successor the
    revocation of leases that had been renewed there. The key of such a lease is gone before the deadline, as if it had
    been deleted by hand. A watch that is made again could also miss events.

    Later versions first check that they still lead, unless their raft clock ticked within the last 300 ms. A leader
    that was stopped as a whole ticks first when it wakes, so it still revokes then (seen with 3.7.3). That takes a
    stopped process or machine, so no version is warned of for it.
    """
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        return None
    major, minor, patch = (int(number) for number in found.groups())
    if (major, minor) >= (3, 6) or patch >= _FIRST_SOUND_PATCH.get((major, minor), math.inf):
        return None
    return (
        f"etcd {version} can revoke leases that are still being renewed, after its leader's disk has hung: two may "
        "lead then until a deadline has passed; use 3.4.31, 3.5.13 or newer"
    )
