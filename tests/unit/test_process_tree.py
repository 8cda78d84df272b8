"""The process tree: found whole, killed whole, whatever its members do."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from leasehold.exec import kill_tree, process_tree
from tests.support.unkillable_tree import MEMBERS, beats, living

FAMILY = str(Path(__file__).parent.parent / "support" / "unkillable_tree.py")


def in_a_process(code: str, *arguments: str) -> str:
    """Run code in a process of its own, which may become a subreaper and kill all below it; returns its output."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_descendants_in_other_sessions_are_found(tmp_path: Path) -> None:
    """Descendants whose parent has died are found as well."""
    seen = in_a_process(
        """
        import os, subprocess, sys, time
        from leasehold.exec import process_tree, kill_tree
        from tests.support.unkillable_tree import beats
        from pathlib import Path
        process_tree.become_subreaper()
        file, family, members = Path(sys.argv[1]), sys.argv[2], ["session", "daemon", "nested", "thread"]
        child = subprocess.Popen([sys.executable, family, str(file), *members])
        while not {"main", "grandchild", *members} - {"nested"} <= {beat.member for beat in beats(file)}:
            time.sleep(0.01)
        found = {stat.process.pid for stat in process_tree.descendants(os.getpid())}
        print({beat.pid for beat in beats(file)} - found)
        while process_tree.reap(lambda pid, status: None):
            kill_tree.kill()
        child.returncode = 0
        """,
        str(tmp_path / "beats"),
        FAMILY,
    )
    assert seen == "set()\n"


@pytest.mark.parametrize("member", MEMBERS)
def test_after_the_last_reaping_nothing_lives(member: str, tmp_path: Path) -> None:
    """A subreaper without children has no descendants: what `gone` rests on."""
    file = tmp_path / "beats"
    in_a_process(
        """
        import os, subprocess, sys, time
        from leasehold.exec import process_tree, kill_tree
        from tests.support.unkillable_tree import beats
        from pathlib import Path
        process_tree.become_subreaper()
        file, family, member = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
        child = subprocess.Popen([sys.executable, family, str(file), "deaf", member])
        while len({beat.member for beat in beats(file)}) < 2:
            time.sleep(0.01)
        while process_tree.reap(lambda pid, status: None):
            kill_tree.kill()
        child.returncode = 0
        with file.open("a") as end:
            end.write("end 1 0\\n")
        """,
        str(file),
        FAMILY,
        member,
    )
    members = [beat.member for beat in beats(file)]
    assert members[-1] == "end", "someone wrote on after the last was reaped"
    assert not living(file)


def test_a_name_may_hold_spaces_and_brackets(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to(shutil.which("sleep") or "/bin/sleep")
    child = subprocess.Popen([program, "60"])
    try:
        found = process_tree.descendants(os.getpid())
        assert child.pid in {stat.process.pid for stat in found}
    finally:
        child.kill()
        child.wait()


def test_no_signal_to_a_reused_id() -> None:
    """A signal reaches a process only if its start time is the expected one."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stat = process_tree.read(child.pid)
        assert stat is not None
        older = process_tree.Process(child.pid, stat.process.started - 1)
        assert kill_tree._deliver(stat._replace(process=older), signal.SIGKILL)
        assert child.poll() is None
        assert kill_tree._deliver(stat, signal.SIGKILL)
        assert child.wait(600) == -signal.SIGKILL
        assert kill_tree._deliver(stat, signal.SIGKILL), "one that has ended already is no failure"
    finally:
        child.kill()
        child.wait()


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    out = in_a_process(
        """
        import os, time
        from leasehold.exec import process_tree, kill_tree
        reader, writer = os.pipe()
        middle = os.fork()
        if middle == 0:
            parent = os.getpid()
            child = os.fork()
            if child == 0:
                process_tree.die_with_parent(parent)
                os.write(writer, b"ready")
                time.sleep(60)
                os._exit(0)
            time.sleep(60)
            os._exit(0)
        os.close(writer)
        os.read(reader, 5)
        os.kill(middle, 9)
        os.waitpid(middle, 0)
        print(os.read(reader, 1))
        """
    )
    assert out == "b''\n", "the pipe closes when the last who could write to it is dead"


def test_signals_work_without_pidfds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old kernels lack pidfd_open, and the seccomp profiles of some container runtimes forbid it."""

    def forbidden(pid: int) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stat = process_tree.read(child.pid)
    assert stat is not None
    assert kill_tree._deliver(stat, signal.SIGTERM)
    assert child.wait(600) == -signal.SIGTERM


def test_the_walk_works_without_lists_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel keeps them only if it was built so (CONFIG_PROC_CHILDREN)."""
    with subprocess.Popen(["sh", "-c", "sh -c 'sleep 60; true'; true"]) as parent:
        listed: list[tuple[int, int]] = []
        while len(listed) < 2:
            listed = list(process_tree.walk(parent.pid))
        monkeypatch.setattr(os.path, "exists", lambda path: False)
        assert set(process_tree.walk(parent.pid)) == set(listed)
        for pid in (parent.pid, *(pid for pid, _ in listed)):
            os.kill(pid, signal.SIGKILL)
        parent.wait(600)
