"""Logs: one record a line, whatever stands in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from leasehold.base import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the root logger as pytest set it up, and ours as it was."""
    root, ours, raises = logging.getLogger(), logging.getLogger("leasehold"), logging.raiseExceptions
    handlers, level, own = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(own)
    logging.raiseExceptions = raises


def logged(configured: dict[str, str], message: str, *args: object, **fields: object) -> str:
    stream = io.StringIO()
    logs.configure(**configured, stream=stream)
    logging.getLogger("leasehold.runner").info(message, *args, extra={"fields": fields})
    return stream.getvalue()


def test_text_names_time_level_module_and_fields() -> None:
    line = logged({}, "gained %s", "the lock", token=17, leader="a b")
    time, rest = line.split(" ", 1)
    assert time.endswith("Z")
    assert len(time) == len("2026-11-22T22:15:00.123Z")
    assert rest == 'INFO runner: gained the lock token=17 leader="a b"\n'


def test_foreign_text_starts_no_line() -> None:
    """Nor does it send escape sequences to a terminal."""
    line = logged({}, "leader is %s", "x\nFAKE\x1b[2J\u2028", leader="a\rb")
    assert line.count("\n") == 1
    assert not any(bad in line for bad in "\x1b\r\u2028")


def test_json_is_one_object_a_line() -> None:
    line = logged({"form": "json"}, "gained\n%s", "it", token=17, level="not the level", odd={1}.copy())
    record = json.loads(line)
    assert line.count("\n") == 1
    assert (record["message"], record["token"], record["level"]) == ("gained\nit", 17, "info")
    assert record["logger"] == "leasehold.runner"


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_brings_its_traceback(form: str) -> None:
    stream = io.StringIO()
    logs.configure(form=form, stream=stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("leasehold").exception("failed")
    assert "ValueError: broken" in stream.getvalue()
    if form == "json":
        assert "Traceback" in json.loads(stream.getvalue())["exception"]


def test_the_level_holds_and_the_last_call_counts() -> None:
    assert logged({"level": "warning"}, "unheard") == ""
    assert logged({"level": "info"}, "heard").count("heard") == 1


def test_libraries_are_not_heard_below_warning() -> None:
    """hpack writes each header at debug, an etcd login token among them."""
    stream = io.StringIO()
    logs.configure("debug", stream=stream)
    logging.getLogger("hpack.hpack").debug("a secret")
    logging.getLogger("leasehold.etcd").debug("ours")
    logging.getLogger("asyncio").warning("theirs")
    assert "secret" not in stream.getvalue()
    assert "ours" in stream.getvalue()
    assert "theirs" in stream.getvalue()


class Heard(io.StringIO):
    """Tells when something is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


async def test_a_warning_flushes_what_waits() -> None:
    """On a loop, a line of level INFO waits for a moment; a warning is written at once, after it."""
    stream = Heard()
    logs.configure(stream=stream)
    log = logging.getLogger("leasehold.runner")
    log.info("first")
    assert stream.getvalue() == ""
    log.warning("second")
    assert [line.rsplit(" ", 1)[1] for line in stream.getvalue().splitlines()] == ["first", "second"]
    stream.written.clear()
    log.info("third")
    assert "third" not in stream.getvalue()
    await asyncio.wait_for(stream.written.wait(), 600)
    assert "third" in stream.getvalue()


async def test_postponed_lines_keep_order_and_time() -> None:
    """A postponed line is formatted later, in its turn, with the time of the call."""
    stream = Heard()
    logs.configure(form="json", stream=stream)
    log = logging.getLogger("leasehold.runner")
    words = ["second"]
    log.info("first")
    logs.afterwards(lambda: log.info(words.pop()))
    log.info("third")
    before = time.time()
    assert words, "its record is made already"
    await asyncio.wait_for(stream.written.wait(), 600)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["first", "second", "third"]
    times = [datetime.fromisoformat(line["time"]).timestamp() for line in lines]
    assert times == sorted(times)
    assert times[-1] <= before


async def test_what_fails_afterwards_takes_no_other_line_along() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.afterwards(lambda: [][0])
    logs.afterwards(lambda: logging.getLogger("leasehold.runner").info("the next line"))
    warn = threading.Thread(target=lambda: logging.getLogger("leasehold.state_file").warning("of a thread"))
    warn.start()
    warn.join()
    lines = [line for line in stream.getvalue().splitlines() if line.startswith("20")]
    assert [line.split(": ", 1)[1] for line in lines] == [
        "what should have been logged here failed",
        "the next line",
        "of a thread",
    ]
    assert "IndexError" in stream.getvalue()


def test_without_a_loop_nothing_is_postponed() -> None:
    """If no loop runs, a postponed line is written at once."""
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.afterwards(lambda: logging.getLogger("leasehold.runner").info("without a loop"))
    assert "without a loop" in stream.getvalue()


def test_waiting_lines_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written at the end of the process, or by the next loop.

    Each loop ends long before its lines would be written on it.
    """
    monkeypatch.setattr(logs, "LATE_SECONDS", 3600.0)

    async def tell(word: str) -> None:
        logging.getLogger("leasehold.runner").info(word)

    stream = io.StringIO()
    logs.configure(stream=stream)
    asyncio.run(tell("first"))
    assert stream.getvalue() == ""
    logging.getLogger().handlers[0].flush()
    assert "first" in stream.getvalue()
    asyncio.run(tell("second"))
    logging.getLogger("leasehold.runner").info("third")
    assert [line.rsplit(" ", 1)[1] for line in stream.getvalue().splitlines()] == ["first", "second", "third"]
