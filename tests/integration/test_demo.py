"""The tour that a new user takes first."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.servers import Process, wait_for

DEMO = [sys.executable, "-m", "leasehold", "demo"]
STEPS = [
    "Election",
    "Graceful handover",
    "kill -9 of the leader",
    "A frozen leader",
    "A restart within the TTL",
]


def children_of(pid: int) -> set[int]:
    """The processes that this one has started and that still run."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for thread in threads for child in thread.read_text().split()}


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_every_step_holds(spawn: Callable[..., Process]) -> None:
    """`--plain`: each step is told with its gap, nothing contradicts itself, the exit code is 0."""
    demo = spawn([*DEMO, "--plain"], name="demo")
    assert demo.wait(120) == 0, demo.log_tail()
    for step in STEPS:
        assert f"✔ {step}: " in demo.log
    assert len(re.findall(r"\[[\d,]+ ms\]", demo.log)) == len(STEPS) - 1
    assert ", 0 of them in contradiction" in demo.log


def test_live_view() -> None:
    """On a terminal the queue is drawn, with who leads and how long its lease lasts; exit code 0."""
    with pexpect.spawn(DEMO[0], DEMO[1:], dimensions=(40, 140), timeout=120, encoding="utf-8") as terminal:
        terminal.expect("200 leading")
        terminal.expect("frozen")
        terminal.expect(pexpect.EOF)
        shown = terminal.before
    assert "Every step held" in str(shown), shown
    assert terminal.exitstatus == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interruption_leaves_nothing(spawn: Callable[..., Process], number: signal.Signals) -> None:
    """TERM or Ctrl-C in the middle: etcd and all sidecars are ended."""
    demo = spawn([*DEMO, "--plain"], name="demo", env={"PYTHONUNBUFFERED": "1"})
    demo.wait_for_log("✔ Election", 60)
    started = children_of(demo.pid)
    assert len(started) == 4
    try:
        os.kill(demo.pid, number)
        assert demo.wait(60) != 0
        wait_for(lambda: not any(is_running(pid) for pid in started), "everything that it started to end")
    finally:
        for pid in filter(is_running, started):
            os.kill(pid, signal.SIGKILL)


def test_keep_leaves_it_running(spawn: Callable[..., Process]) -> None:
    """`--keep`: what to curl is printed, and answers, until it is interrupted."""
    demo = spawn([*DEMO, "--plain", "--keep"], name="demo", env={"PYTHONUNBUFFERED": "1"})
    demo.wait_for_log("leasehold status", 120)
    assert len(re.findall(r"curl -i http://127\.0\.0\.1:\d+/leader", demo.log)) == 3
    demo.signal(signal.SIGINT)
    demo.wait(60)
