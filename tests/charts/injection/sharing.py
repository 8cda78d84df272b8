"""The sidecar's part of its pod's own resources as CEL, as `leasehold.injector.sharing` reckons it."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from leasehold.injector import container
from leasehold.injector.resources import NONE
from leasehold.injector.sharing import MOST_THOUSANDTHS, NAMES
from tests.charts.injection.cel import quoted
from tests.charts.injection.request import asked
from tests.unit.injector.pods import Pod, pod

_AT: Final = f"lists.range(size(variables.present)).filter(i, variables.present[i].name == {quoted(container.NAME)})[0]"
_EVERYTHING: Final = "(variables.initContainers + object.spec.containers)"
_SIDECAR: Final = "{}.?restartPolicy.orValue('') == 'Always'"
_WHOLE: Final = {"cpu": "1", "memory": "1Ki"}
"""What the pods of the examples have, and below what of it is left, as a sentence says it."""
_LEFT: Final = {"cpu": "1000m", "memory": "1024"}


def _thousandths(amount: str) -> str:
    """In 64 bits, and a few of them together as well."""
    exact = f"quantity(string({amount})).asApproximateFloat() * 1000.0 + 0.5"
    return f"int([{exact}, {float(MOST_THOUSANDTHS)}].min())"


def _given(of: str, part: str, name: str) -> str:
    return f"{of}[?'{part}'][?'{name}'].orValue('')"


def _annotated(name: str, part: str) -> str:
    """What the pod's annotation asks for, "" if that is nothing."""
    text = asked(f"{name}-{part}", quoted(NONE))
    return f"({text} == {quoted(NONE)} ? '' : {text})"


def _together(name: str, of: Callable[[str, str], str]) -> str:
    """What the containers have together, in thousandths."""
    inits = "variables.initContainers"
    running = f"(object.spec.containers + {inits}.filter(c, {_SIDECAR.format('c')}))"
    begun = f"lists.range(i + 1).filter(j, j == i || {_SIDECAR.format(f'{inits}[j]')}).map(j, {inits}[j])"
    of_each = _thousandths(f"{of('c', name)}.orValue('0')")
    running, begun = (f"{containers}.map(c, {of_each}).sum()" for containers in (running, begun))
    return f"([{running}] + lists.range(size({inits})).map(i, {begun})).max()"


def _request_of(container: str, name: str) -> str:
    """An optional."""
    return f"{container}.?resources.?requests[?'{name}'].or({_limit_of(container, name)})"


def _limit_of(container: str, name: str) -> str:
    """An optional."""
    return f"{container}.?resources.?limits[?'{name}']"


def _own_request(name: str) -> str:
    """The pod's own, or the one that it is given for its limit; "" if there is none."""
    given, limit = (_given("variables.ownResources", part, name) for part in ("requests", "limits"))
    some = f"{_EVERYTHING}.exists(c, {_request_of('c', name)}.hasValue())"
    defaulted = f"{some} ? dyn({_amount(name, f'variables.{name}Requested')}) : {limit}"
    return f"{given} != '' || {limit} == '' ? {given} : {defaulted}"


def _own_limit(name: str) -> str:
    """The pod's own, or the one that it is given for its request; "" if there is none."""
    request, limit = (_given("variables.ownResources", part, name) for part in ("requests", "limits"))
    is_given = f"{request} != '' && {limit} == '' && {_annotated(name, 'limit')} == ''"
    all_have = f"{_EVERYTHING}.all(c, {_limit_of('c', name)}.hasValue())"
    most = f"[{_thousandths(request)}, variables.{name}Limited].max()"
    return f"{is_given} && {all_have} ? dyn({_amount(name, most)}) : {limit}"


def _room(name: str) -> str:
    """-1 if the pod has no requests of its own."""
    whole = f"variables.{name}Own"
    left = f"{_thousandths(whole)} - variables.{name}Requested"
    return f"{whole} == '' ? -1 : [0, {left}].max()"


def _amount(name: str, thousandths: str) -> str:
    milli = f"string({thousandths}) + 'm'"
    return milli if name == "cpu" else f"({thousandths} % 1000 == 0 ? string({thousandths} / 1000) : {milli})"


def _more(one: str, other: str) -> str:
    """Whether both are amounts, and the one is more."""
    return f"isQuantity({one}) && isQuantity({other}) && quantity({one}).isGreaterThan(quantity({other}))"


