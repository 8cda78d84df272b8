"""The guardian, fed by hand: nothing of the tree runs at the deadline, whatever becomes of whom.

The processes of the tree write down when they ran, on the deadline's own clock, so that a busy machine cannot make
these tests lie: what is compared are instants of one clock, never how long something took.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.base.clock import now as clock
from leasehold.exec.stop_schedule import StopSchedule
from tests.servers import wait_for
from tests.support.guardian_by_hand import LEASE, PATIENCE, ByHand, Family, last, up
from tests.support.unkillable_tree import MEMBERS, living

# --- the plan, without processes ---


@given(st.lists(st.floats(0, 1000)), st.floats(0, 10), st.floats(0, 2), st.floats(0, 1000))
def test_the_schedule_ends_by_the_deadline(deadlines: list[float], grace: float, margin: float, stopped: float) -> None:
    """The schedule kills by the latest deadline, minus the margin, with any grace period."""
    plan = StopSchedule(margin)
    plan.grace = grace
    for deadline in deadlines:
        plan.extend(deadline)
    latest = max(deadlines, default=float("-inf"))
    plan.stop("a reason", stopped)
    assert plan.term_at <= plan.kill_at or plan.kill_at == stopped + grace
    assert plan.kill_at <= latest - margin
    assert plan.kill_at <= stopped + grace


def test_the_first_reason_to_stop_counts() -> None:
    plan = StopSchedule(0.5)
    assert plan.stop("first", 1.0)
    assert not plan.stop("second", 2.0)
    assert plan.why == "first"


# --- the deadline ---


@pytest.mark.parametrize("members", [(), *((member,) for member in MEMBERS), MEMBERS], ids="-".join)
def test_nothing_of_the_tree_runs_at_the_deadline(members: Sequence[str], family: Family) -> None:
    """No later deadline comes, as when leasehold is frozen: TERM, which all of this family ignore, then KILL."""
    command, file = family("deaf", *members)
    with ByHand(command) as guarded:
        guarded.hear("ready")
        guarded.begin(LEASE, grace=0.5)
        deadline = guarded.renew(up(file))
        assert guarded.hear("stopping") == "stopping the lease is about to end"
        guarded.hear("gone")
        assert not living(file)
    assert last(file) < deadline


def test_a_renewed_lease_keeps_it_running(family: Family) -> None:
    command, file = family()
    with ByHand(command) as guarded:
        guarded.hear("ready")
        first = guarded.begin(LEASE)
        guarded.tell("deadline 1")  # an old one changes nothing
        guarded.renew(lambda: last(file) > first)
        guarded.tell("stop")
        guarded.hear("gone")


def test_when_leasehold_dies_the_tree_is_stopped_at_once(family: Family) -> None:
    others = [member for member in MEMBERS if member != "chain"]  # none of its processes lives to hear TERM
    command, file = family(*others)
    with ByHand(command) as guarded:
        deadline = guarded.begin(3600, grace=1800)
        wait_for(up(file, "session", "daemon", "grandchild", "thread"), "the family is up", PATIENCE)
        guarded.close()
        assert guarded.hear("stopping") == "stopping leasehold is gone"
        assert guarded.wait() == 0
        assert clock() < deadline - 1800, "TERM was enough: nobody waited for the grace to pass"
        assert not living(file)


def test_the_deaf_are_killed_by_the_deadline(
    family: Family,
) -> None:
    """leasehold itself has died; the guardian alone kills processes that ignore signals."""
    command, file = family("deaf", "session", "daemon")
    with ByHand(command) as guarded:
        guarded.hear("ready")
        guarded.begin(LEASE + 2, grace=2)
        deadline = guarded.renew(up(file, "session", "daemon"), LEASE + 2)
        guarded.close()
        assert guarded.wait() == 0
        assert not living(file)
    assert last(file) < deadline


def test_what_the_command_leaves_behind_is_stopped(family: Family, tmp_path: Path) -> None:
    """The command forks a daemon and ends by itself: `gone` comes only when the daemon is gone as well."""
    command, file = family("deaf", "daemon")
    end = tmp_path / "end"
    with ByHand(["sh", "-c", '"$@" & until test -e "$0"; do sleep 0.01; done; exit 9', str(end), *command]) as guarded:
        guarded.begin(3600, grace=0.1)
        wait_for(up(file, "daemon"), "the family is up", PATIENCE)
        end.touch()
        assert guarded.hear("ended") == "ended 9"
        guarded.hear("gone")
        assert not living(file)
        assert guarded.hear("stopping") == "stopping the command has ended"


# --- the guardian's own mishaps ---


def test_a_late_guardian_kills_at_once(family: Family) -> None:
    """The guardian was stopped while the deadline passed."""
    command, file = family("deaf", "session")
    with ByHand(command) as guarded:
        guarded.hear("ready")
        guarded.begin(LEASE)
        deadline = guarded.renew(up(file, "session"))
        os.kill(guarded.pid, signal.SIGSTOP)
        wait_for(lambda: clock() > deadline + 0.5, "the deadline has passed", PATIENCE)
        assert living(file)
        os.kill(guarded.pid, signal.SIGCONT)
        guarded.hear("gone")
        assert not living(file)


def test_a_guardian_that_wakes_late_heeds_what_came_in_time(family: Family) -> None:
    command, file = family()
    with ByHand(command) as guarded:
        guarded.hear("ready")
        guarded.begin(LEASE)
        deadline = guarded.renew(up(file))
        os.kill(guarded.pid, signal.SIGSTOP)
        wait_for(lambda: clock() > deadline + 0.2, "the deadline has passed", PATIENCE)
        guarded.tell(f"deadline {clock() + 3600}")
        os.kill(guarded.pid, signal.SIGCONT)
        guarded.tell(f"signal {int(signal.SIGKILL)}")
        assert guarded.hear("ended") == "ended -9"
        assert guarded.hear("stopping") == "stopping the command has ended"


def test_the_command_dies_with_its_guardian(family: Family) -> None:
    """The rest of the tree is leasehold's to sweep: see the tests of exec."""
    command, file = family("deaf")
    with ByHand(command) as guarded:
        guarded.begin(3600)
        wait_for(up(file), "the command is up", PATIENCE)
        os.kill(guarded.pid, signal.SIGKILL)
        assert guarded.wait() == -signal.SIGKILL
        wait_for(lambda: not living(file), "the kernel has killed it", PATIENCE)


def test_the_guardian_ignores_signals(family: Family) -> None:
    """systemd and `kill 0` signal every process of a group or session at once."""
    command, file = family("deaf")
    with ByHand(command) as guarded:
        guarded.begin(3600)
        wait_for(up(file), "the command is up", PATIENCE)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGTSTP):
            os.kill(guarded.pid, number)
        before = last(file)
        wait_for(lambda: last(file) > before, "the command still runs", PATIENCE)
        assert not guarded.heard("stopping")
        guarded.tell("stop")
        guarded.hear("gone")
