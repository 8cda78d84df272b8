"""The tour that a new user takes first."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.servers import Process, wait_for
from tests.support.sidecars import request

DEMO = [sys.executable, "-m", "leasehold", "demo"]
STEPS = [
    "Election",
    "Graceful handover",
    "kill -9 of the leader",
    "A frozen leader",
    "A cut network",
    "A sick app",
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


def processes_with(variable: str) -> set[int]:
    """All processes, of whatever parent, that were started with this `NAME=VALUE` in their environment."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if variable.encode() in words and is_running(int(path.parent.name)):
            found.add(int(path.parent.name))
    return found


def test_every_step_holds(spawn: Callable[..., Process]) -> None:
    """`--plain`: each step is told with its gap, nothing contradicts itself, the exit code is 0."""
    demo = spawn([*DEMO, "--plain"], name="demo")
    assert demo.wait(300) == 0, demo.log_tail()
    for step in STEPS:
        assert f"✔ {step}: " in demo.log
    assert len(re.findall(r"\[[\d,]+ ms\]", demo.log)) == len(STEPS) - 2  # an election and an app's failing take none
    assert re.search(
        r"writes with token \d+: taken\. \w+ thaws, answers 503, and writes late with token \d+: refused", demo.log
    )
    assert "says: the app is unhealthy: " in demo.log
    assert "of them in contradiction" in demo.log
    assert ", 0 of them in contradiction" in demo.log


@contextlib.contextmanager
def wide_terminal(words: list[str], **variables: str) -> "Iterator[pexpect.spawn[str]]":
    """The demo on a terminal of 140 columns. pytest sets COLUMNS to 80, and that counts for more than the terminal.

    At Ctrl-C a terminal throws away what it has not yet shown, be it in the middle of a character.
    """
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")} | variables
    terminal: pexpect.spawn[str] = pexpect.spawn(
        DEMO[0], words, dimensions=(40, 140), timeout=300, env=environ, encoding="utf-8", codec_errors="replace"
    )
    try:
        yield terminal
    finally:
        if terminal.isalive():  # the test has failed, or was interrupted: closing it would kill the demo at once
            terminal.kill(signal.SIGTERM)
            wait_for(lambda: not terminal.isalive(), "the demo to end what it has started")
        terminal.close()


def test_live_view() -> None:
    """On a terminal the queue is drawn, with who leads and how long its lease lasts; exit code 0."""
    with wide_terminal(DEMO[1:]) as terminal:
        terminal.expect("starting an etcd")
        terminal.expect("not started")
        terminal.expect("200 leading")
        terminal.expect("nobody may lead")
        terminal.expect("frozen")
        terminal.expect("cut off")
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


@pytest.mark.parametrize("moment", ["starting an etcd", "starting three", r"frozen +\x1b"])
def test_a_closed_terminal_leaves_nothing(tmp_path: Path, moment: str) -> None:
    """The terminal goes away, at whatever moment: no process is left, not even a frozen one, and no file."""
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with pexpect.spawn(DEMO[0], DEMO[1:], dimensions=(40, 140), timeout=300, encoding="utf-8", env=env) as terminal:
        terminal.expect(moment)
        started = processes_with(f"TMPDIR={tmp_path}")
        assert started
        terminal.ptyproc.fileobj.close()
        try:
            wait_for(lambda: not processes_with(f"TMPDIR={tmp_path}"), "everything that it started to end")
        finally:
            for pid in processes_with(f"TMPDIR={tmp_path}"):
                os.kill(pid, signal.SIGKILL)
    assert not list(tmp_path.iterdir())


def test_nohup_outlives_the_terminal(spawn: Callable[..., Process]) -> None:
    """Under nohup, HUP is ignored: the tour goes on."""
    demo = spawn(["nohup", *DEMO, "--plain"], name="demo", env={"PYTHONUNBUFFERED": "1"})
    demo.wait_for_log("✔ Election", 60)
    os.kill(demo.pid, signal.SIGHUP)
    demo.wait_for_log("✔ Graceful handover", 60)
    demo.signal(signal.SIGTERM)
    demo.wait(60)


def test_modules_of_the_current_folder(spawn: Callable[..., Process], tmp_path: Path) -> None:
    """A file of the user's, named as a module of Python's, is not run by the sidecars."""
    for name in ("http.py", "json.py", "asyncio.py"):
        (tmp_path / name).write_text("open('was-run', 'w').close()\n")
    command = [sys.executable, "-P", "-m", "leasehold", "demo", "--plain"]
    demo = spawn(command, name="demo", env={"PYTHONUNBUFFERED": "1"}, cwd=tmp_path)
    demo.wait_for_log("✔ Election", 60)
    demo.signal(signal.SIGTERM)
    demo.wait(60)
    assert not (tmp_path / "was-run").exists()


def test_the_first_frame_waits_for_little() -> None:
    """What takes long to import, aiohttp and gRPC, comes after the first frame."""
    code = "import sys, leasehold.demo; print(*{'aiohttp', 'jh2', 'google.protobuf'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_terminal_without_cursor_gets_lines() -> None:
    """Nothing can be redrawn there: a live view would show nothing until the end."""
    with wide_terminal(DEMO[1:], TERM="dumb") as terminal:
        terminal.expect("… starting an etcd and three sidecars")
        terminal.expect("✔ Election: ")
        terminal.sendintr()
        terminal.expect(pexpect.EOF)


def test_panel_stays_live() -> None:
    """With `--keep` the queue is still drawn after the last of the lines, and its page is served."""
    words = [*DEMO[1:], "--keep", "--ui"]
    with wide_terminal(words) as terminal:
        terminal.expect(r"the page: (http://127\.0\.0\.1:\d+/)#demo/tour")
        assert isinstance(terminal.match, re.Match)
        url = terminal.match[1]
        terminal.expect("Still running")
        for _ in range(3):
            terminal.expect(r"200 leading.* s ")
        assert '"name": "demo/tour"' in request("GET", f"{url}lock?name=demo/tour")[1]
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
    assert terminal.signalstatus == signal.SIGINT


def test_keep_prints_commands_that_work(spawn: Callable[..., Process], tmp_path: Path) -> None:
    """`--keep`: it runs on until it is interrupted, and each command that is printed can be pasted as it is."""
    demo = spawn([*DEMO, "--plain", "--keep"], name="demo", env={"PYTHONUNBUFFERED": "1", "COLUMNS": "40"})
    demo.wait_for_log("Still running", 300)
    wait_for(lambda: demo.log.count("/handover") == 3, "the last of the lines")
    commands = re.findall(r"^  (?! )(.*)$", demo.log, re.MULTILINE)
    assert len(commands) == 2 + 1 + 2 * 3
    for command in commands:
        ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
    demo.signal(signal.SIGINT)
    demo.wait(60)
