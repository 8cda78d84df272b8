"""The stream behind the log: nobody who writes to it waits for who reads it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leasehold.base.threads import background_stream
from leasehold.base.threads.background_stream import MAX_WAITING_BYTES, BackgroundStream
from tests.support.paused_log import PausedLog

LINES = 5000
"""More than may wait: each is longer than a hundred bytes."""

LOGGER = """
import asyncio, logging, sys
from leasehold.base import logs
logs.configure(form=sys.argv[1])
log = logging.getLogger("leasehold.runner")
async def main():
    for number in range(int(sys.argv[2])):
        log.warning("line %d %s", number, "x" * 100)
    print("done", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    log.info("the last line")
asyncio.run(main())
raise ValueError("a traceback")
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PausedLog]:
    made = PausedLog(tmp_path / "log")
    yield made
    made.close()


def opened(log: PausedLog) -> BackgroundStream:
    return BackgroundStream(log.writer(), lambda count: f"dropped {count}\n")


def test_lines_come_in_their_order(log: PausedLog) -> None:
    stream = opened(log)
    for number in range(200):
        stream.write(f"line {number}\n")
    stream.drain(60)
    assert log.read_until("line 199\n").split("\n")[:-1] == [f"line {number}" for number in range(200)]


def test_an_empty_text_is_no_lost_line(log: PausedLog) -> None:
    """A traceback is written in pieces, and some are empty."""
    stream = opened(log)
    for text in ("", "one\n", "", "two\n", ""):
        stream.write(text)
        stream.drain(60)
    assert log.read_until("two\n") == "one\ntwo\n"


def test_without_a_thread_the_end_is_told(log: PausedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that is out of process ids: what was to be said is said as the process ends."""

    def refuse(run: object, name: str) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background_stream, "start_without_signals", refuse)
    stream = opened(log)
    stream.write("no process could be started\n")
    stream.drain(60)
    assert log.read_until("started\n") == "no process could be started\n"


def test_a_full_pipe_holds_nobody_up(log: PausedLog) -> None:
    """All that was written is there once it is read, behind it the count of what was not kept, then what came later."""
    log.fill()
    stream = opened(log)
    line = "x" * 1023 + "\n"
    kept = MAX_WAITING_BYTES // len(line)
    for _ in range(kept + 100):
        stream.write(line)
    log.read_until("dropped ")
    stream.write("later\n")
    *lines, notice, later = log.read_until("later\n").split("\n")[:-1]
    dropped = int(notice.removeprefix("dropped "))
    assert lines.count("x" * 1023) + dropped == kept + 100
    assert dropped > 0
    assert later == "later"


def test_the_end_waits_only_so_long(log: PausedLog) -> None:
    log.fill()
    stream = opened(log)
    stream.write("unread\n")
    waiting = threading.Thread(target=stream.drain, args=(0.01,))
    waiting.start()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_failed_write_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "read-only").touch()
    with (tmp_path / "read-only").open() as file:
        stream = BackgroundStream(file.fileno(), str)
        stream.write("nowhere to go\n")
        stream.drain(60)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_loop_goes_on_while_its_log_is_not_read(log: PausedLog, form: str) -> None:
    """It logs more than can wait and gets to its end; every line is then there, or counted; a traceback comes last."""
    log.fill()
    words = log.command(sys.executable, "-c", LOGGER, form, str(LINES))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "done\n"
        log.read_until("not reading")
        process.stdin.close()
        text = log.read_until("ValueError: a traceback\n")
        assert process.wait(60) == 1
    said = [line for line in text.split("\n") if "dropped" in line]
    assert len(said) == 1
    sentence = json.loads(said[0])["message"] if form == "json" else said[0].partition("logs: ")[2]
    dropped = int(sentence.partition(" ")[0])
    assert sentence == f"{dropped} log lines were dropped: the reader of standard error was not reading"
    assert text.count("x" * 100) + dropped == LINES
    assert text.index("not reading") < text.index("the last line")
