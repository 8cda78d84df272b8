"""The decorator, the methods that all its classes share, and what works on instances of any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal, TypeVar

from leasehold.base.records.layout import MISSING, Field, Layout, collect, getter

T = TypeVar("T")


def dataclass(*, slots: Literal[True], frozen: bool = False, kw_only: bool = False) -> Callable[[type], type]:
    """A decorator that makes a dataclass of a class: a new class, as it is with slots in `dataclasses`, too."""
    return partial(_make, frozen=frozen, kw_only=kw_only)


def fields(record: Any) -> tuple[Field, ...]:
    """The fields of a class or an instance."""
    return _layout(record).fields


def is_dataclass(thing: Any) -> bool:
    """Whether this is a class made here, or an instance of one."""
    return hasattr(thing, "__layout__")


def replace(record: T, /, **changes: Any) -> T:
    """A new instance with other values in these fields. Raises TypeError for a name that is no field."""
    layout = _layout(record)
    values = [changes.pop(name) if name in changes else getattr(record, name) for name in layout.names]
    for unknown in changes:
        raise TypeError(f"{type(record).__name__} has no field {unknown!r}")
    made = type(record).__new__(type(record))
    _fill(made, layout, values)
    return made


def _layout(record: Any) -> Layout:
    layout: Layout = record.__layout__
    return layout


# --- the class -------------------------------------------------------------------------------------------------------


def _make(cls: type, frozen: bool, kw_only: bool) -> type:
    inherited = {one.name: one for base in reversed(cls.__mro__[1:]) for one in _own_fields(base)}
    layout = Layout(collect(cls, inherited, kw_only), hasattr(cls, "__post_init__"), frozen)
    body = _body(cls, layout)
    body["__slots__"] = tuple(name for name in layout.names if name not in inherited)
    made = type(cls)(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    layout.puts = tuple(getattr(made, name).__set__ for name in layout.names)
    return made


def _own_fields(base: type) -> tuple[Field, ...]:
    layout: Layout | None = base.__dict__.get("__layout__")
    return layout.fields if layout else ()


def _body(cls: type, layout: Layout) -> dict[str, Any]:
    """The body of the class to be, with the shared methods that it does not define itself."""
    dropped = ("__dict__", "__weakref__", *layout.names)
    own = {name: value for name, value in cls.__dict__.items() if name not in dropped}
    if own.get("__hash__") is None:  # which is how a class with its own __eq__ begins, too
        own["__hash__"] = _hash if layout.frozen else None
    own["__layout__"] = own["__dataclass_params__"] = layout
    own["__match_args__"] = layout.names[: layout.positional]
    return _SHARED | (_FROZEN if layout.frozen else {}) | own


# --- the methods -----------------------------------------------------------------------------------------------------


def _init(self: Any, /, *args: Any, **kwargs: Any) -> None:
    layout = self.__layout__
    if kwargs or len(args) != len(layout.puts) or len(args) > layout.positional:
        args = _bound(type(self).__name__, layout, args, kwargs)
    for put, value in zip(layout.puts, args):  # noqa: B905  # as `_fill`, which is a third slower: it is called and looks
        put(self, value)
    if layout.post_init:
        self.__post_init__()


def _bound(name: str, layout: Layout, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    if not kwargs and layout.varies <= len(args) <= layout.positional:  # only constants are left out
        return args + layout.constants[len(args) :]
    if not args and len(kwargs) == len(layout.names):  # all by name, which needs no search, unless it is an error
        with suppress(KeyError):
            return layout.by_name(kwargs)
    return tuple(layout.bind(name, args, kwargs))


def _fill(self: Any, layout: Layout, values: Sequence[Any]) -> None:
    for put, value in zip(layout.puts, values, strict=True):
        put(self, value)
    if layout.post_init:
        self.__post_init__()


def _eq(self: Any, other: Any) -> bool:
    if self is other:
        return True
    if other.__class__ is not self.__class__:
        return NotImplemented  # type: ignore[no-any-return]  # as the language asks of __eq__
    compared = self.__layout__.compared
    return bool(compared(self) == compared(other))


def _hash(self: Any) -> int:
    return hash(self.__layout__.compared(self))


def _repr(self: Any) -> str:
    shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__layout__.shown])
    return f"{type(self).__qualname__}({shown})"


def _getstate(self: Any) -> tuple[Any, ...]:
    return getter(self.__layout__.names)(self)


def _setstate(self: Any, state: tuple[Any, ...]) -> None:
    """Of a copy, or of one that was pickled."""
    for put, value in zip(self.__layout__.puts, state, strict=True):
        put(self, value)


def _refuse_to_set(self: object, name: str, value: object) -> None:
    raise AttributeError(f"cannot assign to {name!r} of a frozen {type(self).__name__}", name=name, obj=self)


def _refuse_to_delete(self: object, name: str) -> None:
    raise AttributeError(f"cannot delete {name!r} of a frozen {type(self).__name__}", name=name, obj=self)


class _RealFields:
    """The fields for `dataclasses.fields`, `replace` and the like, made of them when they ask."""

    def __get__(self, instance: object, owner: Any) -> Mapping[str, Any]:
        import dataclasses

        layout = _layout(owner)
        if layout.real is None:
            twin: Any = dataclasses.make_dataclass(owner.__name__, [_real(one) for one in layout.fields])
            layout.real = twin.__dataclass_fields__
        return layout.real


def _real(one: Field) -> tuple[str, Any, Any]:
    import dataclasses

    settings: dict[str, Any] = {"repr": one.repr, "compare": one.compare, "kw_only": one.kw_only}
    if one.default is not MISSING:
        settings["default"] = one.default
    if one.default_factory is not MISSING:
        settings["default_factory"] = one.default_factory
    return one.name, one.type, dataclasses.field(**settings)


_SHARED: dict[str, Any] = {
    "__init__": _init,
    "__eq__": _eq,
    "__repr__": _repr,
    "__replace__": replace,
    "__dataclass_fields__": _RealFields(),
}
_FROZEN: dict[str, Any] = {
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
