"""What the API server refused, as one sentence with the mend. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leasehold.kubectl.lock import printable, table, text
from leasehold.lock.names import LockName

_SHOWN = 500


class ClusterError(Exception):
    """The cluster could not be asked, or refused. The text is one sentence for the user."""


class NotThereError(ClusterError):
    """There is no such Lock."""


class ConflictError(ClusterError):
    """The Lock is no longer in the state that a change was meant for: nothing was changed."""


class OutdatedError(ClusterError):
    """The API server has forgotten the point in history to watch from: read anew."""


class UnreachableError(ClusterError):
    """No answer, or none that can be trusted: a change may have been made or not. Asking again may help."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What a request was about: the verb and the object for a sentence, the server, and the Lock if it is one."""

    verb: str
    what: str
    server: str
    lock: LockName | None = None


def explain(status: int, body: bytes, doing: Doing) -> ClusterError:
    """The error of an answer whose HTTP status is no success."""
    answer = _status_object(body)
    plain = body[:_SHOWN].decode(errors="replace") if not answer else ""  # not an API server's, or one of a proxy's
    said = printable(text(answer, "message") or plain)[:_SHOWN].rstrip(".")
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
        return OutdatedError("The API server has forgotten that part of history.")
    if status in (429, 500, 502, 503, 504):
        return UnreachableError(f"{doing.server} cannot answer now ({status}{': ' + said if said else ''}); try later.")
    return ClusterError(f"{doing.server} refuses to {doing.verb} {doing.what} ({status}): {said or 'it says not why'}.")


def _missing(answer: Mapping[str, Any], doing: Doing) -> ClusterError:
    """A Lock that is not there is told as an object with its name; a resource type that is not, without one."""
    if doing.lock and text(table(answer, "details"), "name") == doing.lock.name:
        return NotThereError(f"There is no Lock {doing.lock.name} in the namespace {doing.lock.namespace}.")
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
