"""Dataclasses of which a process can have a hundred: used as those of `dataclasses`, but cheap to define.

`dataclasses` compiles five to eight methods for each class, and under `-OO` has `inspect` write its docstring: with a
hundred classes, two of the seconds' tenths that a sidecar takes to start, and 2.4 MiB of its memory, paid once per pod.
Here all classes share one set of methods, which look up the fields of the class they work on.

Everything that a sidecar loads takes them from here, which a test holds; elsewhere `dataclasses` is as good. Type
checkers see `dataclasses` itself. What differs, and what there is not, is in `layout.py`; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import KW_ONLY, MISSING, dataclass, field, fields, is_dataclass, replace
else:
    from leasehold.base.records.layout import KW_ONLY, MISSING, field
    from leasehold.base.records.maker import dataclass, fields, is_dataclass, replace

__all__ = ["KW_ONLY", "MISSING", "dataclass", "field", "fields", "is_dataclass", "replace"]
