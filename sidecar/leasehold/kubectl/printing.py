"""Locks as tables for people, or as JSON and YAML for programs. Pure: the time is an argument.

Text from the cluster passes `one_line` before it enters a table; JSON and YAML have their own escapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from leasehold.base.terminal import Row, aligned, one_line
from leasehold.kubectl.lock import LockView, number, text
from leasehold.kubectl.times import since
from leasehold.lock.kube_names import QUALIFIED

GAP: Final = 3
"""Spaces between two columns, as in kubectl's own tables."""
_COLUMNS: Final = ("NAME", "HELD", "HOLDER", "HOLDERS", "WAITERS", "SINCE", "AGE")
_WIDE: Final = ("TOKEN", "KEY", "REASON")
HEADLESS: Final = ("json", "yaml", "name")
"""The formats without a line of columns' names at their head."""


def locks_table(
    views: Sequence[LockView], now: datetime, *, wide: bool, namespaces: bool, is_stale: bool = False
) -> str:
    """Locks in the columns of `kubectl get locks`, one per line. If the statuses are stale, nobody is said to hold."""
    head = (*(("NAMESPACE",) if namespaces else ()), *_COLUMNS, *(_WIDE if wide else ()))
    rows = [_lock_row(view, now, wide=wide, namespaces=namespaces, is_stale=is_stale) for view in views]
    return aligned([head, *rows], gap=GAP)


def _lock_row(view: LockView, now: datetime, *, wide: bool, namespaces: bool, is_stale: bool) -> Row:
    status = view.status
    others = f" +{view.holder_count - 1}" if view.holder_count > 1 else ""
    row = [text(view.metadata, "namespace")] if namespaces else []
    row += [text(view.metadata, "name"), "Unknown" if is_stale else view.held, text(status, "holderIdentity") + others]
    row += [str(view.holder_count), str(view.waiter_count)]
    row.append(since(text(status, "acquireTime"), now) if text(status, "acquireTime") else "")
    row.append(since(text(view.metadata, "creationTimestamp"), now))
    if wide:
        row += [str(number(status, "fencingToken") or ""), text(status, "key"), _reason(view)]
    return [one_line(cell) or "-" for cell in row]


def _reason(view: LockView) -> str:
    """The reason of the condition that matters: Degraded if that is the only problem, otherwise Ready."""
    ready, degraded = view.condition("Ready"), view.condition("Degraded")
    return degraded.reason if ready.status == "True" and degraded.status == "True" else ready.reason


def manifest(view: LockView) -> Mapping[str, Any]:
    """The resource as the API server sent it, without managedFields: as kubectl shows it."""
    metadata = {name: value for name, value in view.metadata.items() if name != "managedFields"}
    return {**view.body, "metadata": metadata}


def as_data(body: Mapping[str, Any], output: str) -> str:
    """An object as JSON or YAML, with escapes for all characters that a terminal might interpret."""
    if output == "json":
        return json.dumps(body, indent=4) + "\n"
    import yaml  # of the plugin extra

    return str(yaml.safe_dump(body, default_flow_style=False, sort_keys=False))


def names(views: Iterable[LockView]) -> str:
    """One name per line, in the form that kubectl accepts."""
    return "".join(f"{QUALIFIED}/{one_line(text(view.metadata, 'name'))}\n" for view in views)


def many(views: Sequence[LockView], output: str, now: datetime, *, namespaces: bool, is_stale: bool = False) -> str:
    """The output of `list`."""
    if output in ("json", "yaml"):
        return as_data({"apiVersion": "v1", "kind": "List", "items": [manifest(view) for view in views]}, output)
    if output == "name":
        return names(views)
    return locks_table(views, now, wide=output == "wide", namespaces=namespaces, is_stale=is_stale)


def one(view: LockView, output: str, now: datetime) -> str:
    """A single Lock in the requested format."""
    if output in ("json", "yaml"):
        return as_data(manifest(view), output)
    return many([view], output, now, namespaces=False)
