"""All that the demo runs: etcd, the sidecars and their apps, the page if it was asked for, and who watches them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from leasehold.demo.apps import Apps
from leasehold.demo.candidates import NAMES, end_candidates, fitting_ttl, make_candidates, start_candidates
from leasehold.demo.etcd import EmbeddedEtcd
from leasehold.demo.page import Page
from leasehold.demo.watch import Watchman


class Scene:
    """Made without starting anything, so that the first frame can be drawn of it."""

    def __init__(self, directory: Path, *, with_page: bool) -> None:
        self.etcd = EmbeddedEtcd(directory)
        self.apps = Apps(NAMES)
        self.watchman = Watchman(make_candidates(self.apps, directory))
        self.page = Page(directory) if with_page else None

    async def start(self, stack: AsyncExitStack) -> None:
        """Start all of it; `stack` ends it. Raises CannotStart."""
        stack.enter_context(self.etcd)
        await self.etcd.wait_ready()
        if self.page is not None:
            stack.callback(self.page.end)
            await self.page.start(self.etcd.url)
        await self.apps.start()
        stack.push_async_callback(self.apps.close)
        ttl = await fitting_ttl()
        stack.push_async_callback(end_candidates, self.watchman.candidates)
        await start_candidates(self.watchman.candidates, self.etcd.url, ttl)
        await stack.enter_async_context(self.watchman)
