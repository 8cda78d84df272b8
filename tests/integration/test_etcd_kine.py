"""kine, which speaks etcd's protocol before an SQL database: no lock can be held there, and it is told by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.servers import Process, program, wait_for
from tests.servers.ports import release_port, reserve_port
from tests.support.sidecars import PATIENCE, Sidecar

SENTENCE = "is not an etcd that Leasehold can lead on"
TRIES = 4


@pytest.fixture
def kine(tmp_path: Path, spawn: Callable[..., Process]) -> Iterator[str]:
    """Its URL: the real one, on a file of SQLite."""
    port = reserve_port()
    url = f"http://127.0.0.1:{port}"
    words = [f"--endpoint=sqlite://{tmp_path}/db", f"--listen-address={url}", "--metrics-bind-address=0"]
    spawn([program("kine"), *words], name="kine").wait_for_log("Kine available at")
    yield url
    release_port(port)


def test_nobody_leads(kine: str, sidecar_factory: Callable[..., Sidecar]) -> None:
    """Each says so at most once a minute, and tries again more and more seldom."""
    sidecars = [sidecar_factory(name, kine) for name in "ab"]
    for sidecar in sidecars:
        wait_for(lambda one=sidecar: len(attempts(one)) > TRIES, f"{sidecar.name} to try again", PATIENCE)  # type: ignore[misc]  # no type for a lambda's default
        lines = told(sidecar)
        assert len(lines) == 1
        for times in lines.values():
            assert all(later - earlier > timedelta(seconds=59) for earlier, later in pairwise(times))
        assert not sidecar.is_leading()


def told(sidecar: Sidecar) -> dict[str, list[datetime]]:
    """What it said of it to those who read no debug lines, and when."""
    found: dict[str, list[datetime]] = {}
    for one in sidecar.records():
        if SENTENCE in one["message"] and one["level"] != "debug":
            found.setdefault(one["message"], []).append(datetime.fromisoformat(one["time"]))
    return found


def attempts(sidecar: Sidecar) -> list[str]:
    """When it connected."""
    return [record["time"] for record in sidecar.records() if SENTENCE in record["message"]]


@pytest.mark.parametrize("command", ["check", "status"])
def test_commands_name_it(command: str, kine: str) -> None:
    """Instead of a queue, or an etcd that is well."""
    words = [sys.executable, "-m", "leasehold", command, "--etcd", kine]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "kine answers so" in done.stdout + done.stderr
