"""`leasehold injector`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from sidecar.injector import config

_USAGE_ERROR = 2


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Be an injector until TERM or INT; returns the exit code. Raises ConfigError."""
    settings = config.injector_config(arguments, environ)
    try:
        from sidecar.injector import (
            app,
        )  # asyncio, kubernetes, cryptography: not before the settings are known to be good
    except ModuleNotFoundError as error:
        if (error.name or "sidecar").partition(".")[0] == "sidecar":
            raise
        sys.stderr.write(
            f"leasehold: The injector needs {error.name}: install it with pip install 'leasehold[operator]'.\n"
        )
        return _USAGE_ERROR
    from sidecar import logs

    logs.configure(settings.log)
    logs.warn(settings.warnings)
    return app.run(settings)
