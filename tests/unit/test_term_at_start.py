"""TERM while the first process of a container still starts: the kernel would drop it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys

own = os.getpid()
os.getpid = lambda: 1
import leasehold.cli.main as cli
cli.main = lambda words, environ: os.kill(own, signal.SIGTERM)
from leasehold.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(("command", "code"), [("run", 0), ("operator", 128 + 15)])
def test_term_during_a_start(command: str, code: int) -> None:
    """A sidecar that is told to stop before it has begun has not failed."""
    assert subprocess.run([sys.executable, "-c", PROGRAM, command], timeout=600).returncode == code
