"""`GET /metrics`, for the sidecar and the operator alike."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from leasehold.http import lean_aiohttp as aio
from leasehold.http.server import headers, refusal

MAX_SCRAPES: Final = 8
"""Clients that may wait for the metrics; each rendering blocks the loop for some milliseconds."""


class Exposition:
    """`GET /metrics`: at most one rendering per turn of the loop, however many clients ask."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._turn = asyncio.Lock()
        self._clients = 0

    async def handle(self, request: aio.BaseRequest) -> aio.Response:
        """The metrics in the text format, which all scrapers understand."""
        if self._clients >= MAX_SCRAPES:
            return refusal("Too many clients ask for the metrics; try again in a moment.", 503, {"Retry-After": "1"})
        self._clients += 1
        try:
            async with self._turn:
                body = generate_latest(self._registry)
                await asyncio.sleep(0)  # the next client's rendering comes in the loop's next turn, not in this one
        finally:
            self._clients -= 1
        return aio.Response(body=body, headers=headers({"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}))
