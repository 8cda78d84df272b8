"""Settings as a command line or the environment gives them, read by the command's own parser."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from leasehold.settings.config import (
    Config,
    ConfigError,
    run_config,
)

LOCK = ("--lock", "prod/db")


def run(*arguments: str, **environ: str) -> Config:
    return run_config(arguments, environ)


def mistakes(*arguments: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        run_config(arguments, environ or {})
    return caught.value.mistakes


def only_mistake(*arguments: str, environ: Mapping[str, str] | None = None) -> str:
    found = mistakes(*LOCK, *arguments, environ=environ)
    assert len(found) == 1, found
    return found[0]
