"""`python -m leasehold.operator.certificates`: keeps the certificates of the chart's etcd until TERM or INT."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from leasehold.base import logs
from leasehold.base.config_error import ConfigError
from leasehold.http.listener import ListenError, listen
from leasehold.http.probes import make_app
from leasehold.kube.access import access_at_start
from leasehold.kube.call import KubeCall
from leasehold.operator.certificates.config import CertificatesConfig, certificates_config
from leasehold.operator.certificates.keeper import Keeper

CALL_TIMEOUT_SECONDS = 5.0


async def _run(config: CertificatesConfig) -> int:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    async with AsyncExitStack() as stack:
        registry = CollectorRegistry()
        kube = KubeCall(await access_at_start(config.kubeconfig), CALL_TIMEOUT_SECONDS)
        stack.push_async_callback(kube.close)
        keeper = Keeper(kube, config, registry)
        app = make_app(registry, lambda: "", lambda: {"certificates": keeper.ready})
        try:
            listener = await listen(app, config.listen)
        except ListenError as error:
            raise config.mistake("listen", str(error)) from None
        stack.push_async_callback(listener.close)
        keeping = asyncio.create_task(keeper.run(), name="certificates")
        stack.callback(keeping.cancel)
        ended = asyncio.create_task(over.wait())
        await asyncio.wait({ended, keeping}, return_when=asyncio.FIRST_COMPLETED)
        return 1 if keeping.done() else 0


def main() -> int:
    """The exit code: 2 for a mistake in the settings."""
    try:
        config = certificates_config(sys.argv[1:], os.environ)
        logs.configure(config.log.level, config.log.format)
        logs.warn(config.warnings)
        return asyncio.run(_run(config))
    except ConfigError as error:
        sys.stderr.write("".join(f"leasehold: {mistake}\n" for mistake in error.mistakes))
        return 2


if __name__ == "__main__":
    sys.exit(main())
