"""`python3 -m tests`: every check and every test, from a fresh clone, with nothing prepared.

It makes a virtual environment for each supported Python that the machine has (.venv for the main one,
.venvs/3.12 and so on for the others; kept while pyproject.toml stays the same), builds the servers that the
tests run against, and then runs the linters, the types, the import contracts, and side by side all tests on the
main interpreter, and the unit and simulation tests on the others; and some once more under -OO, as the image runs.
Each build and each step says how long it took, each pytest run which ten tests took longest. `--quick` runs the unit
tests on the main interpreter alone.

The exit code is 0 when everything passed. Only the standard library is used here, since nothing is installed
yet.
"""

import argparse
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.parallel_streams import Command, Stream, side_by_side

_ROOT = Path(__file__).resolve().parent.parent
_SUPPORTED = [(3, 11), (3, 12), (3, 13), (3, 14)]
_EXTRAS = ".[test,demo,operator]"
# What an interpreter must be able to do, beyond running; Debian's python3 lacks ensurepip, pyenv's shims may not run.
_PROBE = "import ensurepip, venv, sys; print(*sys.version_info[:2])"

_SCHEDULES, _PLANTED_BUGS = "tests/simulation/test_simulation.py", "tests/simulation/test_mutants.py"
_COMPUTES = {_SCHEDULES, _PLANTED_BUGS}
"""They have no clock but their own, so they may be starved: they get only what the other tests leave over."""
_STARVED = ["--timeout", "7200"]
"""Seconds: a few of work, at a hundredth of a processor, are not yet a hang."""
_PYTEST = ["-m", "pytest", "-q", "--durations", "10"]


def _unit_tests(kind: str) -> "list[Path]":
    return sorted((_ROOT / "tests" / "unit").glob(f"test_{kind}*.py"))


_AS_IN_THE_IMAGE = {"PYTHONOPTIMIZE": "2"}
"""As -OO, and every sidecar that a test starts inherits it. Asserts in tests still count: pytest rewrites them."""
_OPTIMISED = [
    *(str(file.relative_to(_ROOT)) for kind in ("guarantee", "election", "record") for file in _unit_tests(kind)),
    "tests/unit/test_lease.py",
    "tests/interop/test_etcdctl.py",
    "tests/integration/test_run_app.py",
]
_NO_WARNING = ["-W", "ignore:assertions not in test modules:pytest.PytestConfigWarning"]
_FEWER = {"SIMULATION_SCHEDULES": "1000"}  # the main interpreter runs all schedules, and the planted bugs


def _every_other(folder: str, first: int) -> "list[str]":
    """Half of a folder's files with tests, so that two streams share it."""
    return [str(file.relative_to(_ROOT)) for file in sorted((_ROOT / folder).glob("test_*.py"))[first::2]]


# What runs side by side on the main interpreter; a last stream takes every other folder of tests there is. Those that
# compute most of the time come first, so that none is left alone at the end.
_STREAMS = {
    "simulation": [_SCHEDULES, _PLANTED_BUGS],
    "unit": ["tests/unit", "tests/simulation/test_model.py"],
    "nemesis": ["tests/nemesis", "tests/interop", "tests/bench"],
    "operator, one half": _every_other("tests/operator", 0),
    "operator, the other half": _every_other("tests/operator", 1),
    "cluster": ["tests/e2e", "tests/cluster", "tests/charts", "tests/injector"],
}


