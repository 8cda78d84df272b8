"""The real helm, with a home of its own: nothing of the user's settings, and no network."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers import program


class HelmFailed(RuntimeError):
    """helm ended with an error; the message is what it wrote."""


def build_dependencies(chart: Path) -> None:
    """The charts that this one uses, in it. One at a time, whoever asks: helm moves their folder away and back."""
    with (chart / "Chart.yaml").open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        run_helm("dependency", "build", chart)


def run_helm(*words: str | Path, kubeconfig: Path | None = None, stdin: str = "", timeout: float = 120) -> str:
    """What it prints. Raises HelmFailed when it fails, or isn't done after `timeout` seconds."""
    argv: Sequence[str | Path] = [program("helm"), *words]
    with tempfile.TemporaryDirectory(prefix="leasehold-helm-") as home:
        places = {f"HELM_{name}_HOME": f"{home}/{name.lower()}" for name in ("CACHE", "CONFIG", "DATA")}
        env = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": str(kubeconfig or "/dev/null"), **places}
        try:
            result = subprocess.run(
                argv, env=env, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise HelmFailed(f"helm {words[0]}: not done after {timeout} s") from None
    if result.returncode:
        raise HelmFailed(f"helm {words[0]}: {result.stderr or result.stdout}")
    return result.stdout
