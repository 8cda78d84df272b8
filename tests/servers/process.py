"""A real process that ends with the test run, whatever happens to the run.

The kernel kills it when its parent dies (PR_SET_PDEATHSIG, set by util-linux's `setpriv`, which then becomes
the program: the pid is the program's own). Only a parent that dies in the instant before `setpriv` has done so leaves
it behind. Everything is ended by that pid.
"""

import atexit
import contextlib
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

# PDEATHSIG fires when the *thread* that started the child ends, so one thread that lives on starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")
_alive: dict[int, "Process"] = {}
PATIENCE = 120.0
"""Seconds after which a wait for a state gives up: only a fault takes that long, not a busy machine."""
SHORTEST_PAUSE = 0.01
"""Seconds between two looks at a state while it is young."""
# A look costs milliseconds of CPU time, tens of them where a program is started for it, here and in the server asked:
# without longer pauses what waits would keep a processor busy, and so keep up what it waits for.
_LONGEST_PAUSE = 0.1


class ProcessFailed(RuntimeError):
    """A process ended, or didn't do what was waited for; the message holds the end of its log."""


class Process:
    """One process, its output in a log file, and its standard output also line by line when `lines` is asked
    for.

    `user` runs it as that user (only root can ask for another). `env` is added to the environment of the test
    run.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        lines: bool = False,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.name = name or Path(self.argv[0]).name
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._user = user
        self._lines: queue.Queue[tuple[float, str | None]] | None = queue.Queue() if lines else None
        self._popen: subprocess.Popen[bytes] | None = None
        descriptor, path = tempfile.mkstemp(prefix=f"leasehold-{self.name}-", suffix=".log")
        os.close(descriptor)
        self.log_path = Path(path)
        self._log_start = 0
        self.line_at = 0.0
        """When the line that `read_line` last returned came, by `time.monotonic`."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, or start it anew after it ended; the log goes on."""
        if self.running:
            raise ProcessFailed(f"{self.name} is running already")
        self._log_start = self.log_path.stat().st_size
        self._popen = _starter.submit(self._spawn).result()
        _alive[self._popen.pid] = self
        if self._lines is not None:
            threading.Thread(target=self._read_lines, args=(self._popen, self._lines), daemon=True).start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ProcessFailed("setpriv is missing: install util-linux")
        as_user = [f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups"] if self._user else []
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [setpriv, "--pdeathsig=KILL", *as_user, "--", *self.argv],
                stdin=subprocess.PIPE if self._lines is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._lines is not None else log,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,  # Ctrl-C is for the test run, which then stops it in order
            )

    @property
    def pid(self) -> int:
        """The process id; the last one when it has ended."""
        assert self._popen is not None, f"{self.name} was never started"
        return self._popen.pid

    @property
    def running(self) -> bool:
        """True until it has ended; a frozen process is running."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code; -9 for SIGKILL; None while it runs."""
        return None if self._popen is None else self._popen.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone, if it runs."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def pause(self) -> None:
        """Freeze it (SIGSTOP) and wait until every thread stands still."""
        self.signal(signal.SIGSTOP)
        wait_for(lambda: not self.running or self._frozen(), f"{self.name} to freeze")

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def terminate(self, timeout: float = PATIENCE) -> int:
        """SIGTERM, then wait for the end at most `timeout` seconds; returns the exit code."""
        self.signal(signal.SIGTERM)
        self.resume()  # a frozen process would not see it
        return self.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, and wait until the kernel has ended it."""
        self.signal(signal.SIGKILL)
        if self._popen is not None:
            self._popen.wait(PATIENCE)
            self._forget()

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait at most `timeout` seconds for it to end by itself; returns the exit code."""
        assert self._popen is not None, f"{self.name} was never started"
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"{self.name} has not ended after {timeout} s:\n{self.log_tail()}") from None
        self._forget()
        return code

    def close(self) -> None:
        """End it if it runs, at once, and remove its log. For use when the test is over.

        What it has started ends with it, unless that has left its process group: a killed process can't see to that.
        """
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)  # of nobody else: whoever hasn't been waited for keeps its number
        self.kill()
        self.log_path.unlink(missing_ok=True)

    def _forget(self) -> None:
        assert self._popen is not None
        _alive.pop(self._popen.pid, None)
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def _frozen(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task").glob("*/stat")
        try:
            return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)
        except OSError:  # a thread that has ended since the listing: look again
            return False

    # --- output and input -----------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """All that it wrote so far: standard error, and standard output unless that is read by lines."""
        return self.log_path.read_text(errors="replace")

    @property
    def log_since_start(self) -> str:
        """As `log`, without what it wrote before its latest start."""
        return self.log_path.read_bytes()[self._log_start :].decode(errors="replace")

    def log_tail(self, lines: int = 25, width: int = 300) -> str:
        """The last lines of the log, for the message of a failure."""
        if not self.log_path.exists():
            return ""
        return "\n".join(line[:width] for line in self.log.splitlines()[-lines:])

    def wait_for_log(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait until it has written `text` since its latest start."""
        wait_for(lambda: text in self.log_since_start or not self.running, f"{self.name}: {text!r}", timeout)
        if text not in self.log_since_start:
            raise ProcessFailed(f"{self.name} ended before it logged {text!r}:\n{self.log_tail()}")

    def send(self, line: str) -> None:
        """Write one line to its standard input (only with `lines`)."""
        assert self._popen is not None
        assert self._popen.stdin is not None, "start the process with lines=True to write to it"
        self._popen.stdin.write(line.encode() + b"\n")
        self._popen.stdin.flush()

    def read_line(self, timeout: float = PATIENCE) -> str:
        """The next line of its standard output (only with `lines`), waiting at most `timeout` seconds."""
        assert self._lines is not None, "start the process with lines=True to read from it"
        try:
            self.line_at, line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise ProcessFailed(f"{self.name} wrote no line for {timeout} s:\n{self.log_tail()}") from None
        if line is None:
            raise ProcessFailed(f"{self.name} ended its output:\n{self.log_tail()}")
        return line

    def ready_lines(self) -> list[str]:
        """All lines of its standard output that have come and were not read yet (only with `lines`)."""
        assert self._lines is not None, "start the process with lines=True to read from it"
        found = []
        with contextlib.suppress(queue.Empty):
            while (entry := self._lines.get_nowait())[1] is not None:
                found.append(entry[1])
        return found

    @staticmethod
    def _read_lines(popen: subprocess.Popen[bytes], lines: queue.Queue[tuple[float, str | None]]) -> None:
        assert popen.stdout is not None
        with popen.stdout:
            for line in popen.stdout:
                lines.put((time.monotonic(), line.decode(errors="replace").rstrip("\n")))
        lines.put((time.monotonic(), None))


def running_processes() -> list[Process]:
    """Every process that was started here and has not been ended, for the report of a failed test."""
    return list(_alive.values())


def wait_for(
    condition: Callable[[], object], what: str, timeout: float = PATIENCE, *, longest_pause: float = _LONGEST_PAUSE
) -> None:
    """Poll until `condition()` is true; ProcessFailed after `timeout` seconds, saying `what` was waited for.

    The longer it has taken, the longer the pause before the next look: a wait gets a twentieth longer at most. Who
    wants to see even what lasts no longer than a few milliseconds, or when it was, gives a `longest_pause`.
    """
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        if waited > timeout:
            raise ProcessFailed(f"waited {timeout} s in vain for {what}")
        time.sleep(min(max(SHORTEST_PAUSE, waited / 20), longest_pause))


@atexit.register
def _end_all() -> None:
    for process in running_processes():
        process.close()
