"""`leasehold restore-check`: what it says if candidates join while it deletes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from leasehold.candidate.queue_keys import QueueKey, QueueKeys
from leasehold.cli import main, restore_check
from leasehold.etcd.client import EtcdClient


class JoinedMeanwhile:
    """A store in which one of the keys is replaced while they are deleted, and another comes."""

    def __init__(self, client: EtcdClient, members: int, root: str) -> None:
        first = QueueKey("default/a", b"/leasehold/locks/default/a/queue/1", 1, 4)
        other = QueueKey("default/b", b"/leasehold/locks/default/b/queue/2", 2, 8)
        self._answers = [
            QueueKeys(20, (first, other)),
            QueueKeys(23, (QueueKey("default/a", first.key, 1, 22), QueueKey("other/\x1b[2J", b"k", 3, 23))),
        ]

    async def read(self) -> QueueKeys:
        return self._answers.pop(0)

    async def leases(self, keys: Sequence[QueueKey]) -> Mapping[int, int]:
        raise AssertionError("nobody needs the leases of keys that are deleted")

    async def delete(self, keys: Sequence[QueueKey]) -> int:
        return len(keys) - 1


def test_clients_that_are_let_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys are there after all were deleted: exit code 1, and one sentence that names the cause."""
    monkeypatch.setattr(restore_check, "QueueKeyStore", JoinedMeanwhile)
    assert main.main(["restore-check", "--delete"], {}) == restore_check.FOUND
    assert capsys.readouterr().out == (
        "Deleted 1 of 2 candidates' keys, of 2 locks; now there are 2 keys of default/a and 1 other lock: "
        "clients are let in already. Stop that, and run this again.\n"
    )
