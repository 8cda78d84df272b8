"""Leasehold beside the PyPI distribution `sidecar`, a notebook widget: neither takes a file of the other."""

import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest

import leasehold
from tests.servers import PATIENCE
from tests.servers.cache import cached

ROOT = Path(__file__).parents[2]
WIDGET = "sidecar==0.8.1"
INTACT = """
import base64, hashlib
from importlib.metadata import files

for distribution in ("leasehold", "sidecar"):
    for file in files(distribution):
        if file.hash:
            digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value, file
import leasehold.cli.main
try:
    import sidecar
except ModuleNotFoundError as error:
    assert error.name == "ipywidgets", error
"""
"""Every file of both is as its own wheel has it. The widget imports as far as it can without a notebook to be in."""


def run(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout


def pip(*words: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Our wheel, built from a copy of this checkout's package, and the widget's, downloaded once."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "pyproject.toml", copy)
    shutil.copytree(ROOT / "sidecar", copy / "sidecar", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", copy, copy)
    folder = cached(WIDGET, lambda empty: pip("download", "--no-deps", "--dest", empty, WIDGET))
    (ours,), (theirs,) = copy.glob("*.whl"), folder.glob("*.whl")
    return {"leasehold": ours, "sidecar": theirs}


@pytest.mark.parametrize("order", list(permutations(["leasehold", "sidecar"])), ids="-then-".join)
def test_beside_the_widget(order: tuple[str, str], wheels: dict[str, Path], tmp_path: Path) -> None:
    """Installed in one environment, in either order, both are whole, and `leasehold` answers."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path)
    python = tmp_path / "bin" / "python"
    for name in order:
        pip("--python", python, "install", "--no-deps", wheels[name])
    (packages,) = tmp_path.glob("lib/*/site-packages")
    borrowed = [place for place in sys.path if place.endswith("site-packages")]  # the test run's, to save time
    (packages / "dependencies.pth").write_text("\n".join(borrowed))
    run(python, "-I", "-c", INTACT)
    assert run(tmp_path / "bin" / "leasehold", "--version").split() == ["leasehold", leasehold.__version__]
