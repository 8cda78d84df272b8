"""The control listener: commands to the election from the app in this pod, on loopback or a Unix socket only.

Each command becomes an event for the election. The answer is 202 with what happens next, or 409 if the command does not
apply; repeating a command does no harm. `GET /debug/record` answers with the flight record.

A web page must not be able to hand a lock over. Browsers let any page send a POST to 127.0.0.1, but name the page in
`Origin` or `Sec-Fetch-Site`: such requests are refused. If a page's own name is made to resolve to 127.0.0.1 (DNS
rebinding), `Host` carries that name: over TCP, only names and addresses of loopback are accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from leasehold.base.address import is_loopback
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.recorder import Recording
from leasehold.election.events import Event, HandOver, Pause, Resume, WorkStopped
from leasehold.election.snapshot import State
from leasehold.http import lean_aiohttp as aio
from leasehold.http.server import App, answer, headers, refusal

Submit = Callable[[Event], None]
TakeRecord = Callable[[str], Recording]


def make_app(submit: Submit, publisher: Publisher, record: TakeRecord, *, tcp: bool = True) -> App:
    """The control routes. `submit` sends an event to the election; `tcp` is False on a Unix socket.

    `record` returns the flight record up to now, given the reason to name in it.
    """
    control = _Control(submit, publisher)
    app = App()
    app.filters.append(_refuse_pages)
    if tcp:
        app.filters.append(_refuse_foreign_hosts)
    app.post("/handover", control.handover)
    app.post("/pause", control.pause)
    app.post("/resume", control.resume)
    app.post("/drained", control.drained)
    app.get("/debug/record", partial(_flight_record, record))
    return app


class _Control:
    def __init__(self, submit: Submit, publisher: Publisher) -> None:
        self._submit = submit
        self._publisher = publisher

    async def handover(self, request: aio.BaseRequest) -> aio.Response:
        """Step down now, and queue again."""
        if self._may_hold():
            self._submit(HandOver())
            return self._accepted("this sidecar stops leading, gives the lock up, and queues again")
        if self._state is State.YIELDING:
            return self._accepted("the lock is being given up already")
        return self._conflict("This sidecar does not hold the lock, so it cannot hand it over.")

    async def pause(self, request: aio.BaseRequest) -> aio.Response:
        """Leave the queue until /resume."""
        self._submit(Pause())
        return self._accepted("this sidecar leaves the queue, and stays out of it until POST /resume")

    async def resume(self, request: aio.BaseRequest) -> aio.Response:
        """End a pause."""
        self._submit(Resume())
        return self._accepted("this sidecar queues, if nothing else keeps it out")

    async def drained(self, request: aio.BaseRequest) -> aio.Response:
        """The app's protected work has stopped.

        Kubernetes stops an app and its sidecar at the same time, and the app may be done before the sidecar notices.
        So this also gives up a lock that is still held, without a drain.
        """
        if self._may_hold():
            self._submit(HandOver())
        elif self._state is not State.YIELDING:
            return self._conflict("This sidecar does not hold the lock, so there is no work to have stopped.")
        self._submit(WorkStopped())
        return self._accepted("the lock is given up without waiting any longer")

    @property
    def _state(self) -> State:
        return self._publisher.snapshot.state

    def _may_hold(self) -> bool:
        """Whether there is a lock to give up: it is held, or was until etcd stopped answering."""
        snapshot = self._publisher.snapshot
        unsure = snapshot.state is State.UNSURE and snapshot.term_since is not None
        return snapshot.state is State.HOLDING or unsure

    def _accepted(self, what: str) -> aio.Response:
        return answer({"state": self._state.value, "next": what}, 202)

    def _conflict(self, sentence: str) -> aio.Response:
        return answer({"state": self._state.value, "error": sentence}, 409)


async def _flight_record(record: TakeRecord, request: aio.BaseRequest) -> aio.StreamResponse:
    """The flight record, as JSON lines: piece by piece, as it is made, so that it never lies here as a whole."""
    response = aio.StreamResponse(headers=headers({"Content-Type": "application/jsonl"}))
    await response.prepare(request)
    if request.method == "GET":
        for piece in record("asked").pieces():
            await response.write(piece)
            await asyncio.sleep(0)  # a keep-alive may be due: it does not wait for all of them
    await response.write_eof()
    return response


def _refuse_pages(request: aio.BaseRequest) -> aio.Response | None:
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
        return refusal("Requests from web pages are refused; send this without Origin and Sec-Fetch-Site headers.", 403)
    return None


def _refuse_foreign_hosts(request: aio.BaseRequest) -> aio.Response | None:
    host = request.headers.get("Host", "localhost")  # only HTTP/1.0 may have none, and no browser sends that
    if is_loopback(_without_port(host)):
        return None
    return refusal("Only requests to this machine are accepted; use http://127.0.0.1 or http://localhost.", 403)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
