"""The rooms of the package, drawn from its imports: how many arrows there are between them, and no circle.

Which room may stand on which is in pyproject.toml, for import-linter. A room is a folder of `leasehold/`; inside the
operator it is a folder of its own, too. An import of the package's root, which holds the version, is no arrow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import leasehold

PACKAGE = Path(leasehold.__file__).parent
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
MAX_ARROWS = 60
"""Lower it when an arrow goes. Before a new one, ask whether what is imported lies in the right room."""
MAX_ARROWS_IN_THE_OPERATOR = 10

Arrows = dict[str, set[str]]


def imported(file: Path) -> Iterator[tuple[str, ...]]:
    """Every module of ours that a file imports, as the parts of its name below the package; also inside functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "leasehold":
            for alias in node.names:
                yield (*(node.module or "").split(".")[1:], alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("leasehold."):
                    yield tuple(alias.name.split(".")[1:])


def arrows(folder: Path, rooms: set[str], within: tuple[str, ...] = ()) -> Arrows:
    """From each room to the others that it imports; what lies beside the rooms is one room more, named after it."""
    own = within[-1] if within else "leasehold"
    found: Arrows = {room: set() for room in (*rooms, own)}
    for file in folder.rglob("*.py"):
        place = file.relative_to(folder).parts[0]
        here = place if place in rooms else own
        for parts in imported(file):
            if parts[: len(within)] == within:
                there = parts[len(within)]
                found[here].add(there if there in rooms else own)
    return {room: others - {room} for room, others in found.items()}


def count(drawn: Arrows) -> int:
    return sum(len(others) for others in drawn.values())


def test_arrows_between_the_rooms() -> None:
    drawn = {room: others - {"leasehold"} for room, others in arrows(PACKAGE, ROOMS).items() if room != "leasehold"}
    assert count(drawn) <= MAX_ARROWS, drawn
    assert [*TopologicalSorter(drawn).static_order()], "a circle would have raised"


def test_arrows_inside_the_operator() -> None:
    folder = PACKAGE / "operator"
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert count(arrows(folder, rooms, ("operator",))) <= MAX_ARROWS_IN_THE_OPERATOR
