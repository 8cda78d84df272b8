"""Who applies a Lock again and again, such as Flux, Argo CD or Helm, and whether that undoes a change. Pure.

A field that an applier's manifest names is set back at its next run, whoever changed it. That is right, as the manifest
rules, but whoever changes the Lock by hand should know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from leasehold.base.terminal import one_line
from leasehold.kubectl.lock import LockView, items, table, text

FIELD_MANAGER: Final = "leasehold-kubectl"
"""The plugin's name as a field manager. It must not begin with `kubectl`: Flux takes over what such a manager has set,
and removes it."""

_DEFAULTS: Final[Mapping[str, object]] = {"suspend": False, "preferredHolder": ""}
"""The values with which nothing is asked by hand any more."""
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def warning(before: LockView, changed: Iterable[str]) -> str:
    """A sentence that names who will set these fields of the spec back; empty if nobody will.

    `before` is the Lock before the change: the change takes the fields over from whoever had set them.
    """
    owners = {name: _applier(before, name) for name in changed}
    named = sorted(name for name, owner in owners.items() if owner)
    if not named:
        return ""
    fields = " and ".join(f"spec.{name}" for name in named)
    is_are, it_them = ("is", "it") if len(named) == 1 else ("are", "them")
    who = ", ".join(sorted({owners[name] for name in named}))
    return (
        f"{fields} of the Lock {before.name} {is_are} also in the manifest that {who} applies, which sets {it_them} "
        "back when it is applied again: change the manifest, too."
    )


def without_claims(view: LockView, names: Iterable[str]) -> Sequence[Mapping[str, Any]] | None:
    """`managedFields` without the plugin's claims to those of these fields that have their default.

    Otherwise a manifest that comes to name such a field would conflict with the plugin, though nothing is asked by hand
    any more. None if there is nothing to give up, or if no entry would be left: an empty list changes nothing.
    """
    given_up = {f"f:{name}" for name in names if view.spec.get(name) == _DEFAULTS.get(name, view)}
    before = list(items(view.metadata, "managedFields"))
    after = [one for entry in before if (one := _without(entry, given_up))]
    return after if after and after != before else None


def _without(entry: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, Any] | None:
    """The entry without these fields of the spec, if it is the plugin's; None if nothing else is in it."""
    fields = table(entry, "fieldsV1")
    spec = table(fields, "f:spec")
    if text(entry, "manager") != FIELD_MANAGER or not spec.keys() & set(names):
        return entry
    left = {name: one for name, one in spec.items() if name not in names}
    others = {name: one for name, one in fields.items() if name != "f:spec"}
    kept = {**others, **({"f:spec": left} if left.keys() - {"."} else {})}
    return {**entry, "fieldsV1": kept} if kept else None


def _applier(view: LockView, name: str) -> str:
    """Whose manifest names this field; empty if none that is known does."""
    for entry in items(view.metadata, "managedFields"):
        owns = f"f:{name}" in table(table(entry, "fieldsV1"), "f:spec")
        if owns and text(entry, "operation") == "Apply" and text(entry, "manager") != FIELD_MANAGER:
            return one_line(text(entry, "manager"))
    return "kubectl apply" if name in _last_applied(view) else ""


def _last_applied(view: LockView) -> Mapping[str, Any]:
    """The spec of the manifest that client-side `kubectl apply` has noted in the Lock."""
    try:
        manifest = json.loads(text(table(view.metadata, "annotations"), _LAST_APPLIED) or "{}")
    except (ValueError, RecursionError):
        return {}
    return table(manifest, "spec") if isinstance(manifest, dict) else {}
