"""The operator from start to end: makes its parts, runs them, and closes them.

An outage of etcd or the API server does not end the process, not even at the start: each part retries. TERM and INT end
it with code 0. The replicas' lock is released first, so that the standby takes over while the rest is closed. If a part
ends that must not end, above all the informer, the process ends with code 1. So it does if the API server was restored
from a backup: `watch.api_restore`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold.base import clock
from leasehold.etcd.admin import AdminClient
from leasehold.http.listener import ListenError, listen
from leasehold.http.probes import make_app
from leasehold.kube.access import access_at_start
from leasehold.operator.config import OperatorConfig
from leasehold.operator.controller import Clients, Controller
from leasehold.operator.reconcile.api import Kube
from leasehold.operator.watch.api_restore import ApiServerRestored
from leasehold.operator.watch.informer import Informer
from leasehold.settings.connect import client_for, open_client

_log = logging.getLogger("leasehold.operator.app")

FAILED: Final = 1
_INFORMER_STOP_SECONDS: Final = 5.0
"""How long the informer's thread may take to end. The process closes its connections anyway."""


def run(config: OperatorConfig) -> int:
    """Run the operator until TERM or INT; the exit code. Raises ConfigError for mistakes that only a start can find."""
    return asyncio.run(_run(config))


async def _run(config: OperatorConfig) -> int:
    if config.enrolment:
        from leasehold.operator.enrolment.start import setup_of  # cryptography takes some megabytes

        setup_of(config, config.enrolment, cluster="")  # only to find mistakes now
    async with AsyncExitStack() as stack:
        access = await access_at_start(config.kubeconfig)
        registry = CollectorRegistry()
        kube = Kube.open(access, clock=clock.now, instance=config.record.identity)
        stack.push_async_callback(kube.close)
        controller = Controller(config, registry, _clients(config, stack), kube)
        await _serve(config, stack, registry, controller)
        informer = Informer(config.kubeconfig, controller.observe)
        informer.start()
        stack.push_async_callback(_end_informer, informer)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, controller.election.stop)
        return await _until_the_end(stack, controller, informer)


async def _until_the_end(stack: AsyncExitStack, controller: Controller, informer: Informer) -> int:
    """The exit code: 0 if the replicas' lock was released on request, else 1. The log names the task that ended."""
    tasks = [asyncio.create_task(work, name=name) for name, work in controller.works().items()]
    stack.push_async_callback(_end, tasks)
    election = tasks[0]
    awaited: list[asyncio.Future[None]] = [*tasks, informer.exited]
    done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    if done == {election} and election.exception() is None:
        return 0
    for ended in done:
        _log_end(ended)
    return FAILED


def _log_end(ended: asyncio.Future[None]) -> None:
    error = ended.exception()
    # no bug, so nobody needs to know where it was noticed
    if isinstance(error, ApiServerRestored):
        _log.critical("%s", error)
        return
    name = ended.get_name() if isinstance(ended, asyncio.Task) else "informer"
    _log.critical("%s ended, so this process ends as well", name, exc_info=error)


def _clients(config: OperatorConfig, stack: AsyncExitStack) -> Clients:
    """Separate connections, so that one purpose does not fail with another: any failure closes its connection."""
    admin = open_client(AdminClient, config.enrolment.etcd) if config.enrolment else None
    election, mirror, writes = (client_for(config.etcd) for _ in range(3))
    clients = Clients(election, mirror, writes, admin)
    for client in filter(None, clients):
        stack.push_async_callback(client.close)
    return clients


async def _serve(
    config: OperatorConfig, stack: AsyncExitStack, registry: CollectorRegistry, controller: Controller
) -> None:
    try:
        listener = await listen(make_app(registry, controller.problem, controller.readiness), config.listen)
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
        async with asyncio.timeout(_INFORMER_STOP_SECONDS):
            await informer.stop()
    except TimeoutError:
        _log.warning("the informer has not ended in time")
