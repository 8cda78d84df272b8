"""What is asked of a Lock by hand outlives whoever applies its manifest, and no apply fails because of it.

The outcome of each applier is a row of the table in manifests/README.md.
"""

from pathlib import Path

import pytest

from tests.operator.appliers import APPLIERS
from tests.operator.lock_repository import Repository
from tests.operator.operator_scene import Scene
from tests.servers import wait_for
from tests.support.documentation import table
from tests.support.sidecars import PATIENCE

PAGE = "manifests/README.md"
HEAD = "applied by | suspend | resume | handover | revoke | capacity changed | capacity left out"
STAYS, DONE, TOLD = "stays", "done", "undone: `Resumed`"


class Row(Repository):
    """What is asked by hand, and what the applier makes of it, in the order of the table."""

    def suspend(self) -> str:
        """Suspended it stays, or somebody tells who has undone it."""
        self.leader()
        self.plugin.ok("suspend", "db")
        self.scene.wait_held()
        self.sync()
        seen = self.scene.wait_ready()
        if not seen["spec"]["suspend"]:
            wait_for(lambda: ("Resumed", 0) in self.scene.told(), "the event Resumed", PATIENCE)
            return TOLD
        assert not any(one.is_leading() for one in self.sidecars)
        return STAYS

    def resume(self) -> str:
        self.plugin.ok("resume", "db")
        self.leader()
        self.sync()
        assert self.scene.wait_ready()["spec"]["suspend"] is False
        self.leader()
        return STAYS

    def handover(self) -> str:
        """Also of a holder that reacts only after the next apply."""
        before = self.leader()
        token = before.ask().token
        before.pause()
        self.plugin.ok("handover", "db")
        self.scene.wait_spec(handoverUpToToken=token)
        self.sync()
        self.scene.wait_ready()
        self.scene.wait_idle()
        self.scene.wait_spec(handoverUpToToken=token)
        before.resume()
        wait_for(lambda: not before.is_leading(), "the handover", PATIENCE)
        assert self.leader().ask().token > token
        self.sync()
        return STAYS

    def revoke(self) -> str:
        before = self.leader()
        token = before.ask().token
        before.pause()
        self.plugin.run("revoke", "db", "--yes")
        wait_for(lambda: token not in self._tokens(), "the revocation", PATIENCE)
        before.resume()
        wait_for(lambda: not before.is_leading(), "the end of its term", PATIENCE)
        self.sync()
        self.scene.wait_ready()
        assert self.leader().ask().token > token
        return STAYS

    def _tokens(self) -> list[int]:
        return [entry.create_revision for entry in self.scene.stored("db").entries()]

    def capacity(self) -> str:
        self.sync(capacity=2)
        self.scene.wait_spec(capacity=2)
        return DONE

    def capacity_left_out(self) -> str:
        self.sync()
        self.scene.wait_spec(capacity=1)
        return DONE


@pytest.mark.parametrize("name", APPLIERS)
def test_appliers_and_changes_by_hand(scene: Scene, tmp_path: Path, name: str) -> None:
    """Nothing is undone in silence, and no apply fails."""
    one = Row(scene, APPLIERS[name], tmp_path)
    steps = [one.suspend, one.resume, one.handover, one.revoke, one.capacity, one.capacity_left_out]
    row = [step() for step in steps]
    assert {known: rest for known, *rest in table(HEAD, PAGE)}[name] == row


def test_the_table_has_every_applier() -> None:
    assert [name for name, *_ in table(HEAD, PAGE)] == list(APPLIERS)
