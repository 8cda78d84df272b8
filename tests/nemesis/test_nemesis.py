"""Real sidecars under a nemesis: what was seen must not contradict the guarantees. And the checker can bite."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.nemesis.checker import check
from tests.nemesis.cluster_world import PATIENCE, TTL, Shape, World
from tests.nemesis.faults import ALL
from tests.nemesis.faults.users import USER_FAULTS
from tests.nemesis.history import History, Told
from tests.nemesis.nemesis import Act, available, draw, torment
from tests.servers import disks_available, wait_for

SEEDS = (30, 3571)
"""Whose plans hold every fault between them; the second one's etcd has users."""
ACTS = 5


def sabotaged(kind: str) -> tuple[str, ...]:
    """The command of a sidecar that the checker must catch."""
    return sys.executable, "-m", "tests.nemesis.sabotaged_sidecar", kind, "run"


def judge(world: World, folder: Path) -> None:
    """Fail with every contradiction, and leave the history and all logs in `folder`."""
    found = check(world.history)
    if found:
        world.history.save(folder / "history.jsonl")
        world.save_logs(folder)
    assert not found, f"{len(found)} in {folder}:\n" + "\n".join(map(str, found))


def terms(history: History) -> set[int]:
    """The tokens under which somebody led."""
    return {told.token for told in history.all(Told) if told.status == 200}


def test_the_seeds_do_every_fault() -> None:
    """A new fault changes all plans: look for other seeds then. What hangs a disk has a test of its own."""
    names = {name for name in ALL if name != "hang-disk"}
    of_users = {fault.name for fault in USER_FAULTS}
    acts = [act for seed in SEEDS for act in draw(seed, names if seed % 2 else names - of_users, ACTS)]
    assert {name for act in acts for name in act.faults} == names


@pytest.mark.parametrize("seed", SEEDS)
def test_many_faults(seed: int, tmp_path: Path) -> None:
    """Whatever comes together, no answer contradicts another, nor etcd's own record, and somebody leads at the end."""
    with World(Shape.of(seed)) as world:
        names, _ = available(world)
        torment(world, draw(seed, names, ACTS))
        judge(world, tmp_path)
        assert len(terms(world.history)) > 1, "the leader was never changed: that was no torment"


needs_disk = pytest.mark.skipif(not disks_available(), reason="a disk that hangs needs root and loop devices")


def on_a_hung_disk(commands: Mapping[str, tuple[str, ...]]) -> Shape:
    """Of etcd 3.5.1, which goes on renewing leases there that expire elsewhere.

    `a` need not look for the member whose disk will hang while its lease runs out: it knows no other one yet.
    """
    return Shape(version="3.5", names=("a", "b", "c"), with_disk=True, apart=True, commands=commands)


def another_leads(world: World) -> bool:
    """`b`, or `c` where the change of etcd's leader took so long that `b` lost its place."""
    return any(one.is_leading() for one in world.candidates[1:])


CUT_IN_TWO = Act(("one-member-each", "hang-disk"), TTL, until=another_leads)
"""The holder, `a`, reaches only the member whose disk hangs, which leads etcd until the others have elected anew.

Those let its lease expire, and another candidate leads for a TTL: how soon depends on the machine.
"""


@needs_disk
def test_hung_disk_of_an_old_etcd_leader(tmp_path: Path) -> None:
    """Nobody leads on renewals that the other members know nothing of."""
    with World(on_a_hung_disk({})) as world:
        torment(world, [CUT_IN_TWO, Act(("hang-disk", "crash-sidecar"), 2.0 * TTL)])
        judge(world, tmp_path)


@needs_disk
def test_unconfirmed_renewals_are_caught() -> None:
    """The same fault, and a sidecar that believes whatever etcd's old leader answers."""
    with World(on_a_hung_disk({"a": sabotaged("unconfirmed")})) as world:
        torment(world, [CUT_IN_TWO])
        found = {one.rule for one in check(world.history)}
    assert {"order", "late", "promise"} <= found


def cut_off_and_succeeded(world: World) -> None:
    """The holder, `a`, is cut off from etcd until `b` has led for a TTL."""
    a, b = world.candidates
    wait_for(lambda: a.is_leading(), "a to lead", PATIENCE)
    for proxy in a.proxies:
        proxy.cut()
    wait_for(lambda: b.is_leading(), "b to lead", PATIENCE)
    time.sleep(TTL)  # for what the observer sees meanwhile
    for proxy in a.proxies:
        proxy.heal()
    world.finish()


def test_cut_off_holder_stops_in_time(tmp_path: Path) -> None:
    """What the sabotaged one must be caught at: the honest one is not."""
    with World(Shape(names=("a", "b"), rates={})) as world:
        cut_off_and_succeeded(world)
        judge(world, tmp_path)
        assert len(terms(world.history)) > 1


def test_late_stop_is_caught() -> None:
    """One that believes in its lease for three TTLs leads beside its successor, and is seen to."""
    with World(Shape(names=("a", "b"), rates={}, commands={"a": sabotaged("late")})) as world:
        cut_off_and_succeeded(world)
        found = {one.rule for one in check(world.history)}
    assert {"order", "late"} <= found
