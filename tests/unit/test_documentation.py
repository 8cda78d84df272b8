"""The pages fit together: every link leads somewhere, every page can be reached, none is too long."""

import re
from pathlib import Path

import pytest

from tests.support.documentation import ROOT, pages

PAGES = pages()
FRONT_DOOR = ROOT / "README.md"
LONGEST, LONGEST_FRONT_DOOR = 300, 220


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[tuple[Path, str]]:
    """Every link into the repository: the file, and the anchor, empty for the file itself."""
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(page))
    inner = [target.partition("#") for target in targets if "://" not in target]
    return [((page.parent / file).resolve() if file else page, anchor) for file, _, anchor in inner]


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links to them."""
    headings = re.findall(r"^#+ (.*)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_sound(page: Path) -> None:
    """It is short enough, and its links lead to files and headings that exist."""
    assert len(page.read_text().splitlines()) <= (LONGEST_FRONT_DOOR if page == FRONT_DOOR else LONGEST)
    for file, anchor in links(page):
        assert file.exists(), f"{file} does not exist"
        if anchor:
            assert anchor in anchors(file), f"{file} has no heading #{anchor}"


def test_every_page_is_reached() -> None:
    """From the front door, by links."""
    reached, left = set(), [FRONT_DOOR]
    while left:
        page = left.pop()
        if page not in reached:
            reached.add(page)
            left += [(file / "README.md" if file.is_dir() else file) for file, _ in links(page)]
            left = [file for file in left if file.suffix == ".md" and file.exists()]
    assert set(PAGES) <= reached
