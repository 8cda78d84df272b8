"""The documentation, as tests read it: a README per folder, and the examples in them that are marked as tested."""

import re
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_PACKAGE: Final = "sidecar/leasehold"


def text(page: str = "README.md") -> str:
    """A page, by its path in the repository."""
    return (ROOT / page).read_text()


def page_of(command: str) -> str:
    """The page of one command, such as `run` or `kubectl`."""
    return text(f"{_PACKAGE}/{command}/README.md")


def pages() -> list[Path]:
    """Every page that is in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(ROOT / line for line in listed.stdout.splitlines())


def example(name: str, page: str = "README.md") -> str:
    """The code block that is marked `<!-- tested: NAME -->`."""
    found = re.search(rf"<!-- tested: {re.escape(name)} -->\n```\w+\n(.*?)```", text(page), re.DOTALL)
    assert found is not None, f"{page} has no example {name!r}"
    return found[1]


def table(head: str, page: str) -> list[list[str]]:
    """The rows below this head of a table; each cell stripped."""
    (rest,) = text(page).split(f"| {head} |\n")[1:]
    rows = rest.split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
