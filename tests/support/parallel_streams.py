"""Commands side by side, each stream's own one after the other: most tests wait for something most of the time.

Each command is a session of its own, since Linux shares the processors out among sessions: tests that measure time,
and the servers that they start, must not wait for those that only compute. Those are `patient`: they get what is left
over.

What a stream prints is shown whole when it is over, so that no two are mixed; which are still running is said once a
minute. Only the standard library is used here: nothing is installed yet when this is imported.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HEARTBEAT = 60.0  # seconds
_PATIENT = 10  # niceness: a tenth of what the others get, and all that they leave over
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


@dataclass(frozen=True)
class Command:
    """One step of a stream. A `patient` one only computes: any limit on its wall time has to be generous."""

    name: str
    argv: Sequence[object]
    env: Mapping[str, str] = field(default_factory=dict)
    patient: bool = False


class Stream(threading.Thread):
    """Commands that are run one after the other, whether or not one fails."""

    def __init__(self, name: str, commands: Sequence[Command], directory: Path) -> None:
        super().__init__(name=name)
        self.failed: list[str] = []
        self._interrupted = False
        self._process: subprocess.Popen[str] | None = None
        self._commands = commands
        self._directory = directory
        self._output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed when it was shown

    def run(self) -> None:
        """Run all of it; what failed is in `failed` then."""
        for command in self._commands:
            if self._interrupted:
                break
            started = time.monotonic()
            self._output.write(f"\n=== {command.name}\n")
            self._output.flush()
            self._process = self._start(command)
            code = self._process.wait()
            self._output.seek(0, os.SEEK_END)
            outcome = f"FAILED with exit code {code}" if code else "ok"
            self._output.write(f"=== {command.name}: {outcome} after {time.monotonic() - started:.1f} s\n")
            if code:
                self.failed.append(command.name)

    def _start(self, command: Command) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [str(word) for word in command.argv],
            cwd=self._directory,
            env={**os.environ, **command.env},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if command.patient:
            _make_patient(process.pid)
        return process

    def interrupt(self) -> None:
        """Ask it to end in order, as Ctrl-C would if it were of our session."""
        self._interrupted = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def take_output(self) -> str:
        """All that it has printed; once, when it is over."""
        self._output.seek(0)
        with self._output:
            return self._output.read()


def side_by_side(streams: Sequence[Stream]) -> "tuple[list[str], dict[str, int]]":
    """Run the streams and print what each prints; what failed, and pytest's counts over all of them."""
    for stream in streams:
        stream.start()
    print(f"\n=== side by side: {_names(streams)}", flush=True)
    try:
        counts = _watch(streams)
    except KeyboardInterrupt:
        for stream in streams:
            stream.interrupt()
        raise
    return [name for stream in streams for name in stream.failed], counts


def _watch(streams: Sequence[Stream]) -> "dict[str, int]":
    """Print what each stream prints as it ends, until all have; pytest's counts over all of them."""
    running = list(streams)
    counts: dict[str, int] = {}
    heard = time.monotonic()
    while running:
        running[0].join(0.5)
        for stream in [stream for stream in running if not stream.is_alive()]:
            running.remove(stream)
            output = stream.take_output()
            print(output, end="", flush=True)
            _count(output, counts)
            heard = time.monotonic()
        if running and time.monotonic() - heard > _HEARTBEAT:
            print(f"=== still running: {_names(running)}", flush=True)
            heard = time.monotonic()
    return counts


def _make_patient(pid: int) -> None:
    """Within its session, and the session as a whole, where the kernel has such groups."""
    os.setpriority(os.PRIO_PROCESS, pid, _PATIENT)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_PATIENT))


def _names(streams: Sequence[Stream]) -> str:
    return ", ".join(stream.name for stream in streams)


def _count(output: str, counts: "dict[str, int]") -> None:
    """Add what pytest's closing lines say, such as `== 3 failed, 20 passed in 1.20s ==`."""
    for line in output.splitlines():
        if re.search(r" in \d+\.\d+s", line):
            for number, what in _COUNTS.findall(line):
                counts[what] = counts.get(what, 0) + int(number)
