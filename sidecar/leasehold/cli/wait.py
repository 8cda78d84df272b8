"""`leasehold wait`: block until this pod leads, by asking the pod's sidecar.

`GET /events` says when to ask, only `GET /leader` decides. Prints the fencing token. Exit codes: 0 this pod leads (it
may have lost the lock by the time you read this: pass the token on), 1 the timeout has passed, 2 settings.

It uses the standard library's HTTP client, because importing aiohttp would take most of the command's time.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from leasehold.base.clock import now as clock
from leasehold.settings import commands, flags
from leasehold.settings.config import open_settings

TIMED_OUT: Final = 1
ANSWER_TIMEOUT_SECONDS: Final = 5.0
"""For the sidecar to answer."""
SILENCE_SECONDS: Final = 30.0
"""Without even a heartbeat for so long, the stream of events is opened again."""
RETRY_PAUSE_SECONDS: Final = 0.2
"""Between two attempts while the sidecar is not up."""
_MAX_BODY_BYTES: Final = 65536
_SUMMARY: Final = "Block until this pod leads, then print its fencing token."


class _NotYet(Exception):
    """The sidecar has not answered that it leads; the text says what it did."""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold wait`. Raises ConfigError."""
    settings = open_settings("wait", _SUMMARY, commands.WAIT, arguments, environ)
    url, timeout = settings.get(flags.URL), settings.get(flags.TIMEOUT)
    settings.finish()
    waiting = Wait(url, float("inf") if timeout is None else clock() + timeout, _say)
    token = waiting.for_token()
    if token is None:
        sys.stderr.write(f"leasehold: This pod does not lead after {timeout:g} seconds: {waiting.last}.\n")
        return TIMED_OUT
    sys.stdout.write(f"{token}\n")
    return 0


def _say(why: str) -> None:
    sys.stderr.write(f"leasehold: Waiting until this pod leads: {why}.\n")
    sys.stderr.flush()


class Wait:
    """One wait until a time of `leasehold.base.clock`. `last` says why the pod did not lead at the last try."""

    def __init__(self, url: str, until: float, begun: Callable[[str], None] = lambda _: None) -> None:
        """`begun` gets the reason if it has to wait at all."""
        split = urlsplit(url)
        self._host = split.hostname or ""
        self._port = split.port or 80
        self._url = url
        self._until = until
        self._begun = begun
        self._is_told = False
        self.last = f"{url} was not asked"

    def for_token(self) -> int | None:
        """The token once this pod leads; None after the time is over. Asks at least once."""
        while True:
            for _ in self._times_to_ask():
                try:
                    return self._ask()
                except _NotYet as error:
                    self.last = str(error)
                except (OSError, http.client.HTTPException) as error:
                    # our own end cut that question short: what was answered before says more
                    if not (isinstance(error, TimeoutError) and self._is_told and clock() >= self._until):
                        self.last = f"{self._url} does not answer ({_reason(error)})"
                if clock() >= self._until:
                    return None
                if not self._is_told:
                    self._begun(self.last)
                    self._is_told = True

    def _times_to_ask(self) -> Iterator[None]:
        """Yield whenever the answer may have changed: now, and at each event until the stream breaks."""
        yield
        # The sidecar is not up, gone, or silent for too long: the next answer of /leader says more.
        with contextlib.suppress(OSError, http.client.HTTPException):
            yield from self._events()
        time.sleep(max(0.0, min(RETRY_PAUSE_SECONDS, self._until - clock())))

    def _events(self) -> Iterator[None]:
        """Open the stream of events and yield at each, including heartbeats. Raises OSError and HTTPException."""
        connection = self._connect(min(SILENCE_SECONDS, self._until - clock()))
        try:
            connection.request("GET", "/events")
            answer = connection.getresponse()
            while answer.status == http.client.OK and (line := answer.readline(_MAX_BODY_BYTES)):
                if line.startswith(b"event:"):
                    yield
                if connection.sock is not None:  # never longer than the rest of the wait
                    connection.sock.settimeout(_positive(min(SILENCE_SECONDS, self._until - clock())))
        finally:
            connection.close()

    def _ask(self) -> int:
        """The token, if the sidecar says that it leads. Raises _NotYet, OSError and HTTPException."""
        connection = self._connect(min(ANSWER_TIMEOUT_SECONDS, self._until - clock()))
        try:
            connection.request("GET", "/leader", headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read(_MAX_BODY_BYTES)
        finally:
            connection.close()
        return self._token(answer.status, body)

    def _token(self, status: int, body: bytes) -> int:
        try:
            fields = json.loads(body)
            leading, token, leader = fields["leading"], fields["token"], fields["leader"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _NotYet(f"{self._url} does not answer as a Leasehold sidecar does") from None
        if status == http.client.OK and leading is True and isinstance(token, int):
            return token
        raise _NotYet(f"{leader!r} leads" if leader else str(fields.get("reason") or "nobody is known to lead"))

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=_positive(timeout))


def _positive(seconds: float) -> float:
    """A socket's timeout: 0 would make it non-blocking."""
    return max(0.01, seconds)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
