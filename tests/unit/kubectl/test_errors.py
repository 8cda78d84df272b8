"""Which sentence an answer of the API server gets."""

import json

import pytest

from leasehold.kubectl.errors import ClusterError, ConflictError, Doing, NotThereError, UnreachableError, explain
from leasehold.lock.names import LockName

DOING = Doing("patch", "Lock prod/db", "The API server at https://k", LockName("prod", "db"))


def answer(message: str = "", **more: object) -> bytes:
    return json.dumps({"kind": "Status", "message": message, **more}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, answer(), ClusterError, "does not know these credentials"),
        (403, answer("no\x1b rights."), ClusterError, "You may not patch Lock prod/db: no� rights."),
        (403, b"", ClusterError, "You may not patch Lock prod/db: the API server forbids it."),
        (404, answer(details={"name": "db"}), NotThereError, "There is no Lock db in the namespace prod."),
        (404, b"404 page not found", ClusterError, "knows no Locks: install"),
        (409, answer(), ConflictError, "Lock prod/db was changed by another writer meanwhile."),
        (422, answer("spec.x: Invalid."), ClusterError, "refuses to patch Lock prod/db (422): spec.x: Invalid."),
        (400, b"Plain\ntext.", ClusterError, "refuses to patch Lock prod/db (400): Plain text."),
        (503, b"", UnreachableError, "The API server at https://k cannot answer now (503); try later."),
        (418, b"", ClusterError, "(418): it says not why."),
    ],
)
def test_sentences(status: int, body: bytes, kind: type[ClusterError], said: str) -> None:
    error = explain(status, body, DOING)
    assert type(error) is kind
    assert said in str(error)
    assert "\n" not in str(error)


def test_a_missing_namespace_is_no_missing_resource() -> None:
    """A list has no name to miss: what answers 404 to it does not know the resource."""
    assert "knows no Locks" in str(explain(404, answer(), Doing("list", "Locks", "S")))


def test_an_endless_message_is_cut() -> None:
    assert len(str(explain(400, answer("x" * 10_000), DOING))) < 700
