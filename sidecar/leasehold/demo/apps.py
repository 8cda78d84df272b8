"""The apps beside the sidecars, as far as a sidecar sees them: `/NAME` answers 200, or 500 while that app is sick.

They are served by plain aiohttp, as an app of anybody's would be, and not by the sidecar's own server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web


class Apps:
    """All apps, on one port of loopback."""

    def __init__(self, names: Sequence[str]) -> None:
        self.sick: set[str] = set()
        self._names = names
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve them."""
        from aiohttp import web  # takes longer than all that the first frame needs

        async def health(request: web.Request) -> web.Response:
            is_well = request.path.removeprefix("/") not in self.sick
            return web.json_response({"healthy": is_well}, status=200 if is_well else 500)

        app = web.Application()
        app.add_routes([web.get(f"/{name}", health) for name in self._names])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    def url(self, name: str) -> str:
        """Where that app says how it is."""
        assert self._runner is not None, "it is started"
        host, port = self._runner.addresses[0]
        return f"http://{host}:{port}/{name}"

    async def close(self) -> None:
        """End it."""
        if self._runner is not None:
            await self._runner.cleanup()
