"""The apps beside the sidecars, as far as a sidecar sees them: `/NAME` answers 200, or 500 while that app is sick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leasehold.http.listener import Listener


class Apps:
    """All apps, on one port of loopback."""

    def __init__(self, names: Sequence[str]) -> None:
        self.sick: set[str] = set()
        self._names = names
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Serve them."""
        from leasehold.http import lean_aiohttp as aio  # takes longer than all that the first frame needs
        from leasehold.http.listener import listen
        from leasehold.http.server import App, answer
        from leasehold.settings.config import Address

        async def health(request: aio.BaseRequest) -> aio.Response:
            is_well = request.path.removeprefix("/") not in self.sick
            return answer({"healthy": is_well}, 200 if is_well else 500)

        app = App()
        for name in self._names:
            app.get(f"/{name}", health)
        self._listener = await listen(app, Address("127.0.0.1", 0))

    def url(self, name: str) -> str:
        """Where that app says how it is."""
        assert self._listener is not None, "it is started"
        return f"http://{self._listener.address}/{name}"

    async def close(self) -> None:
        """End it."""
        if self._listener is not None:
            await self._listener.close()
