"""`python3 -m tests`: every check and every test, from a fresh clone, with nothing prepared.

It makes a virtual environment for each supported Python that the machine has (.venv for the main one,
.venvs/3.12 and so on for the others; kept while pyproject.toml stays the same), builds the servers that the
tests run against, and then runs side by side the linters, the types, the import contracts, all tests on the
main interpreter, and the unit tests and a part of the simulation's schedules on the others. The image runs under -OO,
and so do the unit tests on the image's interpreter, and all of `integration` and `interop`; what else has sidecars
runs plainly. Each build and each step says how long it took, each pytest run which ten tests took longest, and the end
where the processors' time went. `--quick` runs the unit tests on the main interpreter alone.

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

from tests.support.examples import ENVIRONMENT as _FEWER_EXAMPLES
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


_AS_IN_THE_IMAGE = {"PYTHONOPTIMIZE": "2"}
"""As -OO, and every sidecar that a test starts inherits it. Asserts in tests still count: pytest rewrites them."""
_IMAGES_PYTHON = (3, 13)
_NO_WARNING = ["-W", "ignore:assertions not in test modules:pytest.PytestConfigWarning"]
_SEEDS, _SEEDS_OF_EACH_OTHER = 10_000, 1_000
"""Schedules in all, and on each other interpreter: the main one runs the rest, and the planted bugs."""


_WAIT_FOR_MINUTES = ("test_api_faults.py", "test_etcd_outages.py", "test_scale.py", "test_upkeep.py")
"""Two of them wait for an outage of two minutes, the others for thousands of Locks and for a full etcd."""


def _every_other(folder: str, first: int) -> "list[str]":
    """Half of a folder's files with tests, so that two streams share it; those that take minutes are dealt out first.

    By their names alone all of these would fall to one stream, which would wait for one after the other.
    """
    files = sorted((_ROOT / folder).glob("test_*.py"), key=lambda file: (file.name not in _WAIT_FOR_MINUTES, file.name))
    return [str(file.relative_to(_ROOT)) for file in files[first::2]]


# What runs side by side on the main interpreter; a last stream takes every other folder of tests there is. The longest
# come first, so that none is left alone at the end; those under -OO mostly wait, which goes well beside the others.
_STREAMS = {
    "simulation": [_SCHEDULES, _PLANTED_BUGS],
    # real nodes, one set after the other: two at a time on two processors starve each other's etcd for a lease's time
    "cluster": ["tests/e2e", "tests/cluster"],
    "under -OO, one half": [*_every_other("tests/integration", 0), "tests/interop"],
    "under -OO, the other half": _every_other("tests/integration", 1),
    "operator, one half": _every_other("tests/operator", 0),
    "operator, the other half": _every_other("tests/operator", 1),
    "charts": ["tests/charts", "tests/injector"],
    "nemesis": ["tests/nemesis", "tests/bench"],
    "unit": ["tests/unit", "tests/simulation/test_model.py"],
}
_OPTIMISED = {"under -OO, one half", "under -OO, the other half"}


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
    label = _label(version)
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
    """Everything: the servers first, then the checks and all tests, side by side."""
    steps.run("servers", python, "-m", "tests.servers")
    started = time.monotonic()
    checks = Stream("checks", _checks(python.parent), _ROOT)
    environments, *elsewhere = _other_interpreters(others)
    *longer, unit, rest = _main_streams(python, len(others))
    streams = [environments, *longer, *elsewhere, unit, rest, checks]  # the shortest at the end
    failed, counts = side_by_side(streams, (os.cpu_count() or 1) + 1)
    steps.failed += failed
    print(f"\n=== all tests took {time.monotonic() - started:.0f} s", flush=True)
    totals = [counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0), counts.get("skipped", 0)]
    print("tests: {} passed, {} failed, {} skipped".format(*totals), flush=True)


def _checks(tools: Path) -> "list[Command]":
    """What looks at the sources alone. Most of it is one process that computes."""
    chosen = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy"],
        "import contracts": ["lint-imports", "--no-cache"],
    }
    return [Command(name, [tools / tool, *words], patient=True) for name, (tool, *words) in chosen.items()]


def _main_streams(python: Path, others: int) -> "list[Stream]":
    """All tests on the main interpreter, but for the schedules that the others run."""
    chosen = [path for paths in _STREAMS.values() for path in paths]
    rest = ["tests", *(f"--ignore={path}" for path in chosen)]
    seeds = _seeds(0, _SEEDS - others * _SEEDS_OF_EACH_OTHER)
    made = []
    for name, paths in {**_STREAMS, "all else": rest}.items():
        words, env = ([*paths, *_NO_WARNING], _AS_IN_THE_IMAGE) if name in _OPTIMISED else (paths, seeds)
        made.append(Stream(name, [_pytest(f"tests: {name}", python, *words, env=env)], _ROOT))
    return made


def _seeds(first: int, end: int) -> "dict[str, str]":
    """The environment of those who run the schedules from the first seed to before the last one."""
    return {"SIMULATION_SEEDS": f"{first}-{end}"}


def _pytest(name: str, python: Path, *words: str, env: "dict[str, str] | None" = None) -> Command:
    """A run of pytest, patient if it only computes."""
    patient = _COMPUTES.issuperset(words)
    return Command(name, [python, *_PYTEST, *words, *(_STARVED if patient else [])], env or {}, patient)


def _unit_tests(label: str, python: Path, *, optimised: bool) -> Command:
    """Where they only compute, with fewer examples."""
    if not optimised:
        return _pytest(f"unit tests on Python {label}", python, "tests/unit", env=_FEWER_EXAMPLES)
    name, env = f"unit tests on Python {label}, -OO", {**_FEWER_EXAMPLES, **_AS_IN_THE_IMAGE}
    return _pytest(name, python, "tests/unit", *_NO_WARNING, env=env)


def _place_of(version: "tuple[int, int]") -> Path:
    return _ROOT / ".venvs" / _label(version)


def _label(version: "tuple[int, int]") -> str:
    return f"{version[0]}.{version[1]}"


def _other_interpreters(others: "dict[tuple[int, int], Path]") -> "list[Stream]":
    """What is pure, on the other interpreters one after the other, once their environments are there.

    Those are made beside the tests, by the first stream: a minute or two of download and unpacking. It's not a patient
    one: on a busy machine it would get so little that all these were left to the end.
    """
    makes, tests, schedules = list[Command](), list[Command](), list[Command]()
    like_the_image = _IMAGES_PYTHON if _IMAGES_PYTHON in others else max(others, default=_IMAGES_PYTHON)
    end = _SEEDS
    for version, base in others.items():
        label, python = _label(version), _place_of(version) / "bin" / "python"
        make = [sys.executable, "-m", "tests", "--environment", label, base]
        makes.append(Command(f"environment of Python {label}", make))
        tests.append(_unit_tests(label, python, optimised=version == like_the_image))
        seeds = _seeds(end - _SEEDS_OF_EACH_OTHER, end)
        schedules.append(_pytest(f"simulation on Python {label}", python, _SCHEDULES, env=seeds))
        end -= _SEEDS_OF_EACH_OTHER
    made = Stream("environments", makes, _ROOT)
    after = {"other interpreters": tests, "their simulation": schedules}
    return [made, *(Stream(name, commands, _ROOT, after=made) for name, commands in after.items())]


def _make_environment(label: str, base: Path) -> int:
    """The exit code of making, or keeping, the one of another interpreter."""
    major, _, minor = label.partition(".")
    version = int(major), int(minor)
    return 0 if environment(Steps(), _place_of(version), version, base) else 1


def main() -> int:
    """Run what the command line asks for; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m tests", description="Run all checks and tests.")
    parser.add_argument("--quick", action="store_true", help="only the unit tests, on one interpreter")
    # A stream of the whole run's: the environment of another interpreter, VERSION such as 3.13.
    parser.add_argument("--environment", nargs=2, metavar=("VERSION", "PYTHON"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.environment:
        label, base = options.environment
        return _make_environment(label, Path(base))
    # Else each of a thousand sidecars compiles all that it imports, for no file has what -OO makes of another package.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
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
    if options.quick:
        steps.run("unit tests", python, "-m", "pytest", "-q", "tests/unit", last=True)
    else:
        check_all(steps, python, dict(others))
    if steps.failed:
        print(f"failed: {', '.join(steps.failed)}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
