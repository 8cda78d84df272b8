"""Programs of the machine that some tests need beyond what every machine has, installed by apt where they lack."""

import os
import shutil
import sys
import time
from collections.abc import Mapping

from tests.servers.cache import cache_dir, locked
from tests.servers.programs import MissingProgram, run


def why_missing(what: str, tools: Mapping[str, str]) -> str | None:
    """Why `what` can't be had here, as a sentence; None when it can. `tools` are programs, each with Debian's package.

    Root on Linux only. What lacks is installed first.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return f"{what} need root on Linux."
    missing = [tool for tool in tools if not shutil.which(tool)]
    if not missing:
        return None
    if not shutil.which("apt-get"):
        return f"{what} need {', '.join(missing)}, and this machine has no apt-get to install them."
    try:
        _install(sorted({tools[tool] for tool in missing}))
    except MissingProgram as error:
        return f"{what} need {', '.join(missing)}, and apt-get failed: {error}"
    return None


def _install(packages: list[str]) -> None:
    print(f"servers: installing {' '.join(packages)} …", file=sys.stderr, flush=True)
    started = time.monotonic()
    cache_dir().mkdir(parents=True, exist_ok=True)
    with locked(cache_dir() / ".apt.lock"):
        run(["apt-get", "update"])
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        wait = ["-o", "DPkg::Lock::Timeout=300"]  # seconds, for an apt of the machine's own
        run(["apt-get", "install", *wait, "--yes", "--no-install-recommends", *packages], env=env)
    print(f"servers: installed them in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
