"""While schedules run, the election's records are made by compiled constructors, as those of `dataclasses` are.

Leasehold's own constructor is shared by all classes, so that a sidecar starts soon; here it would take a fifth of the
time. What comes out is the same: `test_simulation.py` compares a whole schedule, and `tests/unit` holds the records.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

from leasehold.base.records.layout import MISSING, Field, Layout

_ROOMS = ("leasehold.election.", "leasehold.lock.")
_SHARED = "leasehold.base.records.maker"
_YOUNG = 50_000
"""New objects until the next look for rings of them, each of which is a whole schedule."""


@contextlib.contextmanager
def compiled_records() -> Iterator[None]:
    """Within this, construction is quick, and garbage is looked for less often."""
    shared: dict[Any, Any] = {cls: vars(cls)["__init__"] for cls in _records()}
    thresholds = gc.get_threshold()
    for cls in shared:
        cls.__init__ = _constructor(vars(cls)["__layout__"])
    gc.set_threshold(_YOUNG, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        for cls, init in shared.items():
            cls.__init__ = init


def _records() -> Iterator[type]:
    """Every class that has the shared constructor."""
    for module in [module for name, module in sys.modules.items() if name.startswith(_ROOMS)]:
        for cls in vars(module).values():
            if isinstance(cls, type) and getattr(vars(cls).get("__init__"), "__module__", "") == _SHARED:
                yield cls


def _constructor(layout: Layout) -> Callable[..., None]:
    """What `dataclasses` would write, of one line for each field."""
    fields = {one.name: one for one in layout.fields}
    known: dict[str, Any] = {"MISSING": MISSING}
    words, lines = ["self"], ["pass"]
    for place, (name, put) in enumerate(zip(layout.names, layout.puts, strict=True)):
        words += ["*"] if place == layout.positional else []
        known[f"put_{name}"], known[f"made_{name}"] = put, fields[name].default_factory
        words.append(_word(fields[name], known))
        lines.append(f"put_{name}(self, {_value(fields[name])})")
    lines += ["self.__post_init__()"] if layout.post_init else []
    exec(f"def __init__({', '.join(words)}):\n    " + "\n    ".join(lines), known)
    made: Callable[..., None] = known["__init__"]
    return made


def _word(one: Field, known: dict[str, Any]) -> str:
    """The argument of a field, with the default that it has, if any."""
    if one.default is MISSING and one.default_factory is MISSING:
        return one.name
    known[f"default_{one.name}"] = one.default
    return f"{one.name}=default_{one.name}"


def _value(one: Field) -> str:
    return one.name if one.default_factory is MISSING else f"made_{one.name}() if {one.name} is MISSING else {one.name}"
