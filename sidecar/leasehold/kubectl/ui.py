"""`kubectl leasehold ui`: forwards a port to the page of all locks in the cluster, and opens it.

The page listens on its pod's loopback, so that the right to forward a port into that pod is the right to read it.
kubectl itself forwards, with the user's flags. If the pod goes, the next one is forwarded to.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

from leasehold.base.terminal import one_line
from leasehold.kubectl.arguments import Arguments
from leasehold.kubectl.cluster import Cluster
from leasehold.kubectl.connection import explicit
from leasehold.kubectl.errors import ClusterError
from leasehold.kubectl.kubectl_program import find_kubectl
from leasehold.kubectl.lock import table, text

PAGE_PORT: Final = 4042
_FORWARDING: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")
_SELECTOR: Final = "app.kubernetes.io/name=leasehold,app.kubernetes.io/component=ui"
_AGAIN_SECONDS: Final = 1.0


class Forwardable(NamedTuple):
    """A running pod that a port can be forwarded to."""

    namespace: str
    name: str


def show_page(cluster: Cluster, given: Arguments) -> int:
    """`ui`: until Ctrl-C. Raises ClusterError if there is no page, or kubectl cannot forward to it."""
    port, said = _forward(cluster, given, given.port, announced=0), ""
    while True:
        time.sleep(_AGAIN_SECONDS)
        try:  # the same port again, so that the browser's page takes up by itself
            port, said = _forward(cluster, given, port, announced=port), ""
        except ClusterError as error:  # the next pod does not run yet, or the API server is away
            if str(error) != said:
                said = str(error)
                sys.stderr.write(f"leasehold: {said} It is tried again.\n")


def _forward(cluster: Cluster, given: Arguments, port: int, *, announced: int) -> int:
    """Forward until the pod is gone; the port that was forwarded, which is told unless it is `announced`."""
    with _forwarding(_page(cluster, given), given, port) as lines:
        forwarded = _forwarded_port(lines)
        if forwarded != announced:
            _announce(f"http://127.0.0.1:{forwarded}/", open_it=not given.no_open)
        for _ in lines:
            pass  # one line for each connection
    return forwarded


def _page(cluster: Cluster, given: Arguments) -> Forwardable:
    namespace = given.cluster_ref.namespace
    path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
    where = f" in the namespace {namespace}" if namespace else ""
    for pod in cluster.objects(path, f"pods{where or ' in all namespaces'}", _SELECTOR):
        metadata = table(pod, "metadata")
        if text(table(pod, "status"), "phase") == "Running" and not text(metadata, "deletionTimestamp"):
            return Forwardable(text(metadata, "namespace"), text(metadata, "name"))
    raise ClusterError(f"There is no page running{where}: install the chart with ui.enabled=true.")


@contextmanager
def _forwarding(pod: Forwardable, given: Arguments, port: int) -> Iterator[IO[str]]:
    """The output of kubectl's port-forward to the pod, which ends with the context."""
    words = [find_kubectl(os.environ), "port-forward", *explicit(given.cluster_ref.flags)]
    words += [f"--namespace={pod.namespace}", "--address=127.0.0.1"]
    words += [f"pod/{pod.name}", f"{port or ''}:{PAGE_PORT}"]
    # It keeps the terminal, on which a login may ask.
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as kubectl:
        assert kubectl.stdout is not None, "it is a pipe"
        try:
            yield kubectl.stdout
        finally:
            kubectl.terminate()


def _forwarded_port(lines: Iterable[str]) -> int:
    """The port that kubectl forwards, once it says so. Raises ClusterError with what it says instead."""
    said = []
    for line in lines:
        if match := _FORWARDING.search(line):
            return int(match[1])
        said.append(line)
    reason = one_line(" ".join(said)).strip()[:500].rstrip(".")
    raise ClusterError(f"kubectl cannot forward a port to the page: {reason or 'it gives no reason'}.")


def _announce(url: str, *, open_it: bool) -> None:
    sys.stdout.write(f"The page of all locks is at {url} until Ctrl-C.\n")
    sys.stdout.flush()
    # Without a desktop, webbrowser would start one that takes the terminal over.
    has_desktop = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if open_it and has_desktop:
        webbrowser.open(url)
