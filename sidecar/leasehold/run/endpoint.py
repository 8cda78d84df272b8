"""The public listener: the routes for the kubelet, the app, and everyone who can reach the pod.

Nothing here changes the election. `/leader` reads the newest snapshot and the clock, and decides in one step, with
nothing awaited between the decision and the write: a process that was frozen decides after it wakes.

Readiness means a place in the queue: HOLDING, WAITING, and also UNSURE, in which etcd has not answered for a while. If
UNSURE made a pod unready, an etcd outage would remove all standbys from their Services, and a moment without a leader
would become an outage of the app. Readiness routes traffic; it never fences.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold.candidate.leadership import LeadershipStatus
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import State
from leasehold.http import lean_aiohttp as aio
from leasehold.http.scrape import Exposition
from leasehold.http.server import App, answer
from leasehold.run.event_stream import Streams
from leasehold.run.leader_label import STALE_LABEL, LeaderLabel

READY_STATES: Final = frozenset({State.WAITING, State.HOLDING, State.UNSURE})


def make_app(
    publisher: Publisher,
    registry: CollectorRegistry,
    alive: Callable[[], bool],
    *,
    wall: Callable[[], float] = time.time,
    streams: Streams | None = None,
    label: LeaderLabel | None = None,
) -> App:
    """The public routes. `alive` returns whether the election's loop turns; `wall` is for display only."""
    endpoint = _Endpoint(publisher, alive, wall, label)
    streams = streams or Streams(publisher, wall)
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
    """The routes that need only a snapshot and the clock."""

    def __init__(
        self, publisher: Publisher, alive: Callable[[], bool], wall: Callable[[], float], label: LeaderLabel | None
    ) -> None:
        self._publisher = publisher
        self._alive = alive
        self._wall = wall
        self._label = label

    async def leader(self, request: aio.BaseRequest) -> aio.Response:
        """200 while this sidecar holds the lock, otherwise 503."""
        status = LeadershipStatus.at(self._publisher.snapshot, self._publisher.clock())
        more = {"Leasehold-Token": str(status.token)} if status.leading else None
        return answer(status.fields(self._wall()), 200 if status.leading else 503, more)

    async def elector(self, request: aio.BaseRequest) -> aio.Response:
        """The contract of the retired leader-elector: always 200 with the leader's name, empty if there is none.

        Its users compare the name with their own. So a holder names itself, even if several may hold, and a sidecar
        that does not hold never names itself.
        """
        status = LeadershipStatus.at(self._publisher.snapshot, self._publisher.clock())
        return answer({"name": status.identity if status.leading else status.leader or ""})

    async def livez(self, request: aio.BaseRequest) -> aio.Response:
        """200 while the election's loop turns."""
        if self._alive():
            return answer({"alive": True})
        return answer({"alive": False, "reason": "the election loop has not turned for too long"}, 503)

    async def readyz(self, request: aio.BaseRequest) -> aio.Response:
        """200 while this sidecar has a place in the queue, unless the pod is labelled as a leader that it is not."""
        snapshot = self._publisher.snapshot
        fields: dict[str, object] = {"ready": snapshot.state in READY_STATES, "state": snapshot.state.value}
        if not fields["ready"]:
            status = LeadershipStatus.at(snapshot, self._publisher.clock())
            fields |= status.reason_fields(self._wall())
        elif self._label is not None and await self._label.is_wrong(snapshot.is_holding):
            fields |= {"ready": False, "reason": STALE_LABEL, "reasonCode": "stale-label"}
        return answer(fields, 200 if fields["ready"] else 503)
