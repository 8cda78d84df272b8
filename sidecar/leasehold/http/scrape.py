"""`GET /metrics`, for the sidecar and the operator alike."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from leasehold.http.lean_aiohttp import web as aio
from leasehold.http.server import headers, refusal

MAX_SCRAPES: Final = 8
"""How many may wait for the metrics at once; each rendering takes the loop some milliseconds."""


class Exposition:
    """`GET /metrics`: one rendering in a turn of the loop, however many ask at once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._turn = asyncio.Lock()
        self._asking = 0

    async def handle(self, request: aio.BaseRequest) -> aio.Response:
        """The metrics in the text format, which every scraper reads."""
        if self._asking >= MAX_SCRAPES:
            return refusal("Too many ask for the metrics at once; ask again in a moment.", 503, {"Retry-After": "1"})
        self._asking += 1
        try:
            async with self._turn:
                body = generate_latest(self._registry)
                await asyncio.sleep(0)  # the next one waiting here renders in the loop's next turn, not in this
        finally:
            self._asking -= 1
        return aio.Response(body=body, headers=headers({"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}))
