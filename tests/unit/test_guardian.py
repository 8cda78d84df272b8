"""The guardian, fed by hand: nothing of the tree runs at the deadline, whatever becomes of whom.

The processes of the tree write down when they ran, on the deadline's own clock, so that a busy machine cannot make
these tests lie: what is compared are instants of one clock, never how long something took.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.base.clock import now as clock
from leasehold.exec import guardian_link
from leasehold.exec.stop_schedule import StopSchedule
from tests.servers import wait_for
from tests.support.unkillable_tree import MEMBERS, beats, living

FAMILY = str(Path(__file__).parent.parent / "support" / "unkillable_tree.py")
Family = Callable[..., tuple[list[str], Path]]
MARGIN = 0.5
LEASE = 3.0
"""Seconds of a lease that a test waits out; renewed until all is as the test needs it, however long that takes."""
PATIENCE = 600.0


class ByHand:
    """A real guardian process at the end of pipes that the test writes and reads."""

    def __init__(self, command: Sequence[str]) -> None:
        theirs_in, self.control = os.pipe2(os.O_CLOEXEC)
        self.report, theirs_out = os.pipe2(os.O_CLOEXEC)
        words = [str(theirs_in), str(theirs_out), str(MARGIN), "0", *command]
        self.pid = guardian_link._spawn(words, os.environ, (theirs_in, theirs_out))
        os.close(theirs_in)
        os.close(theirs_out)
        self.lines: list[str] = []
        self._buffer = b""
        self._reaped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if not self._reaped:
            os.kill(self.pid, signal.SIGCONT)
            self.wait()  # whatever it still guards goes with it
        os.close(self.report)

    def tell(self, *lines: str) -> None:
        os.write(self.control, "".join(line + "\n" for line in lines).encode())

    def begin(self, lease: float, grace: float = 0.2) -> float:
        """Start the command under a lease of so many seconds; returns its deadline."""
        deadline = clock() + lease
        self.tell(f"deadline {deadline!r}", f"grace {grace!r}", "start 42 /queue/1f")
        return deadline

    def renew(self, until: Callable[[], object], lease: float = LEASE) -> float:
        """Renew the lease, time and again, until a condition holds; returns the last deadline."""
        deadline = 0.0

        def renewed() -> bool:
            nonlocal deadline
            deadline = clock() + lease
            self.tell(f"deadline {deadline!r}")
            assert not self.heard("stopping")
            return bool(until())

        wait_for(renewed, "what the lease is renewed for", PATIENCE)
        return deadline

    def heard(self, word: str) -> bool:
        """Whether the guardian has reported a line that starts so, after reading what is there."""
        while select.select([self.report], [], [], 0)[0] and (data := os.read(self.report, 65536)):
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            self.lines += [line.decode() for line in lines]
        return any(line.split(" ")[0] == word for line in self.lines)

    def hear(self, word: str) -> str:
        wait_for(lambda: self.heard(word), f"the guardian says {word!r}", PATIENCE)
        return next(line for line in self.lines if line.split(" ")[0] == word)

    def wait(self) -> int:
        """Its exit code. One that does not end is killed, and fails the test."""
        try:
            wait_for(lambda: os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), "it ends", PATIENCE)
        except BaseException:
            os.kill(self.pid, signal.SIGKILL)
            raise
        finally:
            _, status = os.waitpid(self.pid, 0)
            self._reaped = True
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """As when leasehold dies: the kernel closes its end."""
        if self.control >= 0:
            os.close(self.control)
            self.control = -1


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    """A command that is a family of processes, and the file of their beats; none is left at the end of the test."""
    file = tmp_path / "beats"

    def make(*members: str) -> tuple[list[str], Path]:
        return [sys.executable, "-I", "-S", FAMILY, str(file), *members], file

    yield make
    try:
        wait_for(lambda: not living(file), "the family has ended", PATIENCE)
    finally:
        for pid in living(file):
            os.kill(pid, signal.SIGKILL)


def up(file: Path, *members: str) -> Callable[[], bool]:
    return lambda: {"main", *members} <= {beat.member for beat in beats(file)}


def last(file: Path) -> float:
    """When any of the family last ran, as far as it could write it down."""
    return max((beat.at for beat in beats(file)), default=0.0)


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


# --- the command itself ---


def test_the_exit_code_is_the_commands_own() -> None:
    with ByHand(["sh", "-c", 'exit "$(($LEASEHOLD_TOKEN - 35))"']) as guarded:
        guarded.begin(60)
        assert guarded.hear("ended") == "ended 7"
        guarded.hear("gone")
        assert guarded.wait() == 0


def test_a_death_by_signal_is_told_apart() -> None:
    with ByHand(["sh", "-c", "kill -USR1 $$"]) as guarded:
        guarded.begin(60)
        assert guarded.hear("ended") == f"ended -{int(signal.SIGUSR1)}"


@pytest.mark.parametrize(
    ("name", "code"), [("/no/such/program", 127), ("no-such-program-on-path", 127), ("/etc/passwd", 126), ("/", 126)]
)
def test_what_cannot_be_run_is_reported(name: str, code: int) -> None:
    with ByHand([name]) as guarded:
        guarded.begin(60)
        assert guarded.hear("failed").startswith(f"failed {code} ")
        assert guarded.hear("ended") == f"ended {code}"
        guarded.hear("gone")


def test_nothing_starts_before_it_is_told_to(family: Family) -> None:
    command, file = family()
    with ByHand(command) as guarded:
        guarded.tell(f"deadline {clock() + 60}")
        guarded.hear("ready")
        guarded.tell("stop")
        guarded.hear("gone")
    assert not file.exists()


def test_nothing_starts_under_a_lease_that_is_about_to_end(family: Family) -> None:
    command, file = family()
    with ByHand(command) as guarded:
        guarded.begin(MARGIN)
        guarded.hear("gone")
    assert not file.exists()


def test_signals_are_passed_on_to_the_command() -> None:
    script = 'trap "echo got; exit 3" USR2; echo up; while :; do sleep 0.01; done'
    reader, writer = os.pipe()
    saved = os.dup(1)
    os.dup2(writer, 1)
    try:
        guarded = ByHand(["sh", "-c", script])
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(writer)
    with guarded, os.fdopen(reader) as out:
        guarded.begin(60)
        assert out.readline() == "up\n"
        guarded.tell(f"signal {int(signal.SIGUSR2)}")
        assert out.readline() == "got\n"
        assert guarded.hear("ended") == "ended 3"


def test_the_command_has_the_signals_of_a_fresh_process() -> None:
    """Python ignores SIGPIPE, the guardian nearly everything: none of it is the command's to inherit."""
    # Bits 31 and 32, the C library's own signals, are ignored in whatever glibc's posix_spawn starts.
    script = "grep -Ec '^Sig(Ign|Blk):.*0000000[01]?[08]0000000$' /proc/self/status | grep -qx 2"
    with ByHand(["sh", "-c", script]) as guarded:
        guarded.begin(60)
        assert guarded.hear("ended") == "ended 0"


