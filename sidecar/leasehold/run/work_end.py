"""When the work beside a native sidecar has ended: TERM alone does not prove it.

The kubelet stops native sidecars after the app's containers, but it waits for their turn no longer than the grace
period, and the app always gets two seconds after its own TERM. So the app may live on for up to two seconds beside a
sidecar that was told to stop: if a preStop hook of the app takes the grace period up, or if the period is a second, as
after `kubectl delete --force` or `--grace-period=1`. While init containers that follow the sidecar run, both are told
to stop in the same instant, and the init container has the whole grace period (seen with the kubelet of 1.36.3).

What counts, the strongest first:

* A connection to the control listener, or one that the app's health port accepts: somebody works. Hold.
* The health port refuses after the app had answered it: the app has ended, or has begun to. Release at once, unless
  TERM came so late that the grace period may have been used up.
* None of these: hold for as long as the kubelet lets an app live after TERM, and a margin, counted from the last sign
  that somebody works: the app may have its TERM later than we do. A sidecar that is killed before that leaves the
  lease to run out.

The mark of the pod's end is a file that the sidecar's preStop hook makes. It is no proof: the hook also runs if
liveness kills the sidecar (so the mark is removed at each start), it starts up to 1.3 s late, and it is missing if the
sidecar was dead in that instant. It only ever makes the sidecar hold longer. Nobody can tell a sidecar that a pod was
deleted a second time with a shorter period.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from leasehold.base.address import is_loopback
from leasehold.base.records import dataclass
from leasehold.base.threads.daemon_thread import run_in_daemon_thread
from leasehold.base.time_limit import time_limit

KUBELET_MINIMUM_GRACE_SECONDS: Final = 2.0
"""What the kubelet gives a container after TERM at least, however little is left of the grace period."""
MARGIN_SECONDS: Final = 3.0
MARGIN: Final = 1 / 3
"""TERM that comes this close to the end of the grace period may have come because of that end.

At least so many seconds, and so much of the period. The kubelet counts in whole seconds, and the mark is late: by up to
1.3 s, and by more than 3 s on a node without CPU to spare. To be wrong costs a release that is DOUBT_SECONDS later.
"""
DOUBT_SECONDS: Final = KUBELET_MINIMUM_GRACE_SECONDS + 0.5
"""How long to hold without a sign. The half second is for a KILL that the container runtime delivers late."""
POLL_SECONDS: Final = 0.05
CONNECT_TIMEOUT_SECONDS: Final = 1.0
DISK_TIMEOUT_SECONDS: Final = 1.0
"""For so long the state directory's disk is waited for; after that the mark could say anything."""
ENDING: Final = "ending"
"""The name in the state directory of the file that the preStop hook makes."""


class HealthPort(Enum):
    """What the app's health port does."""

    UNKNOWN = "there is none on this pod's loopback, or the app has never answered"
    OPEN = "it accepts connections, or does not refuse them"
    REFUSES = "it refuses connections, and the app had answered"


@dataclass(frozen=True, slots=True)
class Signs:
    """What can be seen at one instant after TERM. `late`: the pod's grace period may have been used up at TERM."""

    port: HealthPort = HealthPort.UNKNOWN
    connections: int = 0
    late: bool = False

    @property
    def of_work(self) -> bool:
        """Whether somebody certainly works."""
        return bool(self.connections) or self.port is HealthPort.OPEN


def has_ended(signs: Signs, quiet_seconds: float, doubt_seconds: float = DOUBT_SECONDS) -> bool:
    """Whether the work has certainly ended, `quiet_seconds` after TERM or the last sign of work."""
    if signs.of_work:
        return False
    if quiet_seconds >= doubt_seconds:
        return True
    return signs.port is HealthPort.REFUSES and not signs.late


def came_late(began: float | None, term: float, grace_seconds: float) -> bool:
    """Whether TERM may have come because the grace period was used up. Both instants are of one clock.

    `began` is the mark of the pod's end; None if there is no mark: then nothing speaks against an app that has ended.
    """
    margin = max(MARGIN_SECONDS, grace_seconds * MARGIN)
    # a mark from the future: the clock was set, so it says nothing
    return began is not None and not 0 <= term - began < grace_seconds - margin


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a sidecar looks for signs.

    `health_url` is the app's, "" for none; `app_answered` tells whether it has answered since this process began;
    `connections` counts those to the control listener. `grace_seconds` is the pod's terminationGracePeriodSeconds.
    With `init_work`, ordinary init containers follow the sidecar, and may work under the lock.
    """

    health_url: str
    app_answered: Callable[[], bool]
    connections: Callable[[], int]
    state_dir: Path | None
    grace_seconds: float = 30.0
    init_work: bool = False

    def doubt_seconds(self) -> float:
        """How long to hold without a sign: an init container may have the whole grace period."""
        if self.init_work and not self.app_answered():
            return self.grace_seconds + DOUBT_SECONDS
        return DOUBT_SECONDS

    def longest_seconds(self) -> float:
        """After so long the kubelet would have killed this process if the pod were ending."""
        return self.grace_seconds + 2 * DOUBT_SECONDS

    async def signs(self, late: bool) -> Signs:
        """What can be seen now. Raises nothing."""
        return Signs(await self._port(), self.connections(), late)

    async def _port(self) -> HealthPort:
        parts = urlsplit(self.health_url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if not is_loopback(host) or not self.app_answered():
            return HealthPort.UNKNOWN
        return HealthPort.REFUSES if await refuses(host, port) else HealthPort.OPEN

    async def late(self, term: float) -> bool:
        """Whether TERM, at this time since the epoch, may have come because the grace period was used up."""
        try:
            async with time_limit(DISK_TIMEOUT_SECONDS):
                began = await run_in_daemon_thread(self._began, "mark")
        except (TimeoutError, OSError):  # a hung disk, or no thread: there is no telling
            return True
        return came_late(began, term, self.grace_seconds)

    def _began(self) -> float | None:
        """When the preStop hook marked the pod's end, in seconds since the epoch; None without a mark."""
        if self.state_dir is None:
            return None
        with contextlib.suppress(FileNotFoundError):
            return (self.state_dir / ENDING).stat().st_mtime
        return None


async def refuses(host: str, port: int) -> bool:
    """Whether every address of this loopback host refuses connections. One that does not answer in time does not."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    except OSError as error:  # of several addresses asyncio makes one error: refused by all, or something else
        return "Connection refused" in str(error) and not isinstance(error, TimeoutError)
    writer.close()
    return False


async def wait_for_end(
    around: Surroundings,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return when the work has ended. To be called at TERM. Where it never seems to end, the kubelet ends us."""
    last_sign, late = clock(), await around.late(wall())
    while not has_ended(signs := await around.signs(late), clock() - last_sign, around.doubt_seconds()):
        if signs.of_work:
            last_sign = clock()
        await sleep(POLL_SECONDS)


def forget_mark(state_dir: Path) -> None:
    """Remove the mark that an earlier process's end may have left. To be called at the start. Raises OSError."""
    (state_dir / ENDING).unlink(missing_ok=True)
