"""The public listener: what the kubelet, the app and anyone who may reach the pod can ask this sidecar.

Nothing here changes the election. `/leader` reads the newest snapshot and the clock, and decides in one step,
with nothing awaited between the decision and the write: a process that was frozen decides after it wakes.

Readiness means a place in the queue: HOLDING and WAITING, and also UNSURE, in which etcd has not been heard
of for a while. If that made a pod unready, an etcd outage would take every standby out of its Services as
well, and a moment without a leader would become an outage of the app. Readiness routes traffic; it never
fences.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold.candidate.leadership import LeadershipStatus
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import State
from leasehold.http.lean_aiohttp import web as aio
from leasehold.http.scrape import Exposition
from leasehold.http.server import App, answer
from leasehold.run.event_stream import Streams

READY_STATES: Final = frozenset({State.WAITING, State.HOLDING, State.UNSURE})


def make_app(
    board: Publisher,
    registry: CollectorRegistry,
    alive: Callable[[], bool],
    *,
    wall: Callable[[], float] = time.time,
    streams: Streams | None = None,
) -> App:
    """The public routes. `alive` says whether the election's loop turns; `wall` is for display alone."""
    endpoint = _Endpoint(board, alive, wall)
    streams = streams or Streams(board, wall)
    app = App()
    app.get("/leader", endpoint.leader)
    app.get("/", endpoint.elector)
    app.get("/events", streams.handle)
    app.streams.add("/events")
    app.get("/livez", endpoint.livez)
    app.get("/readyz", endpoint.readyz)
    app.get("/metrics", Exposition(registry).handle)
    app.on_close(streams.close)
    return app


class _Endpoint:
    """The routes that a snapshot and the clock are enough for."""

    def __init__(self, board: Publisher, alive: Callable[[], bool], wall: Callable[[], float]) -> None:
        self._board = board
        self._alive = alive
        self._wall = wall

    async def leader(self, request: aio.BaseRequest) -> aio.Response:
        """200 while this sidecar holds the lock, else 503."""
        standing = LeadershipStatus.at(self._board.snapshot, self._board.clock())
        more = {"Leasehold-Token": str(standing.token)} if standing.leading else None
        return answer(standing.fields(self._wall()), 200 if standing.leading else 503, more)

    async def elector(self, request: aio.BaseRequest) -> aio.Response:
        """The retired leader-elector's contract: always 200, the leader's name, empty while there is none.

        Its users compare the name with their own. So a holder names itself, also when several may hold; and
        whoever does not hold never does.
        """
        standing = LeadershipStatus.at(self._board.snapshot, self._board.clock())
        return answer({"name": standing.identity if standing.leading else standing.leader or ""})

    async def livez(self, request: aio.BaseRequest) -> aio.Response:
        """200 while the election's loop turns."""
        if self._alive():
            return answer({"alive": True})
        return answer({"alive": False, "reason": "the election loop has not turned for too long"}, 503)

    async def readyz(self, request: aio.BaseRequest) -> aio.Response:
        """200 while this sidecar has a place in the queue."""
        snapshot = self._board.snapshot
        ready = snapshot.state in READY_STATES
        fields: dict[str, object] = {"ready": ready, "state": snapshot.state.value}
        if not ready:
            fields["reason"] = _UNREADY[snapshot.state]
        return answer(fields, 200 if ready else 503)


_UNREADY: Final = {
    State.IDLE: "not in the queue: paused, unhealthy, stopping, or waiting for its next attempt to join",
    State.JOINING: "joining the queue",
    State.YIELDING: "giving up its place in the queue",
}
