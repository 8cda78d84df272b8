"""Commands side by side, each stream's own one after the other: most tests wait for something most of the time.

What a stream prints is shown whole when it is over, so that no two are mixed; which are still running is said once a
minute. Only the standard library is used here: nothing is installed yet when this is imported.
"""

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HEARTBEAT = 60.0  # seconds
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


@dataclass(frozen=True)
class Command:
    """One step of a stream."""

    name: str
    argv: Sequence[object]
    env: Mapping[str, str] = field(default_factory=dict)


class Stream(threading.Thread):
    """Commands that are run one after the other, whether or not one fails."""

    def __init__(self, name: str, commands: Sequence[Command], directory: Path) -> None:
        super().__init__(name=name)
        self.failed: list[str] = []
        self._commands = commands
        self._directory = directory
        self._output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed when it was shown

    def run(self) -> None:
        """Run all of it; what failed is in `failed` then."""
        for command in self._commands:
            started = time.monotonic()
            self._output.write(f"\n=== {command.name}\n")
            self._output.flush()
            code = subprocess.run(
                [str(word) for word in command.argv],
                cwd=self._directory,
                env={**os.environ, **command.env},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
            self._output.seek(0, os.SEEK_END)
            outcome = f"FAILED with exit code {code}" if code else "ok"
            self._output.write(f"=== {command.name}: {outcome} after {time.monotonic() - started:.1f} s\n")
            if code:
                self.failed.append(command.name)

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
    return [name for stream in streams for name in stream.failed], counts


def _names(streams: Sequence[Stream]) -> str:
    return ", ".join(stream.name for stream in streams)


def _count(output: str, counts: "dict[str, int]") -> None:
    """Add what pytest's closing lines say, such as `== 3 failed, 20 passed in 1.20s ==`."""
    for line in output.splitlines():
        if re.search(r" in \d+\.\d+s", line):
            for number, what in _COUNTS.findall(line):
                counts[what] = counts.get(what, 0) + int(number)
