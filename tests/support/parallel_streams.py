"""Commands side by side, each stream's own one after the other: most tests wait for something most of the time.

Each command is a session of its own, since Linux shares the processors out among sessions: tests that measure time,
and the servers that they start, must not wait for those that only compute. Those are `patient`: they get what is left
over. Of the others only a few run at once, so that each finds a processor free at most moments: what it measures and
waits for is then about the code, and not about its neighbours. They start in the order given, one that needs what
another makes once that has ended.

What a stream prints is shown whole when it is over, so that no two are mixed; which are still running is said once a
minute. A stream in which something failed is shown after all others, where one looks first; on an interrupt, whatever
there is. Each command is told with its CPU time, which is that of all processes that it or a descendant waited for; a
line at the end compares their sum with what the machine's processors did. Only the standard library is used here:
nothing is installed yet when this is imported.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HEARTBEAT = 60.0  # seconds
# Niceness: a third of what each of the others gets, and all that they leave over. With a tenth, the schedules would be
# left to the end on a machine that is busy with other work, too, and take an hour then.
_PATIENT = 5
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


@dataclass(frozen=True)
class Command:
    """One step of a stream. A `patient` one only computes: any limit on its wall time has to be generous."""

    name: str
    argv: Sequence[object]
    env: Mapping[str, str] = field(default_factory=dict)
    patient: bool = False


class Stream(threading.Thread):
    """Commands that are run one after the other, whether or not one fails; none of them if `after` has failed."""

    def __init__(self, name: str, commands: Sequence[Command], directory: Path, after: "Stream | None" = None) -> None:
        super().__init__(name=name)
        self.after = after
        self.failed: list[str] = []
        self.took = 0.0
        """Seconds, of all commands together."""
        self.cpu = 0.0
        """Seconds of CPU time, likewise."""
        self.patient = all(command.patient for command in commands)
        """Whether it only takes what the others leave over, so that any number of such streams may run."""
        self.ended = threading.Event()
        """Instead of `join`: a thread whose `join` was interrupted counts as stopped in CPython 3.11, while it runs."""
        self._interrupted = False
        self._pid: int | None = None
        self._commands = commands
        self._directory = directory
        self._output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed when it was shown

    def run(self) -> None:
        """Run all of it; what failed is in `failed` then."""
        try:
            self._run_all()
        finally:
            self.ended.set()

    def _run_all(self) -> None:
        if self.after is not None and self.after.failed:
            self.failed.append(self.name)
            self._output.write(f"\n=== {self.name}: not run, for {', '.join(self.after.failed)} failed\n")
            return
        for command in self._commands:
            if self._interrupted:
                break
            self._output.write(f"\n=== {command.name}\n")
            self._output.flush()
            started = time.monotonic()
            code, cpu = self._end_of(self._start(command))
            took = time.monotonic() - started
            self.took, self.cpu = self.took + took, self.cpu + cpu
            self._output.seek(0, os.SEEK_END)
            outcome = f"FAILED with exit code {code}" if code else "ok"
            self._output.write(f"=== {command.name}: {outcome} after {took:.1f} s, {cpu:.1f} s of CPU time\n")
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

    def _end_of(self, process: "subprocess.Popen[str]") -> "tuple[int, float]":
        """Its exit code, and the seconds of CPU time that it and all its descendants used, once it has ended."""
        self._pid = process.pid
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self._pid = None  # before its number can be another's
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_utime + usage.ru_stime

    def interrupt(self) -> None:
        """Ask it to end in order, as Ctrl-C would if it were of our session."""
        self._interrupted = True
        if (pid := self._pid) is not None:
            os.kill(pid, signal.SIGINT)

    def take_output(self) -> str:
        """All that it has printed; once, when it is over."""
        self._output.seek(0)
        with self._output:
            return self._output.read()


def side_by_side(streams: Sequence[Stream], at_once: int) -> "tuple[list[str], dict[str, int]]":
    """Run the streams, `at_once` and the patient ones at a time; what failed, and pytest's counts over all of them.

    What each prints is printed here.
    """
    before = _busy()
    print(f"\n=== side by side, {at_once} at a time: {_names(streams)}", flush=True)
    counts: dict[str, int] = {}
    running: list[Stream] = []
    held_back: list[Stream] = []
    try:
        for stream in _as_they_end(streams, running, at_once):
            if stream.failed:
                print(f"\n=== {stream.name}: FAILED; what it printed comes last", flush=True)
                held_back.append(stream)
            else:
                _show(stream, counts)
    except KeyboardInterrupt:
        for stream in running:
            stream.interrupt()
        held_back += running
        raise
    finally:
        for stream in held_back:
            stream.ended.wait()
            _show(stream, counts)
    _tell_costs(streams, _busy() - before)
    return [name for stream in streams for name in stream.failed], counts


def _as_they_end(streams: Sequence[Stream], running: "list[Stream]", at_once: int) -> "Iterator[Stream]":
    """Start each stream when there is room; those that have ended.

    `running` always says which have been started and have not ended.
    """
    waiting = list(streams)
    heard = time.monotonic()
    while waiting or running:
        _start_those_with_room(waiting, running, at_once)
        running[0].ended.wait(0.5)
        for stream in [stream for stream in running if stream.ended.is_set()]:
            running.remove(stream)
            heard = time.monotonic()
            yield stream
        if running and time.monotonic() - heard > _HEARTBEAT:
            print(f"=== still running: {_names(running)}", flush=True)
            heard = time.monotonic()


def _show(stream: Stream, counts: "dict[str, int]") -> None:
    """Print what it has printed, and add pytest's counts in it."""
    output = stream.take_output()
    print(output, end="", flush=True)
    _count(output, counts)


def _start_those_with_room(waiting: "list[Stream]", running: "list[Stream]", at_once: int) -> None:
    """Move them from one list to the other."""
    for stream in list(waiting):
        if stream.after is not None and not stream.after.ended.is_set():
            continue
        if stream.patient or sum(not other.patient for other in running) < at_once:
            waiting.remove(stream)
            running.append(stream)
            stream.start()


def _tell_costs(streams: Sequence[Stream], busy: float) -> None:
    """Where the time went: the longest stream first. `busy`: what the machine's processors did meanwhile, in seconds.

    What it has beyond the sum is other programs', or of processes that nobody waited for, as those of pods are.
    """
    print("\n=== the streams, the longest first:", flush=True)
    for stream in sorted(streams, key=lambda stream: -stream.took):
        print(f"{stream.took:8.0f} s, {stream.cpu:6.0f} s of CPU time: {stream.name}", flush=True)
    total = sum(stream.cpu for stream in streams)
    print(f"{total:8.0f} s of CPU time in all; {os.cpu_count()} processors were busy for {busy:.0f} s", flush=True)


def _busy() -> float:
    """Seconds for which the machine's processors have worked since it started, all together."""
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


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
