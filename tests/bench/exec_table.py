"""`python -m tests.bench.exec_table`: `leasehold exec` beside flock, timeout, sudo and `consul lock`, cell by cell.

It prints a Markdown table of what each of them does, tried on this machine with a real etcd and a real Consul agent on
loopback. Peers that the machine lacks are left out; `--consul PROGRAM` names Consul's program. All of leasehold's
cells, and those of the other peers, are tests, too: see test_exec_table.py and test_exec_terminal.py.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.servers import EtcdServer, Process, ProcessFailed, wait_for
from tests.servers.ports import release_port, reserve_port
from tests.support.exec_cells import SAME
from tests.support.exec_peers import Screen, Signalled, outcome, prefixes, state, words

GIVE_UP_SECONDS: Final = 5.0
"""After so long a peer is taken to do nothing."""
Cell = Callable[[list[str]], str]


def ends_by(name: str) -> Cell:
    """Whether a shell that waits for it sees the command's signal, too."""
    return lambda prefix: outcome(prefix, f"exec RUN sh -c 'ulimit -c 0; kill -{name} $$'")


def passes_on(name: str) -> Cell:
    """Whether its command gets the signal that it is sent itself."""

    def cell(prefix: list[str]) -> str:
        script = f'trap "echo got; exit 5" {name}; echo $$; while :; do sleep 0.02; done'
        with Signalled(prefix, script) as one:
            one.signal(signal.Signals[f"SIG{name}"])
            with contextlib.suppress(ProcessFailed):
                wait_for(lambda: not state(one.pid), "the command to end", GIVE_UP_SECONDS)
            return f"command {'goes on' if state(one.pid) else 'ended'}"

    return cell


def reaches_stopped(name: str) -> Cell:
    """Whether a stopped command sees the signal."""

    def cell(prefix: list[str]) -> str:
        with Signalled(prefix, f"trap - {name}; echo $$; exec sleep 600") as one:
            one.stop_command("sleep")
            one.signal(signal.Signals[f"SIG{name}"])
            with contextlib.suppress(ProcessFailed):
                wait_for(lambda: not state(one.pid), "the command to end", GIVE_UP_SECONDS)
            return "ended" if not state(one.pid) else "stays stopped"

    return cell


def left_behind(prefix: list[str]) -> str:
    """What becomes of a process that the command leaves in the background."""
    pid = outcome(prefix, "RUN sh -c 'sleep 600 >/dev/null 2>&1 & echo $!'").split("|")[0].split()[-1:]
    alive = bool(pid) and pid[0].isdigit() and bool(state(int(pid[0])))
    if alive:
        os.kill(int(pid[0]), signal.SIGKILL)
    return "left running" if alive else "stopped"


def on_screen(command: Callable[[list[str]], Sequence[str]], keys: bytes, sign: bytes) -> Cell:
    """Whether `sign` is shown after these keys, which are typed once `up` is there."""

    def cell(prefix: list[str]) -> str:
        with Screen(command(prefix)) as on:
            try:
                on.read_until(b"up")
                on.type(keys)
                on.resize()
                on.read_until(sign, timeout=GIVE_UP_SECONDS)
            except AssertionError:
                return "no"
            return "yes"

    return cell


def script(text: str) -> Callable[[list[str]], Sequence[str]]:
    """A shell's script on the terminal; RUN is the program."""
    return lambda prefix: ["bash", "-c", text.replace("RUN", words(prefix))]


def ctrl_c_ends_a_script(prefix: list[str]) -> str:
    """Whether a script goes on after Ctrl-C."""
    text = f"{words(prefix)} sh -c 'echo up; exec sleep 600'; echo THE NEXT STEP; exit 0"
    with Screen(["bash", "-c", text]) as on:
        try:
            on.read_until(b"up")
            on.type(b"\x03")
            with contextlib.suppress(AssertionError):
                on.read_until(b"THE NEXT STEP", timeout=GIVE_UP_SECONDS)
        except AssertionError:
            return "no output"
        return "goes on" if b"THE NEXT STEP" in on.output else "ends"


