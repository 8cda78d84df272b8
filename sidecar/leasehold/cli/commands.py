"""The commands that are programs of their own. Settings come first: mistakes and `--help` answer at once.

asyncio, aiohttp, gRPC, kubernetes and so on are imported only once the settings are known to be good.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from leasehold.cli.lazy_modules import install_lazy_modules
from leasehold.run import lean_imports
from leasehold.settings.command_line import optional_dependencies
from leasehold.settings.config import CommonConfig

C = TypeVar("C", bound=CommonConfig)


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold run`. Raises ConfigError, as the others do."""
    gc.disable()  # until all is loaded: what imports leave is little, and searching it is 5 % of the start's CPU time
    from leasehold.settings.config import run_config

    config = run_config(arguments, environ)
    # A parent that ignores SIGCHLD hands that on, and the kernel then forgets how hooks ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if config.app_health is None:  # whose probes need aiohttp's client
        lean_imports.import_lean(tls=config.etcd.tls)
        install_lazy_modules(("ssl",))  # what is left to import it uses it for TLS alone
    from leasehold.run import app

    return _start(app.run, config)


def operator(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold operator`."""
    from leasehold.operator.config import operator_config

    config = operator_config(arguments, environ)
    with optional_dependencies("The operator", "operator"):
        from leasehold.operator import app

    return _start(app.run, config)


def injector(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold injector`."""
    from leasehold.injector.config import injector_config

    config = injector_config(arguments, environ)
    with optional_dependencies("The injector", "operator"):
        from leasehold.injector import app

    return _start(app.run, config)


def ui(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold ui`."""
    from leasehold.ui.config import ui_config

    config = ui_config(arguments, environ)
    lean_imports.import_lean()
    from leasehold.ui import app

    return _start(app.run, config)


def demo(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold demo`."""
    with optional_dependencies("The demo", "demo"):
        from leasehold import demo as tour
    return tour.main(list(arguments))


def _start(application: Callable[[C], int], config: C) -> int:
    from leasehold.base import logs

    logs.configure(config.log.level, config.log.format)
    logs.warn(config.warnings)
    return application(config)
