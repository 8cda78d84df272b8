"""Logs on stderr, one record a line, as text or JSON, by the standard logging module.

A record may carry fields: `log.info("gained the lock", extra={"fields": {"token": 17}})`. Whatever was read from
etcd or the network may stand in a message, so control characters are escaped: no text from elsewhere starts a line
of its own or moves a cursor.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TextIO

from sidecar.config import LogConfig

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configure(log: LogConfig, stream: TextIO | None = None) -> None:
    """Send our records from `log.level` on to `stream`, by default stderr. The last call counts.

    Libraries are heard from `warning` on, whatever the level: at `debug`, hpack writes dozens of lines for each
    request, and among them the etcd login token.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log.format == "json" else TextFormatter())
    level = logging.getLevelNamesMapping()[log.level.upper()]
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("sidecar").setLevel(level)
    logging.raiseExceptions = False  # a full disk or closed stderr must not print a traceback for each record


def warn(sentences: Iterable[str]) -> None:
    """Log what was odd about the settings, but no mistake."""
    for sentence in sentences:
        logging.getLogger("sidecar.config").warning(sentence)


def escape(text: str) -> str:
    """The text with control characters, line ends among them, as `\\xNN` or `\\uNNNN`."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


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
    return record.name.removeprefix("sidecar.")


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
