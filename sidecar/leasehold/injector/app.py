"""The injector from start to end: two listeners, and the certificate for one of them.

After TERM, requests are answered for a few more seconds, until the Service no longer routes here; otherwise the API
server's connections would be refused, and it would refuse pods. During that time each answer closes its connection: the
API server keeps connections open regardless of routes, and does not repeat a POST whose connection broke. An API server
that is unreachable ends nothing: calls are tried again.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold.http import lean_aiohttp as web
from leasehold.http.listener import ListenError, bind_tcp, listen
from leasehold.http.probes import make_app
from leasehold.http.server import App
from leasehold.injector.admission import BodyReader, Policy, Reviewer
from leasehold.injector.certificate_keeper import (
    CertificateReader,
    CertificateRotator,
    Certificates,
    Served,
    keep_up_to_date,
)
from leasehold.injector.config import CertificateFiles, InjectorConfig
from leasehold.injector.metrics import InjectorMetrics
from leasehold.injector.tls_listener import TlsListener
from leasehold.injector.workload_review import WorkloadReviewer
from leasehold.kube.access import access_at_start
from leasehold.kube.call import KubeCall

_log = logging.getLogger("leasehold.injector.app")

Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]

CALL_TIMEOUT_SECONDS: Final = 2.0
"""For each call to the API server. A review makes two at most, and its webhook allows it 5 s."""
SHUTDOWN_DELAY_SECONDS: Final = 5.0
"""How long requests are answered after TERM: a Service's routes are updated within about that time."""
_CLOSE_TIMEOUT_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 120.0
"""More than the API server's 90 s, so that the API server is the one to close idle connections."""


def run(config: InjectorConfig) -> int:
    """Run the injector until TERM or INT; returns the exit code. May still raise ConfigError."""
    return asyncio.run(_run(config))


async def _run(config: InjectorConfig) -> int:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    async with AsyncExitStack() as stack:
        registry = CollectorRegistry()
        metrics = InjectorMetrics(registry)
        kube = KubeCall(await access_at_start(config.kubeconfig), CALL_TIMEOUT_SECONDS)
        stack.push_async_callback(kube.close)
        served = Served(metrics)
        certificates = _certificates(config, kube, served)
        await _serve_health(config, stack, registry, certificates, over)
        policy = Policy(config.require_lock, config.require_opt_in)
        reader = BodyReader()
        routes = {
            "/mutate": Reviewer(kube, config.sidecar, policy, metrics, reader).handle,
            "/advise": WorkloadReviewer(kube, config.sidecar, policy, reader).handle,
        }
        listener = _serve(config, stack, routes, served, over)
        keeping = asyncio.create_task(keep_up_to_date(certificates), name="certificate")
        stack.callback(keeping.cancel)
        ended = asyncio.create_task(over.wait())
        await asyncio.wait({ended, keeping, listener.accepting}, return_when=asyncio.FIRST_COMPLETED)
        for work in (keeping, listener.accepting):
            if work.done():
                _log.critical("ending, because the %s ended", work.get_name(), exc_info=work.exception())
                return 1
        _log.info("ending; requests are answered for %g s more", SHUTDOWN_DELAY_SECONDS)
        await asyncio.sleep(SHUTDOWN_DELAY_SECONDS)
    return 0


def _certificates(config: InjectorConfig, kube: KubeCall, served: Served) -> Certificates:
    source = config.certificate
    if isinstance(source, CertificateFiles):
        return CertificateReader(served, source.certificate, source.key)
    return CertificateRotator(kube, served, source)


async def _serve_health(
    config: InjectorConfig,
    stack: AsyncExitStack,
    registry: CollectorRegistry,
    certificates: Certificates,
    over: asyncio.Event,
) -> None:
    """The probes. Not ready after TERM, so that no new connection is routed here."""
    app = make_app(registry, lambda: "", lambda: {"certificate": certificates.ready, "staying": not over.is_set()})
    try:
        listener = await listen(app, config.health_listen)
    except ListenError as error:
        raise config.mistake("health_listen", str(error)) from None
    stack.push_async_callback(listener.close)


def _serve(
    config: InjectorConfig, stack: AsyncExitStack, routes: Mapping[str, Handler], served: Served, over: asyncio.Event
) -> TlsListener:
    def closing(handler: Handler) -> Handler:
        async def handle(request: web.BaseRequest) -> web.Response:
            response = await handler(request)
            if over.is_set():
                response.force_close()
            return response

        return handle

    app = App()
    for path, handler in routes.items():
        app.post(path, closing(handler))
    try:
        bound = bind_tcp(config.listen)
    except ListenError as error:
        raise config.mistake("listen", str(error)) from None
    listener = TlsListener(app, bound, served.context, _IDLE_SECONDS)
    stack.push_async_callback(listener.close, _CLOSE_TIMEOUT_SECONDS)
    _log.info("listening", extra={"fields": {"listen": str(config.listen)}})
    return listener
