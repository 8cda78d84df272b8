"""Modules that libraries import although nothing here uses them: they are loaded at their first use, if ever.

Memory is paid once per pod. protobuf imports its implementation in Python beside the one in C, yarl the tables for host
names beyond ASCII, shutil two compressors with their shared libraries, asyncio `inspect` (1.4 MB) for questions that
nothing here has it ask, and so on.
"""

from __future__ import annotations

import importlib
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

UNUSED: Final = (
    "google.protobuf.internal.python_message",
    "idna",
    "bz2",
    "lzma",
    "ast",
    "gzip",
    "uuid",
    "inspect",
    "calendar",
)
_REPLACING: Final = threading.Lock()
"""If two threads use a module for the first time, the second must not remove what the first is loading."""


def install_lazy_modules(names: tuple[str, ...] = UNUSED) -> None:
    """Load these modules at the first use of an attribute. To be called before anything imports them."""
    for name in names:
        sys.modules.setdefault(name, LazyModule(name))


class LazyModule(ModuleType):
    """Takes a module's place in `sys.modules` until one of its attributes is used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)  # for callers that only look whether the module exists

    def __getattr__(self, attribute: str) -> Any:
        # `inspect` asks every module for names such as __file__, and uses none of them.
        if attribute.startswith("__") and attribute != "__path__":
            raise AttributeError(f"{self.__name__} is not loaded yet, and {attribute} is no reason to load it")
        with _REPLACING:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)
