"""etcd's own JSON gateway: how observer, clients and nemesis reach the cluster, past the proxies and our client."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.nemesis.history import Changed, Seen


class Unanswered(Exception):
    """No member answered in time, or it answered with an error: what was asked for may have been done."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key as etcd has it."""

    key: str
    value: str
    create_revision: int
    lease: int


class Gateway:
    """Asks one member after another. For one thread at a time; connections are kept."""

    def __init__(self, ports: Sequence[int], user: str = "", timeout: float = 1.0) -> None:
        """`ports` are the members' client ports on 127.0.0.1; `timeout` is seconds a question.

        `user` is "name:password" where etcd wants to know; a token that has become void is replaced.
        """
        self._ports = list(ports)
        self._user = user
        self._token = ""
        self._timeout = timeout
        self._open: dict[int, http.client.HTTPConnection] = {}
        self._turn = 0

    def close(self) -> None:
        """Close what is open."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def call(self, path: str, body: Mapping[str, object]) -> tuple[Any, Seen]:
        """Ask the next member once; its answer, and what it shows. Raises Unanswered."""
        self._turn += 1
        port = self._ports[self._turn % len(self._ports)]
        if self._user and not self._token:
            name, _, password = self._user.partition(":")
            self._token = self._post(port, "/v3/auth/authenticate", {"name": name, "password": password})[0]["token"]
        return self._post(port, path, body)

    def _post(self, port: int, path: str, body: Mapping[str, object]) -> tuple[Any, Seen]:
        connection = self._open.setdefault(port, http.client.HTTPConnection("127.0.0.1", port, timeout=self._timeout))
        try:
            sent = time.monotonic()
            connection.request("POST", path, json.dumps(body), self._headers())
            answer = connection.getresponse()
            text = answer.read().decode()
            received = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            self._open.pop(port).close()
            raise Unanswered(f"{path}: {error}") from None
        if answer.status != 200:
            self._token = ""  # a change of users may have made it void
            raise Unanswered(f"{path}: {answer.status} {text}")
        fields = json.loads(text)
        fields = fields.get("result", fields)  # where a stream's first answer is all there is
        return fields, Seen(sent, received, int(fields["header"].get("revision", 0)))

    def persist(self, path: str, body: Mapping[str, object]) -> tuple[Any, Seen]:
        """As `call`, but each member in its turn, twice: only for what may be done more than once."""
        for _ in range(2 * len(self._ports) - 1):
            try:
                return self.call(path, body)
            except Unanswered:
                continue
        return self.call(path, body)

    def look(self) -> Seen:
        """One linearizable read of nothing, for its revision."""
        return self.call("/v3/kv/range", {"key": _b64("no-such-key"), "count_only": True})[1]

    def prefix(self, prefix: str) -> list[Key]:
        """All keys with this prefix, in order of create revision."""
        fields, _ = self.persist("/v3/kv/range", {"key": _b64(prefix), "range_end": _b64(_end(prefix))})
        return sorted(map(_key, fields.get("kvs", [])), key=lambda one: one.create_revision)

    def get(self, key: str) -> str | None:
        """The value of a key, None where there is none."""
        fields, _ = self.persist("/v3/kv/range", {"key": _b64(key)})
        return next((_key(one).value for one in fields.get("kvs", [])), None)

    def put(self, key: str, value: str) -> Seen:
        """Write a key."""
        return self.persist("/v3/kv/put", {"key": _b64(key), "value": _b64(value)})[1]

    def delete(self, key: str) -> None:
        """Delete a key."""
        self.persist("/v3/kv/deleterange", {"key": _b64(key)})

    def grant(self, ttl: int) -> int:
        """A new lease of `ttl` seconds; its ID."""
        return int(self.persist("/v3/lease/grant", {"TTL": str(ttl)})[0]["ID"])

    def renews(self, lease: int) -> bool:
        """Whether the next member says that it has renewed a lease."""
        try:
            return int(self.call("/v3/lease/keepalive", {"ID": str(lease)})[0].get("TTL", 0)) > 0
        except Unanswered:
            return False

    def revoke(self, lease: int) -> None:
        """Revoke a lease."""
        self.persist("/v3/lease/revoke", {"ID": str(lease)})

    def changes(self, prefix: str, last: int) -> list[Changed]:
        """Every change below this prefix from the beginning on, up to revision `last`, which must be one of them.

        Every member has them: the next one is asked if one is away. Raises OSError if all are.
        """
        for port in self._ports[:-1]:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self._changes(port, prefix, last)
        return self._changes(self._ports[-1], prefix, last)

    def _changes(self, port: int, prefix: str, last: int) -> list[Changed]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        wanted = {"key": _b64(prefix), "range_end": _b64(_end(prefix)), "start_revision": "1"}
        try:
            connection.request("POST", "/v3/watch", json.dumps({"create_request": wanted}), self._headers())
            answer = connection.getresponse()
            found: list[Changed] = []
            while not found or found[-1].revision < last:
                found += map(_change, json.loads(answer.readline())["result"].get("events", []))
            return found
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    def write_fenced(self, key: str, token: int) -> tuple[bool, Seen]:
        """Write the token unless a higher one is there; one transaction. Whether it was written. Raises Unanswered.

        The register must exist: etcd compares the value of a key that is not there as neither more nor less.
        """
        guard = {"key": _b64(key), "target": "VALUE", "result": "LESS", "value": _b64(padded(token + 1))}
        put = {"request_put": {"key": _b64(key), "value": _b64(padded(token))}}
        fields, seen = self.call("/v3/kv/txn", {"compare": [guard], "success": [put]})
        return bool(fields.get("succeeded", False)), seen


def padded(token: int) -> str:
    """A token as text whose order is that of the numbers: etcd compares values byte by byte."""
    return f"{token:020}"


def _key(fields: Mapping[str, Any]) -> Key:
    value = base64.b64decode(fields.get("value", "")).decode(errors="replace")
    name = base64.b64decode(fields["key"]).decode()
    return Key(name, value, int(fields["create_revision"]), int(fields.get("lease", 0)))


def _change(event: Mapping[str, Any]) -> Changed:
    key = _key({"create_revision": 0, **event["kv"]})
    return Changed(int(event["kv"]["mod_revision"]), key.key, event.get("type") == "DELETE", key.value)


def _end(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
