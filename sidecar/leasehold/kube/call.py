"""One call to the API server: sent by the official client, with our own deadline, and with its failures translated.

A call without an answer may have been carried out or not: its caller must read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.config.config_exception import ConfigException

from leasehold.base.logs import escape
from leasehold.base.time_limit import time_limit
from leasehold.kube.access import Access

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Body = dict[str, Any]
Content = Mapping[str, Any] | Sequence[Mapping[str, Any]]

_MAX_REASON_CHARACTERS: Final = 300


class KubeFailure(Exception):
    """A call to the API server did not succeed."""

    retry_after = 0.0


class KubeError(KubeFailure):
    """The API server refused, with this HTTP status and `sentence` as its reason.

    `retry_after` is the pause in seconds that it asks for, or 0; `causes` is the number of invalid fields.
    """

    def __init__(self, status: int, sentence: str, retry_after: float = 0.0, causes: int = 0) -> None:
        super().__init__(f"the API server answered {status}: {sentence}")
        self.status = status
        self.sentence = sentence
        self.retry_after = retry_after
        self.causes = causes


class KubeUnknown(KubeFailure):
    """There was no answer in time, or no readable one: whether the call was carried out is unknown."""


class KubeCall:
    """Calls to one API server. Belongs to the event loop that loaded `access`."""

    def __init__(self, access: Access, timeout: float) -> None:
        """`timeout` in seconds, for each call from its start to the last byte of its answer, as `time_limit` counts."""
        self._client = ApiClient(access.configuration)
        self._client.user_agent = "leasehold-operator"
        self._timeout = timeout
        self._date = ""

    @property
    def server_time(self) -> datetime | None:
        """The time by the API server's own clock, in its last answer; None before the first."""
        try:
            return parsedate_to_datetime(self._date)
        except ValueError:
            return None

    async def close(self) -> None:
        """Close the connections."""
        close: Any = self._client.close  # has no types
        await close()

    async def get(self, path: str, **query: str) -> Body:
        """GET. Raises KubeFailure, as the others do."""
        return await self._call("GET", path, query=query)

    async def create(self, path: str, body: Mapping[str, Any]) -> Body:
        """POST."""
        return await self._call("POST", path, body, "application/json")

    async def delete(self, path: str, uid: str = "") -> Body:
        """DELETE; an object with finalizers goes only after these. KubeError 409 if it has another UID than given."""
        if not uid:
            return await self._call("DELETE", path)
        return await self._call("DELETE", path, {"preconditions": {"uid": uid}}, "application/json")

    async def merge(self, path: str, body: Mapping[str, Any]) -> Body:
        """PATCH with a JSON merge patch: None removes a field, lists are replaced."""
        return await self._call("PATCH", path, body, "application/merge-patch+json")

    async def replace(self, path: str, uid: str, parts: Mapping[str, Any]) -> Body:
        """PATCH with a JSON patch: set each path to its value. KubeError 409 if the object has another UID."""
        test = {"op": "test", "path": "/metadata/uid", "value": uid}
        patch = [test, *({"op": "add", "path": part, "value": value} for part, value in parts.items())]
        try:
            return await self._call("PATCH", path, patch, "application/json-patch+json")
        except KubeError as error:
            if error.status == 422 and not error.causes:  # violations of the schema have causes
                raise KubeError(409, f"the object is gone, and another has its name ({error.sentence})") from error
            raise

    async def _call(
        self,
        method: Method,
        path: str,
        body: Content | None = None,
        content_type: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Body:
        try:
            async with time_limit(self._timeout):
                status, headers, data = await self._send(method, path, body, content_type, query or {})
        except TimeoutError:
            raise KubeUnknown(f"the API server did not answer within {self._timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ConfigException) as error:
            raise KubeUnknown(f"the API server cannot be reached: {_one_line(error)}") from error
        answer = _parse(data)
        if not 200 <= status < 300:
            raise _refusal(status, headers, answer)
        if answer is None:
            raise KubeUnknown("the API server's answer is not a JSON object")
        return answer

    async def _send(
        self, method: Method, path: str, body: Content | None, content_type: str, query: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if content_type else {})
        request = await self._client.param_serialize(
            method, path, query_params=list(query.items()), header_params=headers, body=body, auth_settings=_AUTH
        )
        response: Any = await self._client.call_api(*request, _request_timeout=_NO_LIMIT)
        data: bytes = await response.read()
        self._date = response.headers.get("Date", self._date)
        return response.status, response.headers, data


_AUTH: Final = ["BearerToken"]
_NO_LIMIT: Final = aiohttp.ClientTimeout()
"""aiohttp's own would count the time in which our loop was busy; the caller has ours."""


def _parse(data: bytes) -> Body | None:
    try:
        answer = json.loads(data)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _refusal(status: int, headers: Mapping[str, str], answer: Body | None) -> KubeError:
    answer = answer or {}
    details: Mapping[str, Any] = answer.get("details") or {}
    message = answer.get("message") or answer.get("reason") or "no reason given"
    pause = headers.get("Retry-After") or details.get("retryAfterSeconds") or 0
    return KubeError(status, _one_line(message), _seconds(pause), len(details.get("causes") or ()))


def _seconds(pause: object) -> float:
    """Retry-After in seconds; a date, which the API server never sends, counts as 0."""
    try:
        return min(max(float(str(pause)), 0.0), 600.0)
    except ValueError:
        return 0.0


def _one_line(text: object) -> str:
    return escape(str(text) or type(text).__name__)[:_MAX_REASON_CHARACTERS]
