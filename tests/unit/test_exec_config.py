"""The settings that `leasehold exec` has of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from leasehold.base.address import Address
from leasehold.settings.config import ConfigError
from leasehold.settings.exec import ExecConfig, exec_config


def read(*arguments: str, environ: Mapping[str, str] | None = None) -> ExecConfig:
    return exec_config(["--lock", "job", *arguments, "--", "true"], environ or {})


def test_listens_nowhere_by_default() -> None:
    """Two jobs of one host must not want the same port."""
    config = read().sidecar
    assert (config.listen, config.control) == (None, None)
    asked = read("--listen", ":4040", environ={"LEASEHOLD_CONTROL": "127.0.0.1:4041"}).sidecar
    assert (asked.listen, asked.control) == (Address("", 4040), Address("127.0.0.1", 4041))
    with pytest.raises(ConfigError, match="--listen has port 4041 already"):
        read("--listen", ":4041", "--control", "127.0.0.1:4041")


def test_identity_is_the_processs_own() -> None:
    """The host's or pod's name, the process id, and a part that differs where all process ids are the same."""
    for environ, base in (({}, os.uname().nodename), ({"POD_NAME": "web-0"}, "web-0")):
        first, second = (read(environ=environ).sidecar.record.identity for _ in range(2))
        assert first.startswith(f"{base}-{os.getpid()}-")
        assert first != second


def test_given_identity_is_kept() -> None:
    assert read("--identity", "a").sidecar.record.identity == "a"
    assert read(environ={"LEASEHOLD_IDENTITY": "b", "POD_NAME": "c"}).sidecar.record.identity == "b"


def test_parents_identity_is_not_ours() -> None:
    """LEASEHOLD_KEY shows that an exec has set the variable for its command."""
    config = read(environ={"LEASEHOLD_IDENTITY": "parent", "LEASEHOLD_KEY": "/queue/1", "LEASEHOLD_TOKEN": "1"})
    assert config.sidecar.record.identity.startswith("parent-")
    assert (config.parent_key, config.sidecar.warnings) == ("/queue/1", ())


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("6h", 21600), ("1d", 86400), ("5", 5)]
)
def test_durations(text: str, seconds: int) -> None:
    assert read("--once-per", text).once_per == seconds


@pytest.mark.parametrize("text", ["0", "4", "1.5h", "-1h", "h", "1w", "1 h", "367d", "٣h", "1h30m"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ConfigError, match="use a duration such as 90, 15m, 6h or 1d, from 5 to 31622400 seconds"):
        read(f"--once-per={text}")


def test_timeout_may_be_zero() -> None:
    assert (read().timeout, read("--timeout", "0").timeout) == (None, 0.0)
    with pytest.raises(ConfigError, match="--timeout is '-1': use a number of seconds from 0 to 86400"):
        read("--timeout", "-1")
