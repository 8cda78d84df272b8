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

from tests.cluster import images
from tests.cluster.cluster import Cluster, why_unavailable
from tests.cluster.control_plane import ControlPlane
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
        help="service accounts, Deployments, StatefulSets, garbage collection (without nodes pods stay Pending)",
    )
    parser.add_argument("--nodes", type=int, default=0, metavar="N", help="nodes that run pods, with the images to try")
    options = parser.parse_args()
    if options.nodes and (reason := why_unavailable()):
        print(reason)
        return 2
    for number in _SIGNALS:
        signal.signal(number, _stop)
    control_plane = Cluster(options.nodes) if options.nodes else ControlPlane(controllers=options.controller_manager)
    try:
        control_plane.start()
        if isinstance(control_plane, Cluster):
            images.load_all(control_plane)
        return _serve(control_plane)
    finally:
        control_plane.close()


def _serve(control_plane: ControlPlane) -> int:
    config = control_plane.kubeconfig()
    tools = os.pathsep.join(str(program(name).parent) for name in ("kubectl", "helm"))
    print(f"Kubernetes API at {control_plane.url}, etcd at {control_plane.etcd.url}")
    print(f"export KUBECONFIG={config}", f'export PATH="{tools}:$PATH"', sep="\n", flush=True)
    if sys.stdin.isatty() and sys.stdout.isatty():
        return _shell(config, tools)
    while True:
        signal.pause()


def _shell(config: Path, tools: str) -> int:
    """The user's shell, with all that was printed already set; its exit code."""
    print("All of it stops when this shell ends.", flush=True)
    env = {**os.environ, "KUBECONFIG": str(config), "PATH": f"{tools}:{os.environ['PATH']}"}
    signal.signal(signal.SIGINT, _ignore)  # Ctrl-C is for what runs in the shell
    return subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=env, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
