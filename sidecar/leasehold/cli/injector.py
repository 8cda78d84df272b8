"""`leasehold injector`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from leasehold.injector import config

_USAGE_ERROR = 2


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Be an injector until TERM or INT; returns the exit code. Raises ConfigError."""
    settings = config.injector_config(arguments, environ)
    try:
        from leasehold.injector import (
            app,  # asyncio, kubernetes, cryptography: not before the settings are known to be good
        )
    except ModuleNotFoundError as error:
        if (error.name or "leasehold").partition(".")[0] == "leasehold":
            raise
        sys.stderr.write(
            f"leasehold: The injector needs {error.name}: install it with pip install 'leasehold[operator]'.\n"
        )
        return _USAGE_ERROR
    from leasehold import logs

    logs.configure(settings.log)
    logs.warn(settings.warnings)
    return app.run(settings)
