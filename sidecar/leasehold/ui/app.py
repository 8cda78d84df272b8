"""`leasehold ui` from start to end: one feed from etcd, one server for all browsers.

An outage of etcd does not end it, not even at the start: the page says so. TERM and INT end it with code 0.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack
from typing import Any

from leasehold.base import clock
from leasehold.http.listener import ListenError, listen
from leasehold.settings.connect import client_for
from leasehold.ui.absent import AbsentPods, Reader
from leasehold.ui.config import UiConfig
from leasehold.ui.feed import Clients, Feed
from leasehold.ui.guard import Guard, read_token
from leasehold.ui.leases import Leases
from leasehold.ui.routes import Shown, make_app
from leasehold.ui.streams import Hub

_log = logging.getLogger("leasehold.ui.app")


def run(config: UiConfig) -> int:
    """Serve the page until TERM or INT; the exit code. Raises ConfigError for what only a start can find."""
    return asyncio.run(_run(config))


async def _run(config: UiConfig) -> int:
    guard = Guard(_token(config))
    async with AsyncExitStack() as stack:
        clients = Clients(client_for(config.etcd), client_for(config.etcd))
        for client in clients:
            stack.push_async_callback(client.close)
        page = Page(config, clients, AbsentPods(_lock_reader(config), clock.now))
        await _serve(config, stack, page, guard)
        await _until_stopped(page)
    return 0


def _lock_reader(config: UiConfig) -> Reader | None:
    if config.service_account is None:
        return None
    from leasehold.ui.lock_reader import LockReader  # http.client is loaded only if it is used

    try:
        return LockReader.load(config.service_account, os.environ)
    except ValueError as error:
        raise config.mistake("service_account", str(error)) from None


def _token(config: UiConfig) -> str:
    if config.token_file is None:
        return ""
    try:
        return read_token(config.token_file)
    except ValueError as error:
        raise config.mistake("token_file", str(error)) from None


class Page:
    """The feed, the leases and the browsers, connected."""

    def __init__(self, config: UiConfig, clients: Clients, absent: AbsentPods) -> None:
        self.feed = Feed(clients, config.root, self._changed, clock.now)
        self.absent = absent
        self.leases = Leases(clients.questions, clock.now)
        self.hub = Hub(self.feed.table.rows, self.feed.table.take_changed, self._beat)
        self.where = {"etcd": list(config.etcd.endpoints), "root": config.root}

    def _changed(self) -> None:
        self.hub.changed()

    def _beat(self) -> dict[str, Any]:
        age = self.feed.age
        return {
            "stale": self.feed.stale,
            "age": None if age is None else round(age, 1),
            "error": self.feed.error,
            "leases": self.leases.left(),
        }

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.feed.run(), name="ui feed")
            tasks.create_task(self.leases.run(), name="ui leases")
            tasks.create_task(self.hub.beats(), name="ui beats")


async def _serve(config: UiConfig, stack: AsyncExitStack, page: Page, guard: Guard) -> None:
    shown = Shown(page.feed.table, page.hub, page.leases, page.absent)
    app = make_app(shown, guard, page.where)
    try:
        listener = await listen(app, config.listen)
    except ListenError as error:
        raise config.mistake("listen", str(error)) from None
    stack.push_async_callback(listener.close)
    _log.info("open http://%s/", listener.address, extra={"fields": {"listen": str(listener.address)}})


async def _until_stopped(page: Page) -> None:
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(page.run(), name="ui")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        _log.info("stopped")
