"""`leasehold exec` and its peers, `timeout`, `flock` and `sudo`, started the same way to be compared."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.servers import PATIENCE, Process, wait_for
from tests.servers.tools import why_missing


def prefixes(url: str, root: str, directory: Path) -> dict[str, list[str]]:
    """What stands before the command, by the program's name; only programs that the machine has."""
    settings = ["--etcd", url, "--root", root, "--lock", "job", "--ttl", "60", "--grace", "1", "--log-level", "error"]
    found = {"leasehold": [sys.executable, "-m", "leasehold", "exec", *settings, "--"]}
    if shutil.which("flock"):
        found["flock"] = ["flock", str(directory / "lock")]
    if shutil.which("timeout"):
        found["timeout"] = ["timeout", "600"]
        found["foreground"] = ["timeout", "--foreground", "600"]
    if why_missing("tests beside sudo", {"sudo": "sudo"}) is None:
        found["sudo"] = ["sudo", "-n"]
    return found


def options(prefix: Sequence[str], *more: str) -> list[str]:
    """The same with more options of leasehold's."""
    return [*prefix[:-1], *more, "--"]


def words(prefix: Sequence[str]) -> str:
    """The prefix as words of a shell."""
    return shlex.join(prefix)


def typed_at(prefix: Sequence[str], directory: Path) -> list[str]:
    """An interactive shell in which `run` stands for the prefix, as if it were typed.

    The terminal echoes what is typed. Spelled out, the prefix would bring paths along, in which may stand what a test
    waits for.
    """
    start = directory / "start.bash"
    start.write_text(f"PS1='$ '\nalias run={shlex.quote(words(prefix))}\n")  # the system's own may set another prompt
    return ["bash", "--rcfile", str(start), "-i"]


def outcome(prefix: Sequence[str], script: str) -> str:
    """What a shell's script prints, in which RUN is the prefix, and its exit code after a bar; -n for signal n."""
    shell = ["bash", "-c", script.replace("RUN", words(prefix))]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=PATIENCE, check=False, start_new_session=True)
    return f"{' '.join(done.stdout.split())}|{done.returncode}"


class Signalled:
    """A program with a command that has printed its first line, to be sent a signal."""

    def __init__(self, prefix: Sequence[str], script: str) -> None:
        self._process = Process([*prefix, "bash", "-c", script], name=Path(prefix[0]).name, lines=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.pid = int(self._process.read_line())
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # first, because whoever reads its output waits for its end
        self._process.kill()
        self._process.close()

    def signal(self, number: int) -> None:
        """Send a signal to the program, not to its command."""
        os.kill(self._process.pid, number)

    def stop_command(self, name: str) -> None:
        """Stop the command, once its shell has become this program; return when it has stopped."""
        wait_for(lambda: own_name(self.pid) == name, f"the shell, which ignores QUIT, to have become {name}")
        os.kill(self.pid, signal.SIGSTOP)
        # of two signals that are pending, the lower number is delivered first
        wait_for(lambda: state(self.pid) == "T", "the command to stop")

    def line(self) -> str:
        """The next line that the command prints."""
        return self._process.read_line()

    def wait(self) -> int:
        """The program's exit code, -n for signal n."""
        return self._process.wait()

    def is_stopped(self) -> bool:
        """Whether a signal has stopped the program."""
        return state(self._process.pid) == "T"


def state(pid: int) -> str:
    """The state of a process as /proc shows it: R, S, T, Z; "" if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def own_name(pid: int) -> str:
    """The name of a process, as `ps` shows it."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def parent_name(pid: int) -> str:
    """The name of a process's parent, as `ps` shows it."""
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    return own_name(int(parent))


def children_of(parent: int) -> list[int]:
    """The processes that the first thread of this one has started."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


class Screen:
    """A program that was started from a terminal, as by a login: a new session whose foreground it is."""

    def __init__(self, command: Sequence[str]) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what it starts would, too
            os.execvpe(command[0], list(command), {**os.environ, "PS1": "$ ", "TERM": "xterm"})
        self.output = b""
        self.code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self._collect()

    def type(self, keys: bytes) -> None:
        """Type these keys."""
        os.write(self._master, keys)

    def read_until(self, text: bytes, times: int = 1, timeout: float = PATIENCE) -> None:
        """Return when it stands there so many times; anything may come in between."""
        end = time.monotonic() + timeout
        while self.output.count(text) < times:
            left = end - time.monotonic()
            assert select.select([self._master], [], [], max(0.0, left))[0], self.output
            try:
                self.output += os.read(self._master, 4096)
            except OSError:  # EIO: the last process on it has ended
                assert self.output.count(text) >= times, self.output

    def wait(self) -> int:
        """The program's exit code, -n for signal n; what it still prints is read."""
        wait_for(self._has_ended, "the program on the terminal ends", PATIENCE)
        return self._collect()

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed."""
        os.close(self._master)
        self._master = -1

    def resize(self) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))

    def has_stopped_job(self) -> bool:
        """Whether the shell on it has a child that a signal has stopped."""
        return any(state(child) == "T" for child in children_of(self.pid))

    def _has_ended(self) -> bool:
        while self._master >= 0 and select.select([self._master], [], [], 0)[0]:
            try:
                self.output += os.read(self._master, 4096)
            except OSError:
                break
        return bool(os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))

    def _collect(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        if self._master >= 0:
            os.close(self._master)
        self.code = os.waitstatus_to_exitcode(status)
        return self.code
