"""A run of pytest that is told to end by TERM, as by `timeout` and by CI, ends as on Ctrl-C: in order."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import wait_for

_ROOT = Path(__file__).parents[2]
_FILE = """
import asyncio
import signal
import subprocess
import time
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


@pytest.fixture
def child():
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.terminate()


def tell(child):
    (_HERE / "pid").write_text(f"{child.pid}\\n")


async def test_that_has_the_signal_for_itself():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, print)
    loop.remove_signal_handler(signal.SIGTERM)


def test_plain(child):
    tell(child)
    time.sleep(1000)


async def test_async(child):
    tell(child)
    await asyncio.sleep(1000)
"""


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_term_ends_a_run_in_order(tmp_path: Path, kind: str) -> None:
    """What fixtures have started is ended, also while a test waits in an event loop."""
    file, started = tmp_path / "test_hangs.py", tmp_path / "pid"
    file.write_text(_FILE)
    words = ["-m", "pytest", "-q", "-p", "tests.conftest", "-c", "pyproject.toml", "-k", f"itself or {kind}", str(file)]
    # under -OO pytest begins with a warning, which is an error here
    env = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    run = subprocess.Popen([sys.executable, *words], cwd=_ROOT, env=env, stdout=subprocess.PIPE, text=True)
    with run:
        wait_for(lambda: run.poll() is not None or (started.exists() and started.read_text()[-1:] == "\n"), "its test")
        run.send_signal(signal.SIGTERM)
        told = run.communicate()[0]
    assert "KeyboardInterrupt" in told, told
    assert run.returncode == pytest.ExitCode.INTERRUPTED
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
