"""The injector from start to end: two listeners, and the certificate that one of them serves with.

TERM lets requests under way end, after a moment in which the Service's routes forget this replica: the API server would
otherwise be refused, and so would a pod. In that moment each answer is the last of its connection, and says so: the API
server keeps connections beyond the routes, does not repeat a POST that one of them swallowed in its end, and so would
refuse a pod for that too. The API server being away ends nothing: what needs it is tried on.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold.http.lean_aiohttp import web
from leasehold.http.listener import ListenError, bind_tcp, listen
from leasehold.http.probes import make_app
from leasehold.http.server import App
from leasehold.injector.admission import Policy, Reviewer
from leasehold.injector.certificate_keeper import (
    CertificateReader,
    CertificateRotator,
    Certificates,
    Served,
    keep_for_ever,
)
from leasehold.injector.config import CertificateFiles, InjectorConfig
from leasehold.injector.metrics import InjectorMetrics
from leasehold.injector.tls_listener import TlsListener
from leasehold.kube.access import access_at_start
from leasehold.kube.call import KubeCall

_log = logging.getLogger("leasehold.injector.app")

CALL_TIMEOUT: Final = 2.0
"""Seconds for each question to the API server, of which one review has two at most: its webhook gives it 5."""
LINGER: Final = 5.0
"""Seconds from TERM on in which requests are still answered: routes of the Service follow within about that."""
_END: Final = 5.0
_IDLE: Final = 120.0
"""Seconds until an idle connection is closed here; more than the API server's 90, so that it is the one who closes."""


def run(config: InjectorConfig) -> int:
    """Be an injector until TERM or INT; returns the exit code. Raises ConfigError for what only a start can find."""
    return asyncio.run(_run(config))


async def _run(config: InjectorConfig) -> int:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    async with AsyncExitStack() as stack:
        registry = CollectorRegistry()
        metrics = InjectorMetrics(registry)
        kube = KubeCall(await access_at_start(config.kubeconfig), CALL_TIMEOUT)
        stack.push_async_callback(kube.close)
        served = Served(metrics)
        keeper = _keeper(config, kube, served)
        await _serve_health(config, stack, registry, keeper, over)
        policy = Policy(config.require_lock, config.require_opt_in)
        listener = _serve(config, stack, Reviewer(kube, config.sidecar, policy, metrics), served, over)
        keeping = asyncio.create_task(keep_for_ever(keeper), name="certificate")
        stack.callback(keeping.cancel)
        ended = asyncio.create_task(over.wait())
        await asyncio.wait({ended, keeping, listener.accepting}, return_when=asyncio.FIRST_COMPLETED)
        for work in (keeping, listener.accepting):
            if work.done():
                _log.critical("%s ended, so this process does", work.get_name(), exc_info=work.exception())
                return 1
        _log.info("ending; requests are answered for %g s more", LINGER)
        await asyncio.sleep(LINGER)
    return 0


def _keeper(config: InjectorConfig, kube: KubeCall, served: Served) -> Certificates:
    wanted = config.certificate
    if isinstance(wanted, CertificateFiles):
        return CertificateReader(served, wanted.certificate, wanted.key)
    return CertificateRotator(
        kube,
        served,
        host=wanted.host,
        namespace=config.namespace,
        secret=wanted.secret,
        configuration=wanted.configuration,
        lifetime=timedelta(days=wanted.days),
    )


async def _serve_health(
    config: InjectorConfig,
    stack: AsyncExitStack,
    registry: CollectorRegistry,
    keeper: Certificates,
    over: asyncio.Event,
) -> None:
    """Not ready any more from TERM on, so that no new connection is routed here."""
    app = make_app(registry, lambda: "", lambda: {"certificate": keeper.ready, "staying": not over.is_set()})
    try:
        listener = await listen(app, config.health_listen)
    except ListenError as error:
        raise config.mistake("health_listen", str(error)) from None
    stack.push_async_callback(listener.close)


def _serve(
    config: InjectorConfig, stack: AsyncExitStack, reviewer: Reviewer, served: Served, over: asyncio.Event
) -> TlsListener:
    async def review(request: web.BaseRequest) -> web.StreamResponse:
        response = await reviewer.handle(request)
        if over.is_set():
            response.force_close()
        return response

    app = App()
    app.post("/mutate", review)
    try:
        bound = bind_tcp(config.listen)
    except ListenError as error:
        raise config.mistake("listen", str(error)) from None
    listener = TlsListener(app, bound, served.context, _IDLE)
    stack.push_async_callback(listener.close, _END)
    _log.info("listening", extra={"fields": {"listen": str(config.listen)}})
    return listener
