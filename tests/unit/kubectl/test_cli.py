"""The program as a process: exit codes, streams, and what it loads."""

import subprocess
import sys

import pytest

from leasehold import __version__
from leasehold.kubectl.command_table import COMMANDS
from leasehold.kubectl.shells import SCRIPTS


def run(*words: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    code = f"import sys; {before}; from leasehold.kubectl import cli; sys.exit(cli.main(sys.argv[1:], {{}}))"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)


def test_help_and_version() -> None:
    assert run("--version").stdout == f"kubectl leasehold {__version__}\n"
    shown = run("--help")
    assert shown.returncode == 0
    assert all(f"\n  {command.name} " in shown.stdout for command in COMMANDS)
    assert run().returncode == 2


@pytest.mark.parametrize("words", [("frob",), ("wait", "db", "--for", "x"), ("revoke", "db")])
def test_mistakes_are_sentences(words: tuple[str, ...]) -> None:
    """`revoke` cannot ask here: there is no terminal."""
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("leasehold: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{'PATH': '/nowhere'}", "kubectl is not on the PATH, and the plugin asks"),
        ("{'KUBECTL': '/nowhere/kubectl'}", "KUBECTL is '/nowhere/kubectl': there is no such program; give"),
    ],
)
def test_without_kubectl(given: str, said: str) -> None:
    done = run("list", before=f"import os; os.environ.clear(); os.environ.update({given})")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"leasehold: {said}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_completion_needs_no_kubectl(shell: str) -> None:
    done = run("completion", shell, before="import os; os.environ['PATH'] = '/nowhere'")
    assert (done.returncode, done.stdout) == (0, SCRIPTS[shell])


def test_a_mistake_loads_no_client() -> None:
    loaded = "[name for name in ('http.client', 'subprocess', 'asyncio', 'yaml', 'ssl') if name in sys.modules]"
    code = f"import sys; from leasehold.kubectl import cli; cli.main(['wait', 'D'], {{}}); print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout == "[]\n"
