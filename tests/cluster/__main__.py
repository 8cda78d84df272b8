"""`python -m tests.cluster`: a Kubernetes API to try things out on, in a shell with kubectl, until that ends.

Without a terminal it prints where the API is and waits for a signal.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from tests.cluster.control_plane import CRD, ControlPlane
from tests.servers import program

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stop(number: int, _: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, _ignore)  # a second one must not leave anything behind
    sys.exit(128 + number)


def _ignore(number: int, _: FrameType | None) -> None:
    """Not SIG_IGN, which Python complains about when the signal has come already."""


def main() -> int:
    """Start it, wait, and stop all of it; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument(
        "--controller-manager",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="service accounts, Deployments, StatefulSets, garbage collection (no nodes: pods stay Pending)",
    )
    controllers = parser.parse_args().controller_manager
    for number in _SIGNALS:
        signal.signal(number, _stop)
    control_plane = ControlPlane(controllers=controllers, crd=CRD.exists())
    try:
        control_plane.start()
        return _serve(control_plane)
    finally:
        control_plane.close()


def _serve(control_plane: ControlPlane) -> int:
    config = control_plane.kubeconfig()
    kubectl = program("kubectl").parent
    print(f"Kubernetes API at {control_plane.url}, etcd at {control_plane.etcd.url}")
    print(f"export KUBECONFIG={config}", f'export PATH="{kubectl}:$PATH"', sep="\n", flush=True)
    if sys.stdin.isatty() and sys.stdout.isatty():
        return _shell(config, kubectl)
    while True:
        signal.pause()


def _shell(config: Path, kubectl: Path) -> int:
    """The user's shell, with all that was printed already set; its exit code."""
    print("All of it stops when this shell ends.", flush=True)
    env = {**os.environ, "KUBECONFIG": str(config), "PATH": f"{kubectl}:{os.environ['PATH']}"}
    signal.signal(signal.SIGINT, _ignore)  # Ctrl-C is for what runs in the shell
    return subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=env, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
