"""The label of a leader on a pod that does not lead: such a pod must not stay a ready endpoint of a Service.

Behind the label gate all pods are Ready, and the operator labels the one that leads, for a Service to select. While no
operator runs, a label stays where it is, and the Service would go on sending requests to a pod that has lost the lock.
The kubelet keeps a file of the pod's labels up to date (the downward API), within about a second of each change.

An operator that runs takes the label off within about as long. So the label counts as wrong only after some seconds: an
ordinary handover makes no pod unready.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from leasehold.base.threads.daemon_thread import run_in_daemon_thread
from leasehold.base.time_limit import time_limit

log = logging.getLogger("leasehold.leader_label")

PATIENCE_SECONDS: Final = 5.0
"""For an operator to take the label off."""
STALE_LABEL: Final = "the pod is labelled as the leader, which it is not: no operator has taken the label off"
_LINE: Final = b'leasehold.dev/leader="true"'
_READ_SECONDS: Final = 0.5
"""The kubelet's probe has a limit of its own."""


class LeaderLabel:
    """Whether the label has been on the pod for too long without its sidecar leading."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """`path` is the file of the downward API; `clock` gives seconds."""
        self._path = path
        self._clock = clock
        self._since: float | None = None
        self._failed = ""

    async def is_wrong(self, leads: Callable[[float], bool]) -> bool:
        """To be asked every few seconds at least. `leads` says for an instant whether the sidecar leads."""
        if leads(self._clock()) or not await self._is_on():
            self._since = None
            return False
        now = self._clock()
        if self._since is None:
            self._since = now
        return now - self._since >= PATIENCE_SECONDS

    async def _is_on(self) -> bool:
        """A file that cannot be read says nothing; that is logged once."""
        try:
            async with time_limit(_READ_SECONDS):
                content = await run_in_daemon_thread(self._path.read_bytes, "pod labels")
        except OSError as error:  # TimeoutError is one
            self._tell(error.strerror or "no answer in time")
            return False
        self._failed = ""
        return _LINE in content.splitlines()

    def _tell(self, why: str) -> None:
        if why != self._failed:
            log.warning("the pod's labels in %s cannot be read: %s", self._path, why)
        self._failed = why
