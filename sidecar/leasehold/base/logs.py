"""Logs on stderr, one record a line, as text or JSON, by the standard logging module.

A record may carry fields: `log.info("gained the lock", extra={"fields": {"token": 17}})`. Whatever was read from
etcd or the network may stand in a message, so control characters are escaped: no text from elsewhere starts a line
of its own or moves a cursor.

Writing a line takes longer than deciding who leads, and most lines come in the very turn of the loop in which a lock
changes hands. So while a loop runs, what is no warning waits for a moment (`LATE_SECONDS`) in which the loop has
nothing more urgent, and what is logged by `afterwards` is made into a record only then. Order and times are those of
the events; a line is lost only with a killed process, or if standard error is not read for long: then the lines that
were dropped are counted, and the count is logged. Nothing here blocks (see `background_stream.py`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final, TextIO, cast

from leasehold.base.threads.background_stream import BackgroundStream

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

LATE_SECONDS: Final = 0.02
"""How long a line may wait to be written: by then a handover is over."""
FLUSH_SECONDS: Final = 2.0
"""How long the end of the process may be held up by lines that are not written yet."""
SELDOM_SECONDS: Final = 60.0


def configure(level: str = "info", form: str = "text", stream: TextIO | None = None) -> None:
    """Send our records from `level` on to `stream`, by default stderr, as "text" or "json". The last call counts.

    From then on nothing that this process writes to its stderr blocks, tracebacks included.

    Libraries are heard from `warning` on, whatever the level: at `debug`, hpack writes dozens of lines for each
    request, and among them the etcd login token.
    """
    formatter = JsonFormatter() if form == "json" else TextFormatter()
    handler = LateHandler(stream or _stderr(formatter))
    handler.setFormatter(formatter)
    ours = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(ours, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("leasehold").setLevel(ours)
    # No format of ours shows them, and finding them takes half of a record's time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.raiseExceptions = False  # a full disk or closed stderr must not print a traceback for each record


def _stderr(formatter: logging.Formatter) -> TextIO:
    """`sys.stderr`, which is from now on a stream that does not block; if it is not the process's own, as it is."""

    def notice(dropped: int) -> str:
        lines = "1 log line was" if dropped == 1 else f"{dropped} log lines were"
        text = f"{lines} dropped: the reader of standard error was not reading"
        record = logging.LogRecord("leasehold.logs", logging.WARNING, __file__, 0, text, (), None)
        return f"{formatter.format(record)}\n"

    if isinstance(sys.stderr, BackgroundStream):
        sys.stderr.notice = notice
    elif sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = cast(TextIO, BackgroundStream(sys.stderr.fileno(), notice))
    return sys.stderr


def afterwards(tell: Callable[[], None]) -> None:
    """Have `tell` log something that has just happened, when the loop has a moment; at once if no loop runs.

    Its records are written as of now. Any thread may call it, with the handler locked; what it looks at must not change
    any more.
    """
    late = next((handler for handler in logging.root.handlers if isinstance(handler, LateHandler)), None)
    if late is None:
        tell()
    else:
        late.take(tell)


def warn(sentences: Iterable[str]) -> None:
    """Log what was odd about the settings, but no mistake."""
    for sentence in sentences:
        logging.getLogger("leasehold.settings.config").warning(sentence)


def escape(text: str) -> str:
    """The text with control characters, line ends among them, as `\\xNN` or `\\uNNNN`."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class LateHandler(logging.StreamHandler[TextIO]):
    """Writes at once outside of an event loop, and from `warning` on; else `LATE_SECONDS` later, or when it is flushed.

    A record is formatted when it is written: its arguments must not change any more.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[Callable[[], None]] = []
        self._called_by: asyncio.AbstractEventLoop | None = None
        self._as_of: float | None = None
        """While something is told late: when that was, in seconds since 1970."""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; called with the handler locked."""
        if self._as_of is not None:
            record.created = self._as_of
            super().emit(record)
            return
        self._waiting.append(partial(super().emit, record))
        self._plan(at_once=record.levelno >= logging.WARNING)

    def take(self, tell: Callable[[], None]) -> None:
        """Call `tell` in its turn, to log of this moment."""
        self.acquire()
        try:
            self._waiting.append(partial(self._tell, tell, time.time()))
            self._plan(at_once=False)
        finally:
            self.release()

    def _plan(self, at_once: bool) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # none runs in this thread
            self.flush()
            return
        if at_once:
            self.flush()
        elif self._called_by is not loop:
            self._called_by = loop
            loop.call_later(LATE_SECONDS, self.flush)

    def _tell(self, tell: Callable[[], None], as_of: float) -> None:
        self._as_of = as_of
        try:
            tell()
        except Exception:  # the lines behind it must not be lost, nor whoever happens to write them be disturbed
            logging.getLogger("leasehold.logs").exception("what should have been logged here failed")
        finally:
            self._as_of = None

    def flush(self) -> None:
        """Write what waits. The logging module calls this when the process ends."""
        self.acquire()
        try:
            waiting, self._waiting, self._called_by = self._waiting, [], None
            for write in waiting:
                write()
            super().flush()
        finally:
            self.release()

    def close(self) -> None:
        """Be done. The logging module calls this when the process ends; what is not written by then is lost."""
        if isinstance(self.stream, BackgroundStream):
            self.stream.drain(FLUSH_SECONDS)
        super().close()


class TextFormatter(logging.Formatter):
    """`2026-11-22T22:15:00.123Z INFO runner: message name=value`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, then the traceback if there is one."""
        fields = "".join(f" {name}={_plain(value)}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname} {_source(record)}: {escape(record.getMessage())}{fields}"
        return f"{line}\n{trace}" if (trace := _trace(self, record)) else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time, level, logger, message`, the record's fields, and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line. The fields of the format go before fields of the same name."""
        named: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := _trace(self, record):
            named["exception"] = trace
        return json.dumps(named | {n: v for n, v in _fields(record).items() if n not in named}, default=str)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _source(record: logging.LogRecord) -> str:
    return record.name.removeprefix("leasehold.")


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or re.search(r'[\s"=]', text) else escape(text)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


class RepeatedFailureLog:
    """One operation that may fail for a while: logged when that begins, when its reason changes, and when it is over.

    An operation that is retried every few seconds would otherwise fill the log with one sentence. The repetitions are
    logged at level debug.
    """

    def __init__(self, log: logging.Logger, problem: str) -> None:
        """`problem` is a clause that says what does not work, such as "the Locks cannot be listed"."""
        self._log = log
        self._problem = problem
        self._last_reason = ""

    def failed(self, reason: object) -> None:
        """It failed for this reason and will be retried."""
        text = str(reason)
        level = logging.DEBUG if text == self._last_reason else logging.WARNING
        self._log.log(level, "%s: %s; trying again", self._problem, text)
        self._last_reason = text

    def succeeded(self) -> None:
        """It succeeded."""
        if self._last_reason:
            self._log.info("recovered: %s", self._problem)
        self._last_reason = ""


class SeldomWarning:
    """A warning that clients can cause as often as they like: logged at most once in `SELDOM_SECONDS`."""

    def __init__(self, log: logging.Logger, text: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`text` has the places of the values that `give` is given. `clock` is in seconds."""
        self._log = log
        self._text = text
        self._clock = clock
        self._given = float("-inf")

    def give(self, *values: object) -> None:
        """Log it, unless it was logged a short time ago."""
        now = self._clock()
        if now - self._given >= SELDOM_SECONDS:
            self._given = now
            self._log.warning(self._text, *values)
