"""The API server's refusals, each as one sentence that says how to fix it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leasehold.base.terminal import one_line
from leasehold.kubectl.lock import table, text
from leasehold.lock.names import LockName

_SHOWN_CHARACTERS = 500


class ClusterError(Exception):
    """The cluster could not be asked, or refused. The text is one sentence for the user."""


class MistakeError(ClusterError):
    """The command line or the environment is wrong: nothing was asked. Its exit code is that of a usage error."""


class NotThereError(ClusterError):
    """There is no such Lock."""


class ConflictError(ClusterError):
    """The Lock has changed since it was read: nothing was changed."""


class OutdatedError(ClusterError):
    """The API server no longer has the resource version to watch from: read again."""


class UnreachableError(ClusterError):
    """No usable answer: a change may have been made or not. Another try may help."""


@dataclass(frozen=True, slots=True)
class Doing:
    """A request, for sentences: its verb and object, the server, and the Lock if the object is one."""

    verb: str
    what: str
    server: str
    lock: LockName | None = None


def explain(status: int, body: bytes, doing: Doing) -> ClusterError:
    """The error for an answer whose HTTP status is not a success."""
    answer = _status_object(body)
    plain = body[:_SHOWN_CHARACTERS].decode(errors="replace") if not answer else ""  # of a proxy, or no API server
    said = one_line(text(answer, "message") or plain)[:_SHOWN_CHARACTERS].rstrip(".")
    if status == 401:
        return ClusterError(
            f"{doing.server} does not know these credentials (401 Unauthorized): log in again, or choose another "
            "--context."
        )
    if status == 403:
        return ClusterError(f"You may not {doing.verb} {doing.what}: {said or 'the API server forbids it'}.")
    if status == 404:
        return _missing(answer, doing)
    if status == 409:
        return ConflictError(f"{doing.what} was changed by another writer meanwhile.")
    if status == 410:
        return OutdatedError("The API server no longer has that resource version.")
    if status in (429, 500, 502, 503, 504):
        return UnreachableError(f"{doing.server} cannot answer now ({status}{': ' + said if said else ''}); try later.")
    return ClusterError(
        f"{doing.server} refuses to {doing.verb} {doing.what} ({status}): {said or 'it gives no reason'}."
    )


def not_there(lock: LockName, *, since_first_read: bool = False) -> NotThereError:
    """The error for a Lock that does not exist; `since_first_read` if it was deleted meanwhile."""
    where = f"Lock {lock.name} in the namespace {lock.namespace}"
    return NotThereError(f"The {where} was deleted meanwhile." if since_first_read else f"There is no {where}.")


def _missing(answer: Mapping[str, Any], doing: Doing) -> ClusterError:
    """If the Lock is missing, the answer has its name; if the resource type is missing, it has none."""
    if doing.lock and text(table(answer, "details"), "name") == doing.lock.name:
        return not_there(doing.lock)
    return ClusterError(
        f"{doing.server} knows no Locks: install Leasehold's CustomResourceDefinition "
        "(kubectl apply -f manifests/crd.yaml), or choose another --context."
    )


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