def test_the_command_has_none_of_our_descriptors() -> None:
    """What leasehold was given, as by a shell's redirection, it has; neither pipe nor socket of ours."""
    script = "import os, sys; sys.exit(len(os.listdir('/proc/self/fd')) - 1)"  # less the listing's own
    given = [int(name) for name in os.listdir("/proc/self/fd")]
    passed = [fd for fd in given if os.path.exists(f"/proc/self/fd/{fd}") and os.get_inheritable(fd)]
    with ByHand([sys.executable, "-I", "-S", "-c", script]) as guarded:
        guarded.begin(60)
        assert guarded.hear("ended") == f"ended {len(passed)}"


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


def test_a_stopped_process_hears_term_too() -> None:
    """SIGTERM waits for SIGCONT in a stopped process: without it, each stop would cost the whole grace."""
    with ByHand(["sh", "-c", "kill -STOP $$; exit 0"]) as guarded:
        deadline = guarded.begin(3600, grace=1800)
        guarded.hear("ready")
        guarded.tell("stop")
        guarded.hear("gone")
        assert clock() < deadline - 1800


def test_what_is_left_behind_is_counted() -> None:
    with ByHand(["sh", "-c", "sleep 3600 & sleep 3600 & exit 4"]) as guarded:
        guarded.begin(3600, grace=1800)
        assert guarded.hear("left") == "left 2"
        guarded.hear("gone")
        assert guarded.hear("ended") == "ended 4"


