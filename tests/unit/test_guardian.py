"""The guardian, fed by hand, in the plain course: how it starts a command, and what it passes on and reports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leasehold.base.clock import now as clock
from tests.servers import wait_for
from tests.support.exec_peers import state
from tests.support.guardian_by_hand import MARGIN, ByHand, Family

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


def test_a_signal_right_after_the_commands_end_is_for_the_rest(tmp_path: Path) -> None:
    """The guardian hears of it before it has heard of that end."""
    end, up = tmp_path / "end", tmp_path / "up"
    script = f"sleep 3600 & echo $$ >{up}; while ! test -e {end}; do sleep 0.01; done; exit 4"
    with ByHand(["sh", "-c", script]) as guarded:
        guarded.tell("wait-for-all")
        guarded.begin(3600, grace=1800)
        wait_for(lambda: up.exists() and up.read_text(), "the command runs")
        os.kill(guarded.pid, signal.SIGSTOP)
        end.touch()
        wait_for(lambda: state(int(up.read_text())) == "Z", "the command has ended")
        guarded.tell(f"signal {int(signal.SIGTERM)}")
        os.kill(guarded.pid, signal.SIGCONT)
        guarded.hear("gone")
        assert guarded.hear("ended") == "ended 4"


def test_the_command_knows_its_term(tmp_path: Path) -> None:
    with ByHand(["sh", "-c", f'echo "$LEASEHOLD_TOKEN $LEASEHOLD_KEY" >{tmp_path}/term']) as guarded:
        guarded.begin(3600)
        guarded.hear("gone")
    assert (tmp_path / "term").read_text() == "42 /queue/1f\n"


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
