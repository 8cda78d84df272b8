"""Records behave as the dataclasses that type checkers take them for."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from leasehold.base import records

SOURCE = """
from __future__ import annotations
from typing import ClassVar, Generic, TypeVar
T = TypeVar("T")

@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    seen: tuple[int, ...] = field(default=(), compare=False)
    secret: str = field(default="", repr=False)
    many: ClassVar[int] = 3

@dataclass(frozen=True, slots=True)
class Deep(Point):
    x: int = 5
    z: list[int] = field(default_factory=list)

@dataclass(frozen=True, slots=True)
class Named:
    first: int
    _: KW_ONLY
    second: int
    third: int = 3

@dataclass(slots=True, kw_only=True)
class Mutable:
    a: int
    b: float = 0.0

    def __post_init__(self):
        self.b = self.a * 2.0

@dataclass(frozen=True, slots=True)
class Nothing:
    pass

@dataclass(frozen=True, slots=True)
class Own:
    a: int

    def __repr__(self):
        return "mine"

    def __hash__(self):
        return 7

@dataclass(frozen=True, slots=True)
class Box(Generic[T]):
    content: T
"""


def made_by(maker: Any) -> Any:
    """The classes above, made with what this module exports."""
    module = ModuleType(f"made_by_{maker.__name__.rpartition('.')[2]}")
    names = {name: getattr(maker, name) for name in ("dataclass", "field", "KW_ONLY")}
    vars(module).update(names)
    sys.modules[module.__name__] = module  # for pickle, and for dataclasses, which looks up annotations there
    exec(SOURCE, vars(module))
    return module


OURS, THEIRS = made_by(records), made_by(dataclasses)

CALLS = [
    "Point(1)",
    "Point(1, seen=(4,), y=3)",
    "Point()",
    "Point(1, 2, (), '', 5)",
    "Point(1, x=2)",
    "Point(1, q=2)",
    "Point(1) == Point(1, seen=(9,))",
    "Point(1) == Point(2)",
    "Point(1) == Deep(1)",
    "Point(1) == 1",
    "Point(1) != Point(1)",
    "hash(Point(1)) == hash(Point(1, 2, (3,)))",
    "hash(Point(float('nan'))) is None",
    "{Point(1), Point(1), Point(2)} == {Point(2), Point(1)}",
    "Point(1) < Point(2)",
    "Point.__match_args__",
    "Point.many",
    "Point(1).many",
    "hasattr(Point(1), '__dict__')",
    "Point.__slots__",
    "Deep.__slots__",
    "Deep()",
    "Deep(z=[1]).y",
    "Deep().z is Deep().z",
    "hash(Deep())",
    "Named(first=1, second=2)",
    "Named(second=2, first=1)",
    "Named(first=1, third=3)",
    "Deep(z=[1], y=2, x=3)",
    "Deep(z=[1], y=2, w=3)",
    "Named(1, second=2)",
    "Named(1, 2)",
    "Named(1)",
    "Named.__match_args__",
    "Mutable(a=2)",
    "Mutable(2)",
    "Mutable(a=1) == Mutable(a=1, b=9)",
    "hash(Mutable(a=1))",
    "setattr(Mutable(a=1), 'a', 5)",
    "setattr(Mutable(a=1), 'c', 5)",
    "Nothing() == Nothing()",
    "Nothing()",
    "hash(Nothing()) == hash(Nothing())",
    "(Own(1), hash(Own(1)), Own(1) == Own(1))",
    "Box(3).content",
    "setattr(Point(1), 'x', 5)",
    "setattr(Point(1), 'other', 5)",
    "delattr(Point(1), 'x')",
]


def outcome(module: ModuleType, call: str) -> object:
    try:
        found = eval(call, vars(module))
    except Exception as error:
        # the words differ; TypeError for a name that is none of slots is what the standard library's bug makes of it
        return "AttributeError" if isinstance(error, AttributeError) else type(error).__name__
    return repr(found)


@pytest.mark.parametrize("call", CALLS)
def test_as_with_dataclasses(call: str) -> None:
    expected = outcome(THEIRS, call)
    if call == "setattr(Point(1), 'other', 5)" and expected == "TypeError":
        expected = "AttributeError"  # a mistake of older versions: they call `super` with the class that slots replaced
    assert outcome(OURS, call) == expected


@pytest.mark.parametrize("module", [OURS, THEIRS], ids=["ours", "theirs"])
def test_replace_copy_and_pickle(module: Any) -> None:
    point = module.Point(1, seen=(3,))
    for replace in (records.replace, dataclasses.replace) if module is OURS else (dataclasses.replace,):
        assert replace(point, y=5) == module.Point(1, 5)
        assert replace(point, y=5).seen == (3,)
        with pytest.raises(TypeError):
            replace(point, q=5)
    for twin in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert (twin, twin.seen) == (point, (3,))
    match module.Named(1, second=2):
        case module.Named(first, second=second):
            assert (first, second) == (1, 2)


def test_dataclasses_knows_them() -> None:
    """For whoever inspects them with the standard library's functions."""
    for name in ("Point", "Deep", "Named", "Mutable", "Nothing"):
        ours: Any = getattr(OURS, name)
        theirs: Any = getattr(THEIRS, name)
        assert ours.__dataclass_params__.frozen == theirs.__dataclass_params__.frozen
        assert dataclasses.is_dataclass(ours)
        assert records.is_dataclass(ours)
        shown = [(f.name, f.type, f.default, f.kw_only, f.compare, f.repr) for f in dataclasses.fields(ours)]
        assert shown == [(f.name, f.type, f.default, f.kw_only, f.compare, f.repr) for f in dataclasses.fields(theirs)]
        assert [f.name for f in records.fields(ours)] == [f.name for f in dataclasses.fields(theirs)]
    assert dataclasses.asdict(OURS.Point(1)) == dataclasses.asdict(THEIRS.Point(1))
    assert not records.is_dataclass(int)


def test_generic_ones_can_be_made() -> None:
    """Which frozen dataclasses with slots cannot, in Python 3.11."""
    assert OURS.Box[int](3) == OURS.Box(3)


@pytest.mark.parametrize(
    ("body", "word"),
    [("a: int = 1\n    b: int", "without a default"), ("a: list[int] = []", "default_factory")],
)
def test_mistakes_are_noticed(body: str, word: str) -> None:
    names = {"dataclass": records.dataclass}
    with pytest.raises(TypeError, match=word):
        exec(f"from __future__ import annotations\n@dataclass(slots=True)\nclass Wrong:\n    {body}", names)


def test_they_take_no_inspect() -> None:
    """What they are for: neither `dataclasses` nor `inspect` is loaded to make, compare, show or replace them."""
    program = (
        "import sys\nfrom leasehold.base.records import dataclass, fields, replace\n"
        "@dataclass(frozen=True, slots=True)\nclass A:\n    a: int\n"
        "assert repr(replace(A(1), a=2)) == 'A(a=2)' and fields(A)[0].name == 'a'\n"
        "print({'dataclasses', 'inspect'} & set(sys.modules))"
    )

    for flags in ([], ["-OO"]):
        ran = subprocess.run([sys.executable, *flags, "-c", program], capture_output=True, text=True, check=True)
        assert ran.stdout == "set()\n"
