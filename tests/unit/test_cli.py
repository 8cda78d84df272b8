"""The command line as a user meets it: real processes, because exit codes, streams and signals are what counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from leasehold import __version__
from leasehold.cli import main
from leasehold.settings.command_line import BROKEN_PIPE, USAGE_ERROR


def leasehold(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leasehold", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEASEHOLD_")}
    return subprocess.run(command, env=clean | environ, capture_output=True, text=True, timeout=600, check=False)


def test_version() -> None:
    done = leasehold("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"leasehold {__version__}\n", "")


def test_help_lists_every_command() -> None:
    done = leasehold("--help")
    assert done.returncode == 0
    assert all(f"  {command.name}" in done.stdout for command in main.COMMANDS)
    assert leasehold().returncode == USAGE_ERROR


def test_a_command_explains_its_flags() -> None:
    done = leasehold("run", "--help", NO_COLOR="1")
    assert done.returncode == 0
    assert "--ttl SECONDS" in done.stdout
    assert "LEASEHOLD_ETCD_CA" in done.stdout


def test_the_variable_that_help_shows_is_one_of_the_command() -> None:
    for command, shown in (("wait", "--url has LEASEHOLD_URL."), ("exec", "--once-per has LEASEHOLD_ONCE_PER.")):
        assert shown in " ".join(leasehold(command, "--help", NO_COLOR="1").stdout.split())


@pytest.mark.parametrize("command", ["status", "check"])
def test_what_looks_at_all_locks_requires_none(command: str) -> None:
    """Unlike `run`, it queues for nothing."""
    shown = leasehold(command, "--help", NO_COLOR="1").stdout
    assert "(default: all" in shown
    assert "(required)" not in shown


@pytest.mark.parametrize(
    "arguments", [("run", "--ttl", "0"), ("rn",), ("run", "--lock", "a", "--frobnicate"), ("demo", "--kep")]
)
def test_mistakes_are_sentences_and_exit_code_2(arguments: Sequence[str]) -> None:
    done = leasehold(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert all(line.startswith("leasehold: ") and line.endswith(".") for line in done.stderr.splitlines())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "operator", "injector", "ui"])
def test_a_mistake_needs_none_of_the_heavy_modules(command: str) -> None:
    """`--help` and mistakes answer at once: they import neither asyncio nor aiohttp nor gRPC nor TLS."""
    code = (
        "import sys; from leasehold.cli import main as cli;"
        f"cli.main([{command!r}, '--etcd', 'x', '--listen', 'y'], {{}});"
        "print([name for name in ('asyncio', 'aiohttp', 'jh2', 'ssl', 'logging') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("when", ["cli.main", "importlib.import_module"])
def test_ctrl_c_ends_it_by_the_signal(when: str) -> None:
    """From the first import on, and without a traceback: a shell's script or loop ends, too."""
    code = (
        "import importlib, os, signal, sys; import leasehold.cli.main as cli\n"
        f"{when} = lambda *_: (os.kill(os.getpid(), signal.SIGINT), signal.pause())\n"
        "from leasehold.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code, "wait"], capture_output=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_a_reader_that_leaves_is_no_error() -> None:
    """`leasehold status | head -1` must not end in a traceback."""
    code = "import sys; from leasehold.cli import main as cli\n"
    code += "cli._load = lambda c: lambda a, e: print('x' * 10**6) or 0; "
    process = subprocess.Popen(
        [sys.executable, "-c", code + "sys.exit(cli.main(['run'], {}))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait(600) == BROKEN_PIPE
