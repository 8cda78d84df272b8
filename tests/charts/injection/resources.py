"""The sidecar's requests and limits as CEL, as `leasehold.injector.resources` chooses them."""

from collections.abc import Iterator, Mapping
from typing import Final

from leasehold.injector import patch
from leasehold.injector.annotations import RequestRefused
from leasehold.injector.resources import _QUANTITY, ANNOTATIONS, NONE
from leasehold.lock.kube_names import PREFIX
from tests.charts.injection.cel import quoted, text
from tests.charts.injection.request import asked
from tests.unit.injector.pods import SIDECAR, Pod, pod

_PARTS: Final = ("requests", "limits")
_NAMES: Final = ("cpu", "memory")
_OTHER: Final = "ephemeral-storage"
"""What the chart's settings may have besides; nobody annotates it."""
_PATTERN: Final = quoted(f"^({_QUANTITY.pattern})$")
_NAMESPACE: Final = "variables.namespaceAnnotations"


def _variable(annotation: str) -> str:
    name, _, part = annotation.partition("-")
    return f"{name}{part.capitalize()}"


def _chosen(annotation: str) -> str:
    """The pod's, the namespace's, or the usual one; "" if there is none."""
    name, _, part = annotation.partition("-")
    usual = f"variables.usualResources[?'{part}s'][?'{name}'].orValue(dyn(''))"
    of_namespace = f"{_NAMESPACE}[?{quoted(PREFIX + annotation)}].orValue({usual})"
    shared = f"'{name}' in variables.podLevel"
    return f"variables.asked[?{quoted(annotation)}].orValue({shared} ? dyn('') : {of_namespace})"


def _resources() -> str:
    """Neither a part without amounts, nor an amount that was taken away."""
    parts = []
    for part in _PARTS:
        amounts = [(name, f"variables.{_variable(f'{name}-{part[:-1]}')}") for name in _NAMES]
        others = f"?{quoted(_OTHER)}: variables.usualResources[?'{part}'][?{quoted(_OTHER)}]"
        there = [
            f"?'{name}': {value} in ['', '{NONE}'] ? optional.none() : optional.of({value})" for name, value in amounts
        ]
        some = [f"!({value} in ['', '{NONE}'])" for _, value in amounts]
        some.append(f"variables.usualResources[?'{part}'][?{quoted(_OTHER)}].hasValue()")
        whole = f"{{{', '.join([*there, others])}}}"
        parts.append(f"?'{part}': {' || '.join(some)} ? optional.of(dyn({whole})) : optional.none()")
    return "{" + ", ".join(parts) + "}"


VARIABLES: Final[dict[str, str]] = {
    "namespaceAnnotations": "namespaceObject.metadata.?annotations.orValue({})",
    "podLevel": (
        "['cpu', 'memory'].filter(name, name in object.spec.?resources.?requests.orValue({}) "
        "|| name in object.spec.?resources.?limits.orValue({}))"
    ),
    **{_variable(each): _chosen(each) for each in ANNOTATIONS},
    # Most pods: all else is skipped for them.
    "usualAlone": (
        "size(variables.podLevel) == 0 && "
        f"!{list(ANNOTATIONS)}.exists(name, name in variables.asked || {quoted(PREFIX)} + name in {_NAMESPACE})"
    ),
    "resources": f"variables.usualAlone ? variables.usualResources : {_resources()}",
}


def is_amount(value: str) -> str:
    """Whether the text is an amount, or takes one away."""
    return f"({value} == '{NONE}' || {value}.matches({_PATTERN}))"


def of_annotations() -> Iterator[tuple[str, str]]:
    """The annotations of the pod that are no amounts: which, and the condition."""
    for each in ANNOTATIONS:
        yield each, f"!{is_amount(asked(each))}"


def of_result() -> Iterator[tuple[str, str]]:
    """What the namespace's annotations make impossible, for a pod that has no sidecar yet."""
    for each in ANNOTATIONS:
        name = PREFIX + each
        value = f"{_NAMESPACE}[?{quoted(name)}].orValue('{NONE}')"
        unused = f"{quoted(each)} in variables.asked || '{each.partition('-')[0]}' in variables.podLevel"
        sentence = _refused(pod(), {name: "<value>"}, {"<value>": f"{value}.replace('\\n', '\\\\n')"})
        yield f"!({unused}) && !{is_amount(value)} && !variables.right", sentence
    for name in _NAMES:
        request, limit = (f"string(variables.{name}{part})" for part in ("Request", "Limit"))
        annotations = {f"{PREFIX}{name}-request": "2", f"{PREFIX}{name}-limit": "1"}
        words = {"is 2,": f"'is ' + {request} + ','", "of 1:": f"'of ' + {limit} + ':'"}
        compared = f"quantity({request}).isGreaterThan(quantity({limit}))"
        condition = f"isQuantity({request}) && isQuantity({limit}) && {compared} && !variables.right"
        yield condition, _refused(pod(), annotations, words)


def _refused(example: Pod, namespace: Mapping[str, str], words: Mapping[str, str]) -> str:
    request = patch.injection_request(example, "default", require_lock=True)
    try:
        patch.patch(example, request, SIDECAR, namespace)
    except RequestRefused as refused:
        return text(str(refused), words)
    raise ValueError(f"the injector does not refuse {namespace}")