def _variables() -> Iterator[tuple[str, str]]:
    yield "ownResources", "object.spec.?resources.orValue(dyn({}))"
    for name in NAMES:
        yield f"{name}Requested", _together(name, _request_of)
        yield f"{name}Limited", _together(name, _limit_of)
        yield f"{name}Own", _own_request(name)
        yield f"{name}OwnLimit", _own_limit(name)
        yield f"{name}Room", _room(name)
    yield "sidecarHas", f"variables.present[{_AT}].?resources.orValue(dyn({{}}))"
    for name in NAMES:
        limit, whole = (_given(f"variables.{of}", "limits", name) for of in ("sidecarHas", "ownResources"))
        lowered = f"{_annotated(name, 'limit')} == '' && {_more(f'string({limit})', f'string({whole})')}"
        yield f"{name}LimitFits", f"{lowered} ? {whole} : {limit}"
        most = f"variables.{name}LimitFits"
        request = _thousandths(_given("variables.sidecarHas", "requests", name))
        room = f"variables.{name}Room"
        yield (
            f"{name}RequestFits",
            f"([{request}] + ({most} == '' ? [] : [{_thousandths(most)}]) + ({room} < 0 ? [] : [{room}])).min()",
        )


VARIABLES: Final[dict[str, str]] = dict(_variables())


def lowered() -> str:
    """Operations as those of `patch._fit`."""
    path = f"'/spec/initContainers/' + string({_AT}) + '/resources/"
    parts = []
    for name in NAMES:
        limit = _given("variables.sidecarHas", "limits", name)
        request = _given("variables.sidecarHas", "requests", name)
        fits, lowest = f"variables.{name}LimitFits", f"variables.{name}RequestFits"
        change = _replaced(f"{path}limits/{name}'", fits)
        parts.append(f"({fits} == {limit} ? [] : [{change}])")
        kept = f"{request} == '' || {_annotated(name, 'request')} != ''"
        change = _replaced(f"{path}requests/{name}'", _amount(name, lowest))
        parts.append(f"({kept} ? [] : {lowest} < {_thousandths(request)} ? [{change}] : [])")
    return " + ".join(parts)


def written_down() -> str:
    """Operations as those of `patch._write_down`."""
    return f"{_written_down('requests', 'Own')} + {_written_down('limits', 'OwnLimit')}"


def _written_down(part: str, own: str) -> str:
    path = f"/spec/resources/{part}"
    same = {name: f"variables.{name}{own} == {_given('variables.ownResources', part, name)}" for name in NAMES}
    begun = f"{' && '.join(same.values())} || size(variables.ownResources.?{part}.orValue(dyn({{}}))) > 0"
    parts = [f"({begun} ? [] : [JSONPatch{{op: 'add', path: '{path}', value: {{}}}}])"]
    for name in NAMES:
        added = f"JSONPatch{{op: 'add', path: '{path}/{name}', value: variables.{name}{own}}}"
        parts.append(f"({same[name]} ? [] : [{added}])")
    return " + ".join(parts)


def _replaced(path: str, value: str) -> str:
    return f"JSONPatch{{op: 'replace', path: {path}, value: {value}}}"


def without_room() -> Iterator[tuple[str, Pod, dict[str, str]]]:
    """When annotations ask for more than there is: the condition, such a pod, and what stands in it for what."""
    for name in NAMES:
        own = {part: {name: _WHOLE[name]} for part in ("requests", "limits")}
        spare = _amount(name, f"variables.{name}Room")
        request, limit = _annotated(name, "request"), _annotated(name, "limit")
        words = {"is 1M,": f"'is ' + {request} + ','", f" {_LEFT[name]} ": f"' ' + {spare} + ' '"}
        condition = f"variables.{name}Room >= 0 && {_more(request, spare)}"
        yield condition, _example(own, f"{name}_request"), words
        whole = f"string({_given('variables.ownResources', 'limits', name)})"
        words = {"is 1M,": f"'is ' + {limit} + ','", f" {_WHOLE[name]} ": f"' ' + {whole} + ' '"}
        yield _more(limit, whole), _example(own, f"{name}_limit"), words


def _example(own: dict[str, Any], annotation: str) -> Pod:
    return pod(None, {"resources": own}, **{annotation: "1M"})
