"""Reads Locks from the API server for the page, with a pod's service account.

One GET of one object is all that is asked. For that, the official client would take 20 MB, and aiohttp's 6.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final

from leasehold.base.threads.daemon_thread import run_in_daemon_thread
from leasehold.base.time_limit import time_limit
from leasehold.ui.absent import Unreadable

_TIMEOUT_SECONDS: Final = 3.0
_MAX_BYTES: Final = 4 << 20  # etcd stores 1.5 MiB of an object, and JSON may escape it
_PARALLEL_READINGS: Final = 2


class LockReader:
    """One API server, asked as one service account. The token is read each time: the kubelet replaces it."""

    def __init__(self, host: str, port: int, token: Path, context: ssl.SSLContext) -> None:
        self._host = host
        self._port = port
        self._token = token
        self._context = context
        self._turns = asyncio.Semaphore(_PARALLEL_READINGS)

    @classmethod
    def load(cls, account: Path, environ: Mapping[str, str]) -> LockReader:
        """The API server as Kubernetes tells a pod; `account` has `token` and `ca.crt`. ValueError with a sentence."""
        host, port = (environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
        if not host or not port.isdigit():
            raise ValueError("it is for a pod, which has KUBERNETES_SERVICE_HOST and _PORT set; elsewhere leave it out")
        try:
            context = ssl.create_default_context(cafile=str(account / "ca.crt"))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ValueError(
                f"it has no ca.crt that can be read ({why}); name the folder with token and ca.crt"
            ) from None
        return cls(host, int(port), account / "token", context)

    async def read(self, path: str) -> Mapping[str, Any]:
        """What is at this path; empty if there is nothing. Raises Unreadable."""
        try:
            async with time_limit(_TIMEOUT_SECONDS), self._turns:
                status, body = await run_in_daemon_thread(lambda: self._get(path), "API server")
            fields = json.loads(body)
        except TimeoutError:
            raise Unreadable("the API server did not answer in time") from None
        except OSError as error:
            raise Unreadable(f"the API server cannot be reached: {error}") from error
        except (HTTPException, ValueError, RecursionError):
            raise Unreadable("what answers is not an API server") from None
        return _found(status, fields)

    def _get(self, path: str) -> tuple[int, bytes]:
        """The answer's status and body. Blocks, for the timeout at most between two packets."""
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}", "Accept": "application/json"}
        connection = HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_SECONDS, context=self._context)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MAX_BYTES)
        finally:
            connection.close()


def _found(status: int, fields: object) -> Mapping[str, Any]:
    if not isinstance(fields, dict):
        raise Unreadable("what answers is not an API server")
    if status == 404:
        return {}
    if status != 200:
        raise Unreadable(f"the API server answered {status}: {fields.get('message') or 'no reason given'}")
    return fields