def test_all_may_be_waited_for(tmp_path: Path) -> None:
    """What the command leaves behind runs on; a signal that ends it then means the rest."""
    end = tmp_path / "end"
    script = f"(while ! test -e {end}; do sleep 0.01; done) & sleep 3600 & exit 4"
    with ByHand(["sh", "-c", script]) as guarded:
        guarded.tell("wait-for-all")
        guarded.begin(3600, grace=1800)
        guarded.hear("left")
        end.touch()
        guarded.tell(f"signal {int(signal.SIGUSR1)}")
        assert not guarded.heard("stopping")
        guarded.tell(f"signal {int(signal.SIGTERM)}")
        guarded.hear("gone")


def test_the_command_knows_its_term(tmp_path: Path) -> None:
    with ByHand(["sh", "-c", f'echo "$LEASEHOLD_TOKEN $LEASEHOLD_KEY" >{tmp_path}/term']) as guarded:
        guarded.begin(3600)
        guarded.hear("gone")
    assert (tmp_path / "term").read_text() == "42 /queue/1f\n"


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


def test_it_imports_next_to_nothing() -> None:
    """It starts when every millisecond of leadership counts, and stays in memory for as long as the command runs."""
    imports = "import sys; before = set(sys.modules); import leasehold.exec.guardian_process"
    code = f"{imports}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("leasehold")}
    few = ("boot_timer", "guardian", "guardian_process", "job_control", "process_tree", "stop_schedule", "kill_tree")
    assert ours == {
        "leasehold",
        "leasehold.base",
        "leasehold.base.clock",
        "leasehold.exec",
        *(f"leasehold.exec.{name}" for name in few),
    }
    assert not {"asyncio", "logging", "socket", "subprocess", "threading"} & set(done.stdout.split())


def test_a_bug_is_reported_and_ends_it() -> None:
    """By its pipe, not on standard error, which may be one that nobody reads. The command has ended by then."""
    with ByHand(["sleep", "3600"]) as guarded:
        guarded.begin(3600)
        guarded.tell("deadline of nonsense")
        assert "ValueError" in guarded.hear("bug")
        assert guarded.wait() == 1


def test_it_stands_apart_from_our_session() -> None:
    """A signal to leasehold's process group, or the end of its session, must not reach the guardian."""
    with ByHand(["true"]) as guarded:
        guarded.hear("ready")
        assert os.getsid(guarded.pid) != os.getsid(0)


def test_a_stop_at_the_very_start_is_heard() -> None:
    """The command may be between fork and exec, not in its own group yet, with the guardian's deaf ears."""
    for _ in range(20):
        with ByHand(["sleep", "3600"]) as guarded:
            deadline = guarded.begin(3600, grace=1800)
            guarded.tell("stop")
            guarded.hear("gone")
            assert clock() < deadline - 1800


def test_a_signal_at_the_very_start_is_the_commands() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        with ByHand(["sleep", "3600"]) as guarded:
            os.kill(guarded.pid, signal.SIGSTOP)  # so that the order to start and the signal are read at once
            guarded.begin(3600)
            guarded.tell(f"signal {int(number)}")
            os.kill(guarded.pid, signal.SIGCONT)
            assert guarded.hear("ended") == f"ended -{int(number)}"
