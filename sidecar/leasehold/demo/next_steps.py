"""The demo's last lines: the etcd that it ran on, commands that work when they are pasted, and what to do next."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from leasehold.demo.candidates import LOCK
from leasehold.demo.etcd import EmbeddedEtcd
from leasehold.demo.scene import Scene


def show(console: Console, etcd: EmbeddedEtcd, *, keep: bool) -> None:
    """What to know of this etcd, and what to do next."""
    bug = etcd.known_bug()
    if bug:
        _line(console, "")
        _prose(console, f"Good enough for a demo, but not for work: {bug}.")
    _line(console, "\nWhat next:")
    if not keep:
        _line(console, f"  {_leasehold()} demo --keep --ui")
        _prose(console, "leaves it all running, for curl, `leasehold status` and the page in a browser", indent=6)
    _line(console, f"  {_leasehold()} exec --help")
    _prose(console, "runs a command, such as a cron job, on one of many hosts, with an etcd of yours", indent=6)
    _line(console, f"  {_leasehold()} run --help")
    _prose(console, "is the sidecar; README.md has quick starts, on a cluster, too", indent=6)


def show_commands(console: Console, scene: Scene) -> None:
    """How to ask what is left running. One command a line, and nothing else on it: not every shell has comments."""
    _line(console, "\nStill running, until Ctrl-C. In another terminal:")
    _line(console, f"  {_leasehold()} status --etcd {scene.etcd.url} --lock {LOCK}")
    for candidate in scene.watchman.candidates:
        _line(console, f"\n{candidate.name}, asked, and told to hand over:")
        _line(console, f"  curl -i {candidate.url}/leader")
        _line(console, f"  curl -X POST {candidate.control}/handover")


def _line(console: Console, text: str) -> None:
    """As it is: a line that was wrapped at the terminal's edge could not be pasted."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _prose(console: Console, text: str, indent: int = 0) -> None:
    """Wrapped between words; in a log as it is."""
    if console.soft_wrap:
        _line(console, " " * indent + text)
    else:
        console.print(Padding(Text(text), (0, 0, 0, indent), expand=False))


def _leasehold() -> str:
    """What starts this very program from any folder."""
    own = Path(sys.argv[0]).absolute()
    if own.name != "leasehold":
        return f"{shlex.quote(sys.executable)} -m leasehold"
    on_path = shutil.which("leasehold")
    return "leasehold" if on_path and Path(on_path).samefile(own) else shlex.quote(str(own))
