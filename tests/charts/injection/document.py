"""The files of the chart that both admission policies take their CEL from."""

import textwrap
from collections.abc import Mapping
from typing import Final

from leasehold.injector import patch
from leasehold.injector.config import _DEFAULT_RESOURCES
from leasehold.lock.kube_names import INJECTED, REFUSED
from tests.charts.injection import advice, refusals, request, resources, second_look, sharing
from tests.charts.injection.cel import quoted
from tests.charts.injection.container import ARGUMENTS, CONTAINER, VOLUMES, environment, right
from tests.charts.rendered import LEASEHOLD

FILES: Final = LEASEHOLD / "files"
_HEADER: Final = """\
# What the injector does, as CEL for the API server: see templates/_injection.tpl, which sets the chart's settings as
# variables before these. Written by `python -m tests.charts` from sidecar/leasehold/injector;
# change it there.
"""


def _insert(path: str, present: str, new: str, at: str) -> str:
    """Operations that put a list's elements into a list of the pod, as `patch._insert` does it."""
    whole = f"[JSONPatch{{op: 'add', path: '{path}', value: {new}}}]"
    each = f"{new}.map(e, JSONPatch{{op: 'add', path: '{path}/{at}', value: e}})"
    return f"(size({new}) == 0 ? [] : size({present}) == 0 ? {whole} : {each})"


def _remove(path: str, present: str, names: str) -> str:
    """Operations that take an earlier injection's parts away, the last first."""
    found = f"lists.range(size({present})).filter(i, {present}[i].name in {names})"
    return f"{found}.reverse().map(i, JSONPatch{{op: 'remove', path: '{path}/' + string(i)}})"


def _patch() -> str:
    """As `patch.patch` makes it; for a pod that is to be refused the sentence alone, as an annotation."""
    pointer = "/metadata/annotations/" + patch._pointer(INJECTED)
    removals = " + ".join(
        _remove(f"/spec/{place}", f"variables.{present}", "[" + ", ".join(map(quoted, patch._ADDED[place])) + "]")
        for place, present in (("initContainers", "present"), ("volumes", "presentVolumes"))
    )
    parts = [
        f"(variables.injected ? {removals} : [])",
        f"[JSONPatch{{op: 'add', path: '{pointer}', value: variables.version}}]",
        sharing.written_down(),
        _insert("/spec/initContainers", "variables.initContainers", "[variables.sidecar]", "0"),
        _insert("/spec/volumes", "variables.volumes", "variables.missingVolumes", "-"),
        _insert("/spec/imagePullSecrets", "variables.presentSecrets", "variables.missingSecrets", "-"),
    ]
    given = f"(variables.right ? {sharing.lowered()} : {' + '.join(parts)})"
    refused = "/metadata/annotations/" + patch._pointer(REFUSED)
    told = (
        "size(variables.annotations) == 0 ? "
        f"[JSONPatch{{op: 'add', path: '/metadata/annotations', value: {{{quoted(REFUSED)}: variables.refusal}}}}] : "
        f"[JSONPatch{{op: 'add', path: '{refused}', value: variables.refusal}}]"
    )
    forgotten = f"({quoted(REFUSED)} in variables.annotations ? [JSONPatch{{op: 'remove', path: '{refused}'}}] : [])"
    return f"variables.refusal != '' ? ({told}) : {forgotten} + {given}"


def _entry(name: str, expression: str, indent: int = 0) -> str:
    """A YAML key with a folded text."""
    lines = textwrap.wrap(expression, 112 - indent, break_long_words=False, break_on_hyphens=False)
    if " ".join(lines) != expression:
        raise ValueError(f"{name} has spaces that cannot be folded")
    folded = "\n".join(" " * (indent + 2) + line for line in lines)
    return f"{name}: >-\n{folded}\n"


def _variables(title: str, variables: Mapping[str, str]) -> str:
    return f"{title}:\n" + "".join(
        f"  - name: {name}\n    {_entry('expression', cel, 4)}" for name, cel in variables.items()
    )


def _resources() -> str:
    kinds = (f"  {kind}: {{{', '.join(map(': '.join, each.items()))}}}\n" for kind, each in _DEFAULT_RESOURCES.items())
    return "defaultResources:\n" + "".join(kinds)


def injection() -> str:
    """What `files/injection.yaml` is to hold: what a pod asks for, and what it is given."""
    asked = {
        **request.VARIABLES,
        **resources.VARIABLES,
        **sharing.VARIABLES,
        "arguments": ARGUMENTS,
        "environment": environment(),
        "right": right(),
    }
    made = {
        "sidecar": CONTAINER,
        "missingVolumes": f"({VOLUMES}).filter(v, !variables.volumes.exists(o, o.name == v.name))",
        "missingSecrets": (
            "variables.pullSecrets.filter(s, !variables.presentSecrets.exists(o, o.?name.orValue('') == s))"
            ".map(s, {'name': s})"
        ),
    }
    parts = [_HEADER, _resources(), _variables("request", asked), _variables("result", made)]
    return "".join([*parts, _entry("patch", _patch()), _entry("done", second_look.condition())])


def refused() -> str:
    """What `files/refusals.yaml` is to hold: why a pod is given nothing."""
    checks = (f"  - {_entry('when', when, 4)}    {_entry('say', say, 4)}" for when, say in refusals.refusals())
    parts = [_HEADER, _variables("variables", refusals.VARIABLES), "refusals:\n", *checks]
    return "".join(parts)


def advised() -> str:
    """What `files/advice.yaml` is to hold: what is said about workloads."""
    warnings = (f"  - {_entry('when', when, 4)}    {_entry('say', say, 4)}" for when, say in advice.WARNINGS)
    parts = [_HEADER, _variables("before", advice.VARIABLES), _variables("instead", advice.INSTEAD)]
    return "".join([*parts, _variables("after", advice.AFTER), "warnings:\n", *warnings])


DOCUMENTS: Final = {
    FILES / "injection.yaml": injection,
    FILES / "refusals.yaml": refused,
    FILES / "advice.yaml": advised,
}
"""The files, and what makes their text."""
