"""`leasehold wait`: block until this pod leads, by asking the sidecar of the pod.

`GET /events` says when to look, `GET /leader` alone decides. Prints the fencing token. Exit codes: 0 this pod leads
(it may have lost the lock by the time you read this: pass the token on), 1 the timeout has passed, 2 settings.

The standard library's HTTP client only: this command is started anew each time, and starts in a fraction of the time.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from leasehold.clock import now as clock
from leasehold.settings import flags
from leasehold.settings.config import open_settings

TIMED_OUT: Final = 1
ANSWER_TIMEOUT: Final = 5.0
"""Seconds for the sidecar to answer."""
SILENCE: Final = 30.0
"""Seconds without even a heartbeat after which the stream of events is opened anew."""
PAUSE: Final = 0.2
"""Seconds between two attempts at a sidecar that is not there yet."""
_LONGEST_BODY: Final = 65536
_SUMMARY: Final = "Block until this pod leads, then print its fencing token."


class _NotYet(Exception):
    """The sidecar has not answered as one that leads; the text says what it did."""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold wait`. Raises ConfigError."""
    settings = open_settings("wait", _SUMMARY, flags.WAIT, arguments, environ)
    url, timeout = settings.get(flags.URL), settings.get(flags.TIMEOUT)
    settings.finish()
    waiting = Wait(url, float("inf") if timeout is None else clock() + timeout)
    token = waiting.for_token()
    if token is None:
        sys.stderr.write(f"leasehold: This pod does not lead after {timeout:g} seconds: {waiting.last}.\n")
        return TIMED_OUT
    sys.stdout.write(f"{token}\n")
    return 0


class Wait:
    """One wait until an instant of `leasehold.clock`. `last` says why the pod did not lead when last asked."""

    def __init__(self, url: str, until: float) -> None:
        split = urlsplit(url)
        self._host = split.hostname or ""
        self._port = split.port or 80
        self._url = url
        self._until = until
        self.last = f"{url} was not asked"

    def for_token(self) -> int | None:
        """The token once this pod leads; None when the time is over. Asks at least once."""
        while True:
            for _ in self._occasions():
                try:
                    return self._ask()
                except _NotYet as error:
                    self.last = str(error)
                except (OSError, http.client.HTTPException) as error:
                    self.last = f"{self._url} does not answer ({_reason(error)})"
                if clock() >= self._until:
                    return None

    def _occasions(self) -> Iterator[None]:
        """When asking may be worth it: now, and at each event until the stream of them breaks."""
        yield
        # Not up yet, gone, or silent for too long: what /leader answers next will say more.
        with contextlib.suppress(OSError, http.client.HTTPException):
            yield from self._events()
        time.sleep(max(0.0, min(PAUSE, self._until - clock())))

    def _events(self) -> Iterator[None]:
        """Open the stream of events and yield at each, heartbeats too. Raises OSError and HTTPException."""
        connection = self._connect(min(SILENCE, self._until - clock()))
        try:
            connection.request("GET", "/events")
            answer = connection.getresponse()
            while answer.status == http.client.OK and (line := answer.readline(_LONGEST_BODY)):
                if line.startswith(b"event:"):
                    yield
                if connection.sock is not None:  # no later than the end of the wait
                    connection.sock.settimeout(_positive(min(SILENCE, self._until - clock())))
        finally:
            connection.close()

    def _ask(self) -> int:
        """The token, if the sidecar says that it leads. Raises _NotYet, OSError and HTTPException."""
        connection = self._connect(min(ANSWER_TIMEOUT, self._until - clock()))
        try:
            connection.request("GET", "/leader", headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read(_LONGEST_BODY)
        finally:
            connection.close()
        return self._judge(answer.status, body)

    def _judge(self, status: int, body: bytes) -> int:
        try:
            said = json.loads(body)
            leading, token, leader = said["leading"], said["token"], said["leader"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _NotYet(f"{self._url} does not answer as a Leasehold sidecar does") from None
        if status == http.client.OK and leading is True and isinstance(token, int):
            return token
        raise _NotYet(f"{leader!r} leads" if leader else "nobody is known to lead")

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=_positive(timeout))


def _positive(seconds: float) -> float:
    """A socket's timeout: 0 would mean not to wait at all, which is an error of its own."""
    return max(0.01, seconds)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
