"""Modules that libraries import and do not use here: they are loaded when somebody uses them after all.

Memory is paid once per pod. protobuf imports its implementation in Python beside the one in C, yarl the tables of host
names beyond ASCII, shutil two compressors with their shared libraries, and so on: 1.3 MB of the 42 or 43 that a sidecar
would have. (`ast` is among them from Python 3.13 on; before, `inspect` uses it at once.)
"""

from __future__ import annotations

import importlib
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

UNUSED: Final = ("google.protobuf.internal.python_message", "idna", "bz2", "lzma", "ast", "gzip", "uuid")
_REPLACING: Final = threading.Lock()
"""Of two threads that use a module for the first time, the later must not take away what the earlier is loading."""


def postpone(names: tuple[str, ...] = UNUSED) -> None:
    """Have these modules loaded at the first use of anything in them. To be called before others import them."""
    for name in names:
        sys.modules.setdefault(name, Postponed(name))


class Postponed(ModuleType):
    """Stands for a module in `sys.modules` until an attribute of that is asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)  # for those who only want to know whether there is such a module

    def __getattr__(self, attribute: str) -> Any:
        # Whoever looks through all modules, as `inspect` does, asks for names such as __file__, and uses none.
        if attribute.startswith("__") and attribute != "__path__":
            raise AttributeError(f"{self.__name__} is not loaded yet, and {attribute} would be no reason to")
        with _REPLACING:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)
