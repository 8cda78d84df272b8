"""The operator from start to end: its parts are made, run side by side, and put away again.

Neither etcd nor the API server being away ends anything, at the start either: whatever needs one of them tries on.
What does end the process: TERM or INT, with 0, the replicas' lock given up first of all, so that the standby takes over
while the rest is put away; and the end of anything that should go on for ever, the informer above all, with 1.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold import clock
from leasehold.candidate.connect import client_for
from leasehold.http.listener import ListenError, listen
from leasehold.http.probes import make_app
from leasehold.kube.access import access_at_start
from leasehold.operator.config import OperatorConfig
from leasehold.operator.controller import Clients, Controller
from leasehold.operator.reconcile.api import Kube
from leasehold.operator.watch.informer import Informer

_log = logging.getLogger("leasehold.operator.app")

FAILED: Final = 1
_INFORMER_END: Final = 5.0
"""Seconds that the informer's thread gets to end; its connections go with the process anyway."""


def run(config: OperatorConfig) -> int:
    """Be an operator until TERM or INT; returns the exit code. Raises ConfigError for what only a start can find."""
    return asyncio.run(_run(config))


async def _run(config: OperatorConfig) -> int:
    async with AsyncExitStack() as stack:
        access = await access_at_start(config.kubeconfig)
        registry = CollectorRegistry()
        kube = Kube.open(access, clock=clock.now, instance=config.record.identity)
        stack.push_async_callback(kube.close)
        parts = Controller(config, registry, _clients(config, stack), kube)
        await _serve(config, stack, registry, parts)
        informer = Informer(config.kubeconfig, parts.seen)
        informer.start()
        stack.push_async_callback(_end_informer, informer)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, parts.replicas.stop)
        return await _until_the_end(stack, parts, informer)


async def _until_the_end(stack: AsyncExitStack, parts: Controller, informer: Informer) -> int:
    """0 when the replicas' lock was given up, as asked for; else what ended too early is in the log."""
    tasks = [asyncio.create_task(work, name=name) for name, work in parts.works().items()]
    stack.push_async_callback(_end, tasks)
    election = tasks[0]
    awaited: list[asyncio.Future[None]] = [*tasks, informer.exited]
    done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    if done == {election} and election.exception() is None:
        return 0
    for ended in done:
        name = ended.get_name() if isinstance(ended, asyncio.Task) else "informer"
        _log.critical("%s ended, so this process does: it cannot be trusted any more", name, exc_info=ended.exception())
    return FAILED


def _clients(config: OperatorConfig, stack: AsyncExitStack) -> Clients:
    """A connection each for what must not fail with another: any failure closes the connection that it came by."""
    made = Clients(*(client_for(config.etcd) for _ in range(3)))
    for client in made:
        stack.push_async_callback(client.close)
    return made


async def _serve(config: OperatorConfig, stack: AsyncExitStack, registry: CollectorRegistry, parts: Controller) -> None:
    try:
        listener = await listen(make_app(registry, parts.problem, parts.readiness), config.listen)
    except ListenError as error:
        raise config.mistake("listen", str(error)) from None
    stack.push_async_callback(listener.close)
    _log.info("listening", extra={"fields": {"listen": str(listener.address)}})


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _end_informer(informer: Informer) -> None:
    try:
        async with asyncio.timeout(_INFORMER_END):
            await informer.stop()
    except TimeoutError:
        _log.warning("the informer has not ended in time")
