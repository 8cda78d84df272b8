"""Free loopback ports that stay free until they are given back, also while their server is down for a
restart.

"Bind to port 0, close, use" has two races: another process may be given the port meanwhile, and a client that
connects to a server that is down may be given that very port as its own and then talk to itself. So ports
come from below the range that the kernel hands out, and a lock on a file per port keeps other test runs on
the machine away.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

_held: dict[int, IO[str]] = {}


def reserve_port() -> int:
    """A port of 127.0.0.1 that is this process's own until `release_port`, or until it ends."""
    directory = Path(tempfile.gettempdir()) / f"leasehold-ports-{os.getuid()}"
    directory.mkdir(exist_ok=True)
    ports = list(_candidates())
    random.shuffle(ports)  # so that concurrent runs seldom try the same
    for port in ports:
        if port not in _held and _take(port, directory):
            return port
    raise RuntimeError("no free port on 127.0.0.1 below the kernel's own range")


def release_port(port: int) -> None:
    """Let others have the port; its server has ended."""
    _held.pop(port).close()


def _candidates() -> range:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return range(10_000, first) if first > 12_000 else range(10_000, 32_000)


def _take(port: int, directory: Path) -> bool:
    file = (directory / str(port)).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:  # somebody who knows nothing of our locks may listen there
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        file.close()
        return False
    _held[port] = file
    return True
