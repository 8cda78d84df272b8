"""The sidecar's part of what its pod has for all containers, and of what a LimitRange gave it. Pure.

LimitRanger gives its namespace's defaults to all containers that say nothing themselves. It runs before the injector,
and once more after it, when the sidecar is one of them. Of its requests the pod's own (`spec.resources`) may be too
small for one container more, its limit may be above the pod's or below the sidecar's request: the API server would
refuse a pod that it takes without a sidecar. So at its second look the injector lowers what doesn't fit.

A pod with a limit of its own is given a request of its own: what its containers request together, or the limit where
none does. Up to Kubernetes 1.36 that is done before admission. Since 1.37 it is done after it, when the sidecar would
count as well: what guaranteed the pod all of its limit would guarantee it the sidecar's request, or there would be no
room for that. So the injector writes the request down as it is without a sidecar.

Since 1.37 a pod with a request of its own is given a limit, too, if all its containers have one: what these have
together, or the request where that is more. The sidecar often has none, so the pod would have none either, and would no
longer be Guaranteed. So the injector writes that limit down as well, unless the annotations give the sidecar one. It
cannot tell which release asks: up to 1.36, the pod has this limit only with its sidecar.

What the pod's annotations ask for is never lowered; where the pod has no room for it, it is refused with a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from leasehold.injector.resources import NONE, InvalidResources, quantity
from leasehold.lock.kube_names import PREFIX

NAMES: Final = ("cpu", "memory")
MOST_THOUSANDTHS: Final = 10**18
"""More than any node has. The API server reckons in 64 bits, and some limits only say that there is none."""
_PLACES: Final = ("containers", "initContainers")
Object = Mapping[str, Any]


def check(spec: Object, annotated: Mapping[str, str]) -> None:
    """Raises InvalidResources if the pod's own resources cannot hold what its annotations ask for.

    `spec` has no sidecar.
    """
    for name in NAMES:
        asked = _asked(annotated, f"{name}-request")
        room = _room(spec, name)
        if asked and room is not None and _thousandths(asked) > room:
            left = _amount(name, room)
            raise InvalidResources(
                f"{PREFIX}{name}-request is {asked}, but the pod's own requests leave {left} of {name} for its "
                f"sidecar: raise requests.{name} in spec.resources, or remove the annotation"
            )
        asked = _asked(annotated, f"{name}-limit")
        whole = _given(spec, "limits", name)
        if asked and whole and _thousandths(asked) > _thousandths(whole):
            raise InvalidResources(
                f"{PREFIX}{name}-limit is {asked}, above the {whole} that the pod has for all its containers: "
                f"raise limits.{name} in spec.resources, or lower the annotation"
            )


def fitted(spec: Object, sidecar: Object, annotated: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """What has to be lowered of this sidecar's resources: part, name and amount. `spec` is without it."""
    for name in NAMES:
        limit, whole = _given(sidecar, "limits", name), _given(spec, "limits", name)
        if limit and whole and not _asked(annotated, f"{name}-limit") and _thousandths(limit) > _thousandths(whole):
            yield "limits", name, (limit := whole)
        request = _given(sidecar, "requests", name)
        if request and not _asked(annotated, f"{name}-request"):
            most = [_thousandths(request), *(_thousandths(each) for each in (limit,) if each)]
            room = _room(spec, name)
            lowest = min(most if room is None else [*most, room])
            if lowest < most[0]:
                yield "requests", name, _amount(name, lowest)


def implied_requests(spec: Object, annotated: Mapping[str, str]) -> dict[str, str]:
    """The sidecar's requests by name where the annotations give it a limit alone: what the pod has room for.

    The API server would make the limit its request, and would not ask again. `spec` has no sidecar.
    """
    alone = (name for name in NAMES if not _asked(annotated, f"{name}-request"))
    limited = ((name, _asked(annotated, f"{name}-limit"), _room(spec, name)) for name in alone)
    return {
        name: _amount(name, room)
        for name, limit, room in limited
        if limit and room is not None and room < _thousandths(limit)
    }


def own_requests(spec: Object) -> dict[str, str]:
    """The requests that the API server gives this pod for its own limits, by name. `spec` has no sidecar."""
    found = ((name, _own_request(spec, name)) for name in NAMES if not _given(spec, "requests", name))
    return {name: amount for name, amount in found if amount}


def own_limits(spec: Object, annotated: Mapping[str, str]) -> dict[str, str]:
    """The limits that it gives this pod for its own requests, by name; none where its annotations give the sidecar one.

    `spec` has no sidecar.
    """
    found = ((name, _own_limit(spec, name)) for name in NAMES if not _asked(annotated, f"{name}-limit"))
    return {name: amount for name, amount in found if amount}


def _own_limit(spec: Object, name: str) -> str:
    request = _given(spec, "requests", name)
    if not request or _given(spec, "limits", name):
        return ""
    if not all(_limit_of(each, name) for place in _PLACES for each in spec.get(place) or ()):
        return ""
    return _amount(name, max(_thousandths(request), _together(spec, name, _limit_of)))


def _own_request(spec: Object, name: str) -> str:
    given, limit = _given(spec, "requests", name), _given(spec, "limits", name)
    if given or not limit:
        return given
    if any(_request_of(each, name) for place in _PLACES for each in spec.get(place) or ()):
        return _amount(name, _requested(spec, name))
    return limit


def _asked(annotated: Mapping[str, str], name: str) -> str:
    text = annotated.get(name, NONE)
    return "" if text == NONE else text


def _given(spec: Object, part: str, name: str) -> str:
    return str(((spec.get("resources") or {}).get(part) or {}).get(name, ""))


def _room(spec: Object, name: str) -> int | None:
    """What the pod's own requests leave for the sidecar, in thousandths; None if the pod has none."""
    whole = _own_request(spec, name)
    return max(0, _thousandths(whole) - _requested(spec, name)) if whole else None


def _requested(spec: Object, name: str) -> int:
    """What the containers request together, in thousandths."""
    return _together(spec, name, _request_of)


def _together(spec: Object, name: str, of: Callable[[Object, str], str]) -> int:
    """What the containers have together, in thousandths, as the API server reckons it.

    Beside each container run the sidecars that start before it.
    """
    beside = most = 0
    for each in spec.get("initContainers") or ():
        most = max(most, beside + (own := _thousandths(of(each, name))))
        beside += own if each.get("restartPolicy") == "Always" else 0
    return max(most, beside + sum(_thousandths(of(each, name)) for each in spec.get("containers") or ()))


def _request_of(container: Object, name: str) -> str:
    """Without a request of its own it is the limit: a pod shows that, the template of a workload does not."""
    return _given(container, "requests", name) or _limit_of(container, name)


def _limit_of(container: Object, name: str) -> str:
    return _given(container, "limits", name)


def _thousandths(text: str) -> int:
    """Rounded up, as the API server does it."""
    try:
        return min(math.ceil(quantity(text) * 1000), MOST_THOUSANDTHS)
    except ValueError:
        return 0  # none, or one such as -1, for which the API server refuses the pod


def _amount(name: str, thousandths: int) -> str:
    """Exactly: a request that was rounded down would be less than what the containers request."""
    is_whole = name != "cpu" and thousandths % 1000 == 0
    return f"{thousandths // 1000}" if is_whole else f"{thousandths}m"