class Steps:
    """Runs commands one after the other, tells how long each took, and remembers which failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def run(self, name: str, *command: object, last: bool = False) -> bool:
        """Run a command in the root of the checkout; True when it succeeded.

        After the `last` one nothing is added to what it printed itself, if all is well.
        """
        print(f"\n=== {name}", flush=True)
        started = time.monotonic()
        code = subprocess.run([str(word) for word in command], cwd=_ROOT, check=False).returncode
        outcome = "ok" if code == 0 else f"FAILED with exit code {code}"
        if code or not last:
            print(f"=== {name}: {outcome} after {time.monotonic() - started:.1f} s", flush=True)
        if code:
            self.failed.append(name)
        return code == 0


def interpreters() -> "dict[tuple[int, int], Path]":
    """The supported Pythons of this machine that can make virtual environments, the main one first.

    The one that runs this is the main one, unless it is itself unsuitable.
    """
    found: dict[tuple[int, int], Path] = {}
    for candidate in _candidates():
        version = _probe(candidate)
        if version in _SUPPORTED and version not in found:
            found[version] = candidate
    return found


def _candidates() -> "list[Path]":
    minor = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = Path(sys.base_prefix) / "bin" / minor  # not a virtual environment's, which this run may replace
    names = [f"python{major}.{minor}" for major, minor in reversed(_SUPPORTED)]
    folders = [Path(folder) for folder in os.get_exec_path()]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders += sorted(pyenv.glob("versions/*/bin"))
    return [own, Path(sys.executable), *(folder / name for name in names for folder in folders)]


def _probe(candidate: Path) -> "tuple[int, int] | None":
    if not candidate.is_file():
        return None
    try:
        result = subprocess.run([str(candidate), "-c", _PROBE], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return None
    match = re.fullmatch(r"(\d+) (\d+)\s*", result.stdout)
    return (int(match[1]), int(match[2])) if match else None


def environment(steps: Steps, place: Path, version: "tuple[int, int]", base: Path) -> "Path | None":
    """The Python of a virtual environment at `place` with all that the tests need; None when that fails."""
    python = place / "bin" / "python"
    stamp = place / "leasehold-installed"
    digest = hashlib.sha256((_ROOT / "pyproject.toml").read_bytes()).hexdigest()
    label = f"{version[0]}.{version[1]}"
    if _probe(python) != version:
        if not steps.run(f"environment of Python {label}", base, "-m", "venv", "--clear", place):
            return None
    elif stamp.exists() and stamp.read_text() == digest:
        return python
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", _EXTRAS]
    if not steps.run(f"packages for Python {label}", *install):
        return None
    stamp.write_text(digest)
    return python


def check_all(steps: Steps, python: Path, others: "dict[tuple[int, int], Path]") -> None:
    """Everything: the servers and the checks first, then all tests, side by side."""
    tools = python.parent
    steps.run("servers", python, "-m", "tests.servers")
    steps.run("ruff check", tools / "ruff", "check", ".")
    steps.run("ruff format", tools / "ruff", "format", "--check", ".")
    steps.run("mypy", tools / "mypy")
    steps.run("import contracts", tools / "lint-imports", "--no-cache")
    started = time.monotonic()
    failed, counts = side_by_side([*_main_streams(python), _other_interpreters(steps, others)])
    steps.failed += failed
    print(f"\n=== all tests took {time.monotonic() - started:.0f} s", flush=True)
    totals = [counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0), counts.get("skipped", 0)]
    print("tests: {} passed, {} failed, {} skipped".format(*totals), flush=True)


def _main_streams(python: Path) -> "list[Stream]":
    """All tests on the main interpreter."""
    chosen = [path for paths in _STREAMS.values() for path in paths]
    rest = ["tests", *(f"--ignore={path}" for path in chosen)]
    streams = {**_STREAMS, "sidecars and all else": rest}
    made = [Stream(name, [_pytest(f"tests: {name}", python, *words)], _ROOT) for name, words in streams.items()]
    optimised = _pytest("tests under -OO", python, *_OPTIMISED, *_NO_WARNING, env=_AS_IN_THE_IMAGE)
    return [*made, Stream("under -OO", [optimised], _ROOT)]


def _pytest(name: str, python: Path, *words: str, env: "dict[str, str] | None" = None) -> Command:
    """A run of pytest, patient if it only computes."""
    patient = _COMPUTES.issuperset(words)
    return Command(name, [python, *_PYTEST, *words, *(_STARVED if patient else [])], env or {}, patient)


def _other_interpreters(steps: Steps, others: "dict[tuple[int, int], Path]") -> Stream:
    """What is pure, on the other interpreters one after the other."""
    commands = []
    for version, base in others.items():
        label = f"{version[0]}.{version[1]}"
        other = environment(steps, _ROOT / ".venvs" / label, version, base)
        if other:
            commands.append(_pytest(f"unit tests on Python {label}", other, "tests/unit"))
            commands.append(_pytest(f"simulation on Python {label}", other, _SCHEDULES, env=_FEWER))
    return Stream("other interpreters", commands, _ROOT)


def main() -> int:
    """Run what the command line asks for; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m tests", description="Run all checks and tests.")
    parser.add_argument("--quick", action="store_true", help="only the unit tests, on one interpreter")
    quick = parser.parse_args().quick
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the streams are sessions of their own, and end by us
    found = interpreters()
    if not found:
        print("no Python 3.11 to 3.14 that can make virtual environments: install one, with its venv module")
        return 2
    steps = Steps()
    (version, base), *others = found.items()
    python = environment(steps, _ROOT / ".venv", version, base)
    if python is None:
        return 1
    if quick:
        steps.run("unit tests", python, "-m", "pytest", "-q", "tests/unit", last=True)
    else:
        check_all(steps, python, dict(others))
    if steps.failed:
        print(f"failed: {', '.join(steps.failed)}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
