"""The routes of the page: its files, the events, one lock, and which leases a browser shows."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, Final, NamedTuple

from leasehold.http import lean_aiohttp as aio
from leasehold.http.server import App, Handler, answer, headers, refusal
from leasehold.lock.names import LockName
from leasehold.ui.absent import AbsentPods
from leasehold.ui.guard import SECURITY_HEADERS, Guard
from leasehold.ui.leases import Leases
from leasehold.ui.model import LockTable
from leasehold.ui.streams import Hub

_FILES: Final = {
    "/": ("page.html", "text/html"),
    "/login": ("login.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/dom.js": ("dom.js", "text/javascript"),
    "/page.js": ("page.js", "text/javascript"),
    "/lock.js": ("lock.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_LEASE_IDS: Final = re.compile(r"[0-9a-f]{1,16}(,[0-9a-f]{1,16}){0,299}")


class Shown(NamedTuple):
    """What the routes answer from."""

    table: LockTable
    hub: Hub
    leases: Leases
    absent: AbsentPods


def make_app(shown: Shown, guard: Guard, where: dict[str, Any]) -> App:
    """The routes. `where` says what the page shows: etcd's addresses, the root, and whether it stands in a cluster."""
    app = App()
    app.filters.append(guard.check)
    for path, (name, kind) in _FILES.items():
        app.get(path, _file(name, kind))
    app.post("/login", guard.login)
    app.get("/events", shown.hub.handle)
    app.streams.add("/events")
    app.get("/where", _fixed(where))
    app.get("/lock", _lock(shown.table, shown.absent))
    app.get("/show", _show(shown.leases))
    app.get("/livez", _fixed({"alive": True}))
    app.on_close(shown.hub.close)
    return app


def _file(name: str, kind: str) -> Handler:
    body = resources.files("leasehold.ui").joinpath("static", name).read_bytes()

    async def handler(request: aio.BaseRequest) -> aio.Response:
        more = {**SECURITY_HEADERS, "Content-Type": f"{kind}; charset=utf-8"}
        return aio.Response(body=body, headers=headers(more))

    return handler


def _fixed(fields: dict[str, Any]) -> Handler:
    async def handler(request: aio.BaseRequest) -> aio.Response:
        return answer(fields, more=SECURITY_HEADERS)

    return handler


def _lock(table: LockTable, absent: AbsentPods) -> Handler:
    async def handler(request: aio.BaseRequest) -> aio.Response:
        name = _name(request.rel_url.query.get("name", ""))
        if name is None:
            return refusal("Name a lock as namespace/name.", 400)
        fields = table.lock(name)
        if fields is None:
            return refusal(f"There is no lock {name} in etcd.", 404)
        missing = await absent.of(name) if fields.get("declared") else {}
        return answer({**fields, **missing}, more=SECURITY_HEADERS)

    return handler


def _name(text: str) -> LockName | None:
    try:
        return LockName.parse(text, "")
    except ValueError:
        return None


def _show(leases: Leases) -> Handler:
    """Note which leases a browser shows. Whatever is sent here, few are asked for, and seldom."""

    async def handler(request: aio.BaseRequest) -> aio.Response:
        text = request.rel_url.query.get("leases", "")
        if not _LEASE_IDS.fullmatch(text):
            return refusal("Send leases=ID,ID,… in hex, at most 300.", 400)
        leases.want(int(one, 16) for one in text.split(","))
        return aio.Response(status=204, headers=headers())

    return handler
