"""`/livez`, `/readyz` and `/metrics` of the operator and the injector; the sidecar has more routes of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from leasehold.http import lean_aiohttp as aio
from leasehold.http.scrape import Exposition
from leasehold.http.server import App, answer


def make_app(registry: CollectorRegistry, problem: Callable[[], str], ready: Callable[[], Mapping[str, bool]]) -> App:
    """The routes. `problem` returns a sentence that says why this process must be restarted, or "".

    `ready` names the conditions for readiness; `/readyz` shows each, and answers 200 if all are true.
    """
    app = App()

    async def livez(request: aio.BaseRequest) -> aio.Response:
        reason = problem()
        return answer({"alive": False, "reason": reason}, 503) if reason else answer({"alive": True})

    async def readyz(request: aio.BaseRequest) -> aio.Response:
        states = ready()
        is_ready = all(states.values())
        return answer({"ready": is_ready, **states}, 200 if is_ready else 503)

    app.get("/livez", livez)
    app.get("/readyz", readyz)
    app.get("/metrics", Exposition(registry).handle)
    return app
