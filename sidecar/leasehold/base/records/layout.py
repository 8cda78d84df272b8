"""What there is to know of a class's fields: collected from its body and its bases, used by the shared methods.

Of `dataclasses`, this has frozen, kw_only, KW_ONLY, ClassVar, inheritance, `__post_init__`, and fields with a default,
a factory, repr and compare. Slots are a must: what the methods set, they set through them. There is no InitVar, no
field that `__init__` does not take, no order and no metadata. A frozen instance refuses every assignment, to any name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final


class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()
"""In place of a default that a field does not have."""


class KW_ONLY:  # the name that it has in `dataclasses`
    """As an annotation: the fields after it are given by name."""


class Field:
    """One field. `default` and `default_factory` are MISSING if it has none."""

    __slots__ = ("compare", "default", "default_factory", "kw_only", "name", "repr", "type")

    def __init__(self, default: Any, default_factory: Any, shown: bool, compare: bool) -> None:
        self.name = ""
        self.type: Any = None
        self.default = default
        self.default_factory = default_factory
        self.repr = shown
        self.compare = compare
        self.kw_only = False


def field(*, default: Any = MISSING, default_factory: Any = MISSING, repr: bool = True, compare: bool = True) -> Any:  # noqa: A002  # named as in dataclasses
    """In a class's body, a field with more to it than a default."""
    return Field(default, default_factory, repr, compare)


class Layout:
    """The fields of one class, and how to read and set them."""

    __slots__ = (
        "by_name",
        "compared",
        "constants",
        "defaults",
        "fields",
        "frozen",
        "names",
        "positional",
        "post_init",
        "puts",
        "real",
        "shown",
        "varies",
    )

    def __init__(self, fields: Mapping[str, Field], post_init: bool, frozen: bool) -> None:
        ordered = sorted(fields.values(), key=lambda one: one.kw_only)
        self.fields = tuple(fields.values())
        self.names = tuple(one.name for one in ordered)
        """In the order of the arguments: by position first."""
        self.positional = sum(not one.kw_only for one in ordered)
        self.by_name = getter_of_items(self.names)
        """The values of all fields in that order, of a dict of them. Raises KeyError if one is not there."""
        self.defaults = {one.name: one for one in ordered if not _is_required(one)}
        self.constants = tuple(one.default for one in ordered)
        self.varies = next((at for at in reversed(range(len(ordered))) if self.constants[at] is MISSING), -1) + 1
        """From this place on, the default of each field is its constant."""
        self.shown = tuple(one.name for one in self.fields if one.repr)
        self.compared = getter([one.name for one in self.fields if one.compare])
        self.post_init = post_init
        self.frozen = frozen
        """Also by the name that it has in `__dataclass_params__`."""
        self.puts: tuple[Callable[[Any, Any], None], ...] = ()
        """Set the fields of an instance, frozen or not, in the order of `names`; known once the class is made."""
        self.real: Mapping[str, Any] | None = None
        """The fields as `dataclasses` has them, if anything asked."""

    def bind(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Iterator[Any]:
        """The values of all fields in the order of `names`. Raises TypeError as the call of a function does."""
        if len(args) > self.positional:
            raise TypeError(f"{name} takes {self.positional} positional arguments, but {len(args)} were given")
        yield from args
        for wanted in self.names[len(args) :]:
            if wanted in kwargs:
                yield kwargs.pop(wanted)
            elif wanted in self.defaults:
                made = self.defaults[wanted]
                yield made.default if made.default is not MISSING else made.default_factory()
            else:
                raise TypeError(f"{name} lacks the argument {wanted!r}")
        for unwanted in kwargs:
            raise TypeError(f"{name} got an argument {unwanted!r} that it has not, or has already")


def getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads these attributes of an object. (`attrgetter` gives a tuple from two names on.)"""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple([getattr(self, name) for name in names])


def getter_of_items(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """As `getter`, for the items of a mapping."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda given: tuple([given[name] for name in names])


def collect(cls: type, inherited: Mapping[str, Field], kw_only: bool) -> dict[str, Field]:
    """The fields of a class in their order, those of its bases first."""
    collected = dict(inherited)
    for name, kind in cls.__annotations__.items():
        text = kind if isinstance(kind, str) else str(kind).removeprefix("typing.")
        if text == "KW_ONLY" or kind is KW_ONLY:
            kw_only = True
        elif not text.startswith("ClassVar"):
            collected[name] = _named(cls.__dict__.get(name, MISSING), name, kind, kw_only)
    required = [one for one in collected.values() if not one.kw_only]
    if required != sorted(required, key=lambda one: not _is_required(one)):
        raise TypeError(f"{cls.__name__}: a field without a default follows one with a default")
    return collected


def _named(value: Any, name: str, kind: Any, kw_only: bool) -> Field:
    made = value if isinstance(value, Field) else Field(value, MISSING, True, True)
    if isinstance(made.default, (list, dict, set)):
        raise TypeError(f"the default of {name} would be shared by all instances: use default_factory")
    made.name, made.type, made.kw_only = name, kind, kw_only
    return made


def _is_required(one: Field) -> bool:
    return one.default is MISSING and one.default_factory is MISSING