LOOP: Final = "while :; do sleep 0.02; done"
CELLS: Final[dict[str, tuple[Cell, str]]] = {
    **{name: (lambda prefix, text=text: outcome(prefix, text), wanted) for name, (text, wanted, *_) in SAME.items()},  # type: ignore[misc]  # no type for a lambda's default
    **{
        f"ends by its command's {name}": (ends_by(name), f"|{-signal.Signals[f'SIG{name}']}")
        for name in ("TERM", "INT", "HUP", "KILL", "SEGV")
    },
    **{
        f"{name} reaches the command": (passes_on(name), "command ended")
        for name in ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH")
    },
    **{f"{name} reaches a stopped command": (reaches_stopped(name), "ended") for name in ("TERM", "INT", "HUP")},
    "a process left behind": (left_behind, "stopped"),
    "Ctrl-C ends a script": (ctrl_c_ends_a_script, "ends"),
    "the command reads the terminal": (
        on_screen(
            lambda prefix: [*prefix, "sh", "-c", "test -t 0; echo up; read line; echo re''ad $line"],
            b"hello\n",
            b"read hello",
        ),
        "yes",
    ),
    "/dev/tty behind a pipe": (
        on_screen(
            script("echo | RUN sh -c 'echo up; read line </dev/tty; echo re\"\"ad $line'"), b"hello\n", b"read hello"
        ),
        "yes",
    ),
    "a changed window is told": (
        on_screen(
            lambda prefix: [*prefix, "bash", "-c", f"trap 'echo resized; exit' WINCH; echo up; {LOOP}"], b"", b"resized"
        ),
        "yes",
    ),
    "the terminal is given back": (
        on_screen(
            script("RUN sh -c 'echo up; read line'; read after; echo \"after $after\""), b"one\ntwo\n", b"after two"
        ),
        "yes",
    ),
}


@contextlib.contextmanager
def consul_lock(program: str) -> Iterator[list[str]]:
    """What stands before a command under `consul lock`, with a development agent on loopback."""
    ports = [reserve_port() for _ in range(5)]
    kinds = ("http", "dns", "server", "serf-lan", "serf-wan")
    flags = [f"-{kind}-port={port}" for kind, port in zip(kinds, ports, strict=True)]
    words_ = [program, "agent", "-dev", "-bind=127.0.0.1", *flags, "-hcl=ports { grpc = -1 }"]
    address = f"-http-addr=http://127.0.0.1:{ports[0]}"
    with Process(words_, name="consul") as agent:
        agent.wait_for_log("Synced node info")
        yield [program, "lock", address, "-shell=false", "-child-exit-code", "-pass-stdin", "job"]
    for port in ports:
        release_port(port)


def table(peers: dict[str, list[str]]) -> str:
    """One row for each cell: what the best do, and what each that differs does."""
    rows = [f"| cell | {' | '.join(peers)} |", f"| --- |{' --- |' * len(peers)}"]
    for name, (cell, wanted) in CELLS.items():
        found = {}
        for peer, prefix in peers.items():
            started = time.monotonic()
            try:
                found[peer] = cell(prefix)
            except (ProcessFailed, AssertionError, ValueError, OSError, subprocess.TimeoutExpired) as error:
                found[peer] = type(error).__name__
            sys.stderr.write(f"{name}: {peer}: {found[peer]} ({time.monotonic() - started:.1f} s)\n")
        shown = ["yes" if told == wanted else told.replace("|", "\\|") for told in found.values()]
        rows.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join([*rows, ""])


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.exec_table", description=__doc__)
    parser.add_argument("--consul", metavar="PROGRAM", help="Consul's program")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and whatever is started here would, too
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leasehold-exec-")))
        etcd = stack.enter_context(EtcdServer())
        peers = prefixes(etcd.url, "/leasehold", place)
        peers.pop("timeout", None)
        if "foreground" in peers:
            peers["timeout --foreground"] = peers.pop("foreground")
        if given.consul:
            peers["consul lock"] = stack.enter_context(consul_lock(given.consul))
        sys.stdout.write(table(peers))


if __name__ == "__main__":
    main(sys.argv[1:])
