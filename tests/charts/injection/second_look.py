"""Whether a pod has already become what it asks for, in one expression that uses no variables.

The API server asks a policy that has changed a pod about it once more, whatever else has changed it meanwhile. A match
condition that ends there costs a third of what the policy does, which would only find that nothing is to be done. It
has no variables, so it holds for the usual pods alone: of any other it says no, and the policy looks for itself. It
must say yes of none that the policy would change or refuse.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from leasehold.injector import container
from leasehold.injector.sharing import NAMES
from leasehold.lock.kube_names import INJECTED, PREFIX
from tests.charts.injection import container as sidecar
from tests.charts.injection import refusals, request
from tests.charts.injection.cel import quoted

_VOLUMES: Final = (container.STATE, container.TLS, container.AUTH, container.POD)
_OURS: Final = f"each.name in [{', '.join(map(quoted, _VOLUMES))}]"
_WITHOUT: Final = f"object.spec.initContainers.filter(c, c.name != {quoted(container.NAME)})"
_DEFINITIONS: Final = {
    **request.VARIABLES,
    "annotations": "object.metadata.annotations",
    "labels": "object.metadata.labels",
    "injected": "true",
    "initContainers": _WITHOUT,
    "volumes": f"object.spec.?volumes.orValue([]).filter(v, v.name == {quoted(container.STATE)})",
    # annotations that the usual pods have not
    "ttl": "''",
    "port": "4040",
    "controlPort": "4041",
    "secret": "variables.etcdSecret",
    "hostNetwork": "false",
    "plain": refusals.VARIABLES["plain"],
    # A pod that has its sidecar keeps it, whatever its namespace says. What it shares with others is reckoned.
    "usualAlone": "!has(object.spec.resources)",
}
_LIMIT_RANGER: Final = "kubernetes.io/limit-ranger"
"""The annotation by which LimitRanger says what it gave to which containers."""
_NOT_MORE: Final = (
    f"{list(NAMES)}.all(name, !(c.?resources.?limits[?name].hasValue() && c.?resources.?requests[?name].hasValue()) || "
    "quantity(string(c.resources.requests[name])).compareTo(quantity(string(c.resources.limits[name]))) <= 0)"
)
"""Whether a container requests no more than its limit."""
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "fieldRef": {"apiVersion": "v1"},
    "downwardAPI": {"defaultMode": 0o644},
}


def _inlined(expression: str) -> str:
    """With the variables' own expressions in their place, and the annotations without `asked`; settings stay."""
    annotations = "object.metadata.annotations"
    expression = re.sub(r"variables\.asked\[\?'([a-z-]+)'\]", rf"{annotations}[?'{PREFIX}\1']", expression)
    expression = re.sub(r"'([a-z-]+)' in variables\.asked", rf"'{PREFIX}\1' in {annotations}", expression)
    return re.sub(
        r"variables\.(\w+)",
        lambda found: f"({_inlined(_DEFINITIONS[found[1]])})" if found[1] in _DEFINITIONS else found[0],
        expression,
    )


def _defaulted(value: Any, name: str = "") -> Any:
    """As the API server completes it."""
    if isinstance(value, list):
        return [_defaulted(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    completed = {key: _defaulted(each, key) for key, each in value.items()}
    port = {"protocol": "TCP"} if "containerPort" in completed else {}
    return {**completed, **port, **_DEFAULTS.get(name, {})}


def _same(name: str) -> str:
    return f"c.?{name}.orValue(dyn([])) == {sidecar.part(lambda whole: _defaulted(whole[name]))}"


def condition() -> str:
    """The expression; its only variables are settings of the chart, for which the template puts their values."""
    same = [
        f"c.name == {quoted(container.NAME)}",
        "c.?restartPolicy.orValue('') == 'Always'",
        f"c.?args.orValue(dyn([])) == {sidecar.ARGUMENTS}",
        *(f"!has(c.{name})" for name in ("command", "envFrom")),
        *(_same(name) for name in ("env", "ports", "volumeMounts", "lifecycle")),
        f"(!({quoted(_LIMIT_RANGER)} in object.metadata.annotations) || {_NOT_MORE})",
    ]
    volumes = sidecar.part(lambda whole: _defaulted(whole["volumes"]))
    parts = [
        f"{quoted(INJECTED)} in object.metadata.?annotations.orValue({{}})",
        f"object.spec.?initContainers[?0].optMap(c, {' && '.join(same)}).orValue(false)",
        f"object.spec.?volumes.orValue([]).filter(each, {_OURS}) == {volumes}",
        "variables.plain",
    ]
    return _inlined(" && ".join(parts))
