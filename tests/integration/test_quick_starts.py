"""The front door's quick starts on one machine, pasted as they stand into a fresh checkout.

They name fixed ports, so they run in a network namespace of their own; it ends with all that they leave running.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import Process
from tests.servers.tools import why_missing
from tests.support.documentation import ROOT, example, text

_NAMESPACES = {"unshare": "util-linux", "ip": "iproute2", "curl": "curl"}
_BASH = ["bash", "-o", "pipefail", "-eu"]
# What a reader sees before they go on to the other terminal; the first one's sidecar goes on in it.
_TERMINALS = """
ip link set lo up
{bash} first.sh > first.log 2>&1 &
until curl -sf localhost:4040/leader > /dev/null; do kill -0 $! || exit 3; sleep 0.2; done
{bash} second.sh > second.log
{bash} cron.sh > cron.log
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is needed of a fresh checkout."""
    if reason := why_missing("The quick starts", _NAMESPACES):
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "pyproject.toml", place)
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "sidecar", place / "sidecar", ignore=ignore)
    return place


def test_pasted_into_two_terminals(checkout: Path, spawn: Callable[..., Process]) -> None:
    """The first sidecar leads, hands over to the second one, and of two cron jobs one runs."""
    (install,) = re.findall(r"^(python3 -m venv .* '\.\[demo\]') && \S+ demo$", text(), re.MULTILINE)
    environ = {"PATH": f"{sys.base_prefix}/bin{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(checkout)}
    installing = spawn([*_BASH, "-c", install], name="install", cwd=checkout, env=environ)
    assert installing.wait(500) == 0, installing.log  # pip computes, and shares two processors with all other tests
    for name, title in (("first", "first terminal"), ("second", "second terminal"), ("cron", "cron")):
        (checkout / f"{name}.sh").write_text(example(f"quick start, {title}"))
    script = _TERMINALS.format(bash=" ".join(_BASH))
    alone = ["unshare", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", *_BASH, "-c", script]
    terminals = spawn(alone, name="terminals", cwd=checkout, env=environ)
    assert terminals.wait() == 0, terminals.log + (checkout / "first.log").read_text()
    second = (checkout / "second.log").read_text()
    (asked,) = (json.loads(line) for line in second.splitlines() if '"leading"' in line)
    assert (asked["identity"], asked["leading"]) == ("one", True)
    assert int(second.splitlines()[-1]) > asked["token"]
    assert (checkout / "cron.log").read_text() == "this host does the work\n"
