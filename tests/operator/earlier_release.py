"""An earlier release from the repository's own history: its programs, as processes beside today's, and its charts."""

import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest

REVISION: Final = "9ab6b4e"
"""The last one whose chart gave all sidecars one certificate, and whose records do not say which they use."""
_REPOSITORY: Final = Path(__file__).parents[2]


def check_out(place: Path, *parts: str) -> dict[str, str]:
    """Have that release's package in `place`, and more parts of its repository; the environment with that package.

    There, `python -m sidecar` is the release's program. Skips the test where the history is not there: in a copy
    without it, or a shallow clone.
    """
    command = ["git", "-C", str(_REPOSITORY), "archive", REVISION, "sidecar", *parts]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=600)
    except OSError as error:
        pytest.skip(f"git cannot be run ({error}). Not tested: the upgrade from an earlier release.")
    if done.returncode:
        pytest.skip(f"the history has no {REVISION} (clone it whole). Not tested: the upgrade from an earlier release.")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(place, filter="data")
    return {"PYTHONPATH": str(place)}


def command(verb: str) -> tuple[str, ...]:
    """What runs `leasehold VERB` of that release."""
    return (sys.executable, "-m", "sidecar", verb)
