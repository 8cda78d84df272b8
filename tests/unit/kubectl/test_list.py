"""`kubectl leasehold list --watch`, with a cluster of one Lock that changes once."""

from collections.abc import Iterator

import pytest

from leasehold.kubectl import commands
from leasehold.kubectl.arguments import parse
from leasehold.kubectl.command_table import COMMANDS
from leasehold.kubectl.lock import LockView
from tests.unit.kubectl.locks import A, B, view


class Changing:
    """The API server: b follows a, and then the user has seen enough."""

    namespace = "prod"

    def listed(self, namespace: str) -> tuple[list[LockView], str]:
        return [view(A)], "1"

    def follow(self, namespace: str, version: str, seconds: float) -> Iterator[tuple[LockView, bool]]:
        yield view(B, version="2"), False
        raise KeyboardInterrupt

    def canaries(self) -> list[LockView]:
        return []


@pytest.mark.parametrize(
    ("words", "heads"),
    [((), 1), (("-o", "table"), 1), (("-o", "wide"), 1), (("-o", "name"), 0)],
)
def test_columns_are_named_once(words: tuple[str, ...], heads: int, capsys: pytest.CaptureFixture[str]) -> None:
    """As by `kubectl get --watch`: only the first table has a head."""
    (command,) = (one for one in COMMANDS if one.name == "list")
    with pytest.raises(KeyboardInterrupt):
        commands.list_locks(Changing(), parse(command, ["--watch", *words], {}))  # type: ignore[arg-type]  # so much of one
    printed = capsys.readouterr().out
    assert printed.count("HOLDER ") == heads
    assert len(printed.splitlines()) == 2 + heads
