"""A log that nobody reads costs lines, and nothing else: no term, no answer, no command."""

from __future__ import annotations

import http.client
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import Disk, EtcdServer, Process, Toxiproxy, wait_for
from tests.support.paused_log import PausedLog
from tests.support.sidecars import LOCK, PATIENCE, request

TTL = 8
"""Seconds, which no pause of a busy machine runs out."""
LEASEHOLD = (sys.executable, "-m", "leasehold")
SETTINGS = ("--lock", LOCK, "--ttl", str(TTL), "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PausedLog]:
    made = PausedLog(tmp_path / "log")
    yield made
    made.close()


def urls(log: PausedLog) -> tuple[str, str]:
    """Where it listens, and where it is controlled: the log says so before the reader pauses."""
    return listening(log.read_until(" connected to etcd"))


def listening(text: str) -> tuple[str, str]:
    """The URLs of both listeners, from a log."""
    found = {name: f"http://{where}" for name, where in re.findall(r"\b(listen|control)=(\S+)", text)}
    return found["listen"], found["control"]


def leads(url: str) -> bool:
    """Whether it answers 200. No answer at all is a fault."""
    return request("GET", f"{url}/leader")[0] == http.client.OK


def never_fails_for(seconds: float, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert holds()
        time.sleep(0.1)


def test_a_sidecar_leads_on(log: PausedLog, spawn: Callable[..., Process], etcd: EtcdServer, root: str) -> None:
    sidecar = spawn(log.command(*LEASEHOLD, "run", "--etcd", etcd.url, "--root", root, *SETTINGS), name="paused")
    url, control = urls(log)
    wait_for(lambda: leads(url), "the sidecar to lead", PATIENCE)
    log.fill()
    for path in ("/pause", "/resume"):  # each is worth a line or more
        assert request("POST", control + path)[0] < http.client.BAD_REQUEST
    wait_for(lambda: leads(url), "the sidecar to lead again", PATIENCE)
    never_fails_for(1.25 * TTL, lambda: leads(url))
    assert request("GET", f"{url}/livez")[0] == http.client.OK
    sidecar.signal(signal.SIGTERM)
    assert sidecar.wait(PATIENCE) == 0


def test_a_log_file_on_a_disk_that_hangs(
    spawn: Callable[..., Process], etcd: EtcdServer, disk_factory: Callable[[], Disk], root: str
) -> None:
    """No write of the file returns; the lines come once the disk is back."""
    disk = disk_factory()
    file = disk.path / "log"
    words = [
        "sh",
        "-c",
        'exec "$@" 2> "$0"',
        str(file),
        *LEASEHOLD,
        "run",
        "--etcd",
        etcd.url,
        "--root",
        root,
        *SETTINGS,
    ]
    sidecar = spawn(words, name="hung")
    wait_for(lambda: file.exists() and " connected to etcd" in file.read_text(), "the sidecar to connect", PATIENCE)
    url, control = listening(file.read_text())
    wait_for(lambda: leads(url), "the sidecar to lead", PATIENCE)
    disk.freeze()
    for path in ("/pause", "/resume"):
        assert request("POST", control + path)[0] < http.client.BAD_REQUEST
    wait_for(lambda: leads(url), "the sidecar to lead again", PATIENCE)
    never_fails_for(1.25 * TTL, lambda: leads(url))
    disk.thaw()
    sidecar.signal(signal.SIGTERM)
    assert sidecar.wait(PATIENCE) == 0
    assert file.read_text().count("gained: ") == 2


def test_a_command_runs_on(
    log: PausedLog, spawn: Callable[..., Process], etcd: EtcdServer, toxiproxy: Toxiproxy, root: str
) -> None:
    """It shares the pipe; its own output fills it, and then the connection to etcd breaks, which is worth a line."""
    proxy = toxiproxy.proxy(etcd.port)
    script = "head -c 9999 /dev/zero >&2 & exec sleep 600"
    words = [*LEASEHOLD, "exec", "--etcd", proxy.url, "--root", root, *SETTINGS, "--", "sh", "-c", script]
    execution = spawn(log.command(*words), name="paused")
    url, _ = urls(log)
    log.read_until("\0")
    log.fill()
    proxy.cut()
    proxy.heal()
    never_fails_for(1.25 * TTL, lambda: execution.running and leads(url))
    execution.signal(signal.SIGTERM)
    assert execution.wait(PATIENCE) == -signal.SIGTERM
