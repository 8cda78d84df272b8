"""Since when something is out of use: what is to go must have been unused for a while. Pure; time is an argument.

A Lock that is replaced is away for a moment, and a sidecar that restarts is not in the queue meanwhile.
"""

from __future__ import annotations

from collections.abc import Set


class Unused:
    """Names that are out of use, and since when. A name that is used again starts over."""

    def __init__(self, grace: float) -> None:
        """`grace`: seconds out of use after which a name counts as unused."""
        self._grace = grace
        self._since: dict[str, float] = {}

    def look(self, names: Set[str], in_use: Set[str], now: float) -> frozenset[str]:
        """Those of `names` that were in use at no look for the whole grace. `now`: monotonic seconds."""
        self._since = {name: self._since.get(name, now) for name in names if name not in in_use}
        return frozenset(name for name, since in self._since.items() if now - since >= self._grace)

    def forget(self) -> None:
        """Nothing is known of the time since: all start over."""
        self._since.clear()
