"""How a bug is planted in the election: some of its functions are replaced for as long as a schedule runs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, ClassVar, Final
from unittest import mock

from leasehold.election import election
from leasehold.election.invariants import Checker

Function = Callable[..., Any]
MARK: Final = "_replaces"


class Mutant:
    """One bug. Its methods marked with `replaces` take the original function first, then what that is called with."""

    faults: ClassVar[tuple[str, ...]] = ()
    """Where only some faults in one order bring the bug out: those alone, so as not to wait for them."""

    @classmethod
    @contextmanager
    def planted(cls, *, checked: bool = False) -> Iterator[None]:
        """Plant the bug. Unless `checked`, the election does not check its own invariants: others must find it."""
        methods = [value.__func__ for value in vars(cls).values() if isinstance(value, staticmethod)]
        found = [function for function in methods if hasattr(function, MARK)]
        with ExitStack() as stack:
            for function in found:
                _replace(stack, getattr(function, MARK), function)
            if not checked:
                stack.enter_context(mock.patch.object(Checker, "check"))
            yield


def replaces(original: Function) -> Callable[[Function], staticmethod[..., Any]]:
    """Mark a function that takes the place of this one, wherever the election calls it."""

    def mark(function: Function) -> staticmethod[..., Any]:
        setattr(function, MARK, original)
        return staticmethod(function)

    return mark


def _replace(stack: ExitStack, original: Function, function: Function) -> None:
    @functools.wraps(original)
    def replacement(*args: Any, **named: Any) -> Any:
        return function(original, *args, **named)

    owner, _, name = original.__qualname__.rpartition(".")
    if owner:
        stack.enter_context(mock.patch.object(vars(sys.modules[original.__module__])[owner], name, replacement))
        return
    for module in _modules():
        if vars(module).get(name) is original:
            stack.enter_context(mock.patch.object(module, name, replacement))
    table = {
        state: {
            event: row._replace(handler=replacement) if row.handler is original else row for event, row in rows.items()
        }
        for state, rows in election.TRANSITIONS.items()
    }
    stack.enter_context(mock.patch.object(election, "TRANSITIONS", table))


def _modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith("leasehold.election.")]
