"""The control listener: what the app in this pod may ask of the election. Loopback or a Unix socket, nothing else.

`GET /debug/record` answers with the flight record.

Each command becomes an event for the election, and is answered with 202 and what happens next; asking twice does no
harm. 409 says that there is nothing to do it to.

A web page must not be able to hand a lock over. Browsers let any page send a POST to 127.0.0.1; they name the page in
`Origin`, so a request with one is refused; so is one that `Sec-Fetch-Site` says a page made. A page whose own name was
made to resolve to 127.0.0.1 (DNS rebinding) carries that name in `Host`: over TCP only the names and numbers of
loopback are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from leasehold.candidate.publisher import Publisher
from leasehold.candidate.recorder import Recording
from leasehold.election.events import Event, HandOver, Pause, Resume, WorkStopped
from leasehold.election.snapshot import State
from leasehold.http.lean_aiohttp import web as aio
from leasehold.http.listener import is_loopback
from leasehold.http.server import App, answer, headers, refusal

Submit = Callable[[Event], None]
TakeRecord = Callable[[str], Recording]


def make_app(submit: Submit, board: Publisher, record: TakeRecord, *, tcp: bool = True) -> App:
    """The control routes. `submit` puts an event before the election; `tcp` is False on a Unix socket.

    `record` returns the flight record up to now, given the reason to name in it.
    """
    control = _Control(submit, board)
    app = App()
    app.guards.append(_refuse_pages)
    if tcp:
        app.guards.append(_refuse_foreign_hosts)
    app.post("/handover", control.handover)
    app.post("/pause", control.pause)
    app.post("/resume", control.resume)
    app.post("/drained", control.drained)
    app.get("/debug/record", partial(_flight_record, record))
    return app


class _Control:
    def __init__(self, submit: Submit, board: Publisher) -> None:
        self._submit = submit
        self._board = board

    async def handover(self, request: aio.BaseRequest) -> aio.Response:
        """Step down now, and stand in the queue again."""
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
        """The app's guarded work has stopped.

        An app and its sidecar are told to stop at once, and the app may be done before the sidecar has noticed. So
        whoever says this while it holds the lock gives it up, without a wait: it must neither be lost nor cost a drain.
        """
        if self._may_hold():
            self._submit(HandOver())
        elif self._state is not State.YIELDING:
            return self._conflict("This sidecar does not hold the lock, so there is no work to have stopped.")
        self._submit(WorkStopped())
        return self._accepted("the lock is given up without waiting any longer")

    @property
    def _state(self) -> State:
        return self._board.snapshot.state

    def _may_hold(self) -> bool:
        """Whether there is a lock to give up: held, or held until etcd fell silent."""
        snapshot = self._board.snapshot
        unsure = snapshot.state is State.UNSURE and snapshot.term_since is not None
        return snapshot.state is State.HOLDING or unsure

    def _accepted(self, what: str) -> aio.Response:
        return answer({"state": self._state.value, "next": what}, 202)

    def _conflict(self, sentence: str) -> aio.Response:
        return answer({"state": self._state.value, "error": sentence}, 409)


async def _flight_record(record: TakeRecord, request: aio.BaseRequest) -> aio.StreamResponse:
    """The flight record, as JSON lines: piece by piece, as it is unpacked, so that it never lies here as a whole."""
    response = aio.StreamResponse(headers=headers({"Content-Type": "application/jsonl"}))
    await response.prepare(request)
    if request.method == "GET":
        for piece in record("asked").pieces():
            await response.write(piece)
    await response.write_eof()
    return response


def _refuse_pages(request: aio.BaseRequest) -> aio.Response | None:
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
        return refusal("Requests from web pages are refused; send this without Origin and Sec-Fetch-Site headers.", 403)
    return None


def _refuse_foreign_hosts(request: aio.BaseRequest) -> aio.Response | None:
    host = request.headers.get("Host", "localhost")  # HTTP/1.0 has none; no browser speaks that
    if is_loopback(_without_port(host)):
        return None
    return refusal("Only requests to this machine are taken; ask for http://127.0.0.1 or http://localhost.", 403)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
