"""The sidecar's container and volumes as CEL, by what `leasehold.injector.container` makes of placeholders."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from leasehold.injector import container as made
from leasehold.injector import patch
from leasehold.injector.annotations import STARTUP, InjectionRequest
from leasehold.injector.resources import ResourceRequest
from leasehold.lock.names import LockName
from tests.charts.injection.cel import Variant, placeholder, tree


class _Resources(ResourceRequest):
    """Requests and limits that are left to `resources.py`."""

    def resolve(self, default: Mapping[str, Any], namespace: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        return {placeholder("x-resources-x", "variables.resources"): {}}


_REQUEST: Final = InjectionRequest(
    lock=LockName("default", placeholder("x-lock-x", "variables.lock")),
    gate="readiness",
    app_health=placeholder("x-health-x", "variables.health.replace('$', '$$')"),
    ttl=placeholder(7_654_321, "variables.ttl"),
    require_lock=True,
    port=placeholder(54_321, "variables.port"),
    control_port=placeholder(54_322, "variables.controlPort"),
    etcd_secret=placeholder("x-secret-x", "variables.secret"),
    revision_label=placeholder("x-revision-x", "variables.revision"),
    resources=_Resources(),
)
_SIDECAR: Final = made.Sidecar(
    image=placeholder("x-image-x", "variables.image"),
    etcd=(placeholder("x-etcd-x", "variables.etcd.join(',')"),),
    pull_policy=placeholder("x-pull-x", "variables.pullPolicy"),
    etcd_user=placeholder("x-user-x", "variables.etcdUser"),
    password_secret=placeholder("x-password-x", "variables.passwordSecret"),
    root=placeholder("x-root-x", "variables.root"),
)
_TOKEN: Final = {"name": placeholder(f"{made.TOKENS}x", "variables.token"), "mountPath": made.TOKEN_PLACE}
_SPEC: Final[dict[str, Any]] = {
    "terminationGracePeriodSeconds": placeholder(54_323, "variables.grace"),
    "containers": [{"volumeMounts": [_TOKEN]}],
}
Case = tuple[str, InjectionRequest, made.Sidecar, dict[str, Any]]


def _cases() -> Iterator[Case]:
    """One circumstance that differs from the usual at a time, and the condition that it holds under."""
    for gate in ("label", STARTUP):
        yield f"variables.gate == '{gate}'", replace(_REQUEST, gate=gate), _SIDECAR, _SPEC
    yield "!variables.requireLock", replace(_REQUEST, require_lock=False), _SIDECAR, _SPEC
    yield "variables.ttl == ''", replace(_REQUEST, ttl=None), _SIDECAR, _SPEC
    yield "variables.health == ''", replace(_REQUEST, app_health=""), _SIDECAR, _SPEC
    yield "variables.secret == ''", replace(_REQUEST, etcd_secret=""), _SIDECAR, _SPEC
    yield "variables.revision == ''", replace(_REQUEST, revision_label=""), _SIDECAR, _SPEC
    yield f"variables.root == '{made._ROOT}'", _REQUEST, replace(_SIDECAR, root=made._ROOT), _SPEC
    yield "variables.serverTlsOnly", _REQUEST, replace(_SIDECAR, server_tls_only=True), _SPEC
    yield "variables.etcdUser == ''", _REQUEST, replace(_SIDECAR, etcd_user=""), _SPEC
    yield "variables.passwordSecret == ''", _REQUEST, replace(_SIDECAR, password_secret=""), _SPEC
    yield "variables.anyUser", _REQUEST, replace(_SIDECAR, fixed_user=False), _SPEC
    yield "variables.token == ''", _REQUEST, _SIDECAR, {**_SPEC, "containers": []}
    yield "variables.hostNetwork", _REQUEST, _SIDECAR, {**_SPEC, "hostNetwork": True}
    works = {**_SPEC, "initContainers": [{"name": "works"}]}
    yield "variables.health == '' && variables.initWork", replace(_REQUEST, app_health=""), _SIDECAR, works


Made = dict[str, Any]
_USUAL: Final[Made] = {**made.container(_REQUEST, _SIDECAR, _SPEC), "volumes": made.volumes(_REQUEST, _SIDECAR)}
_VARIANTS: Final = [
    Variant(condition, {**made.container(request, sidecar, spec), "volumes": made.volumes(request, sidecar)})
    for condition, request, sidecar, spec in _cases()
]


def part(of: Callable[[Made], Any]) -> str:
    """That part of the container, or of its volumes, as an expression."""
    return tree(of(_USUAL), [Variant(each.condition, of(each.tree)) for each in _VARIANTS])


def _without_volumes(whole: Made) -> Made:
    return {name: value for name, value in whole.items() if name != "volumes"}


ARGUMENTS: Final = part(lambda whole: whole["args"])
CONTAINER: Final = part(_without_volumes).replace(ARGUMENTS, "variables.arguments")
"""The container that the pod is to have."""
VOLUMES: Final = part(lambda whole: whole["volumes"])
"""Its volumes."""
LISTS: Final = ("env", "ports", "volumeMounts", "volumes")
"""Those that other webhooks may add to."""


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Where the scalars of an element of a list are, as CEL; a `?` ends what need only be there. Of lists the first."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield from _paths(value[0], f"{path}[?0]")
    elif isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _paths(inner, f"{path}.?{name}")
    else:
        yield f"{path}?" if isinstance(value, Mapping) else path


def _shape(name: str) -> list[str]:
    """All paths of a list's elements, whichever element has them."""
    return list(
        dict.fromkeys(
            path for one in (_USUAL, *(each.tree for each in _VARIANTS)) for each in one[name] for path in _paths(each)
        )
    )


def marks(name: str, elements: str) -> str:
    """Each element of a list of the pod as one text, made of all that the injector sets in any element of it."""
    parts = (
        f"string(e{path[:-1]}.hasValue())" if path.endswith("?") else f"string(e{path}.orValue(''))"
        for path in _shape(name)
    )
    return f"{elements}.map(e, " + " + ' ' + ".join(parts) + ")"


def _mark(name: str, element: Made) -> str:
    """The same of an element that the injector makes."""
    texts = []
    for path in _shape(name):
        value = _at(element, path.removesuffix("?"))
        told = str(value is not None).lower() if path.endswith("?") else "" if value is None else value
        texts.append(str(told).lower() if isinstance(told, bool) else str(told))
    return " ".join(texts)


def desired_marks(name: str) -> str:
    """Those that the pod is to have."""
    return part(lambda whole: [_mark(name, each) for each in whole[name]])


def right() -> str:
    """Whether the pod has the sidecar that it asks for now; other webhooks may have changed what does not matter."""
    scalars = {name: _USUAL[name] for name in patch._DECISIVE if name not in (*LISTS, "args")}
    same = [f"c{path}.orValue(dyn('')) == {tree(_at(scalars, path))}" for path in _paths(scalars)]
    same += ["c.?args.orValue([]) == variables.arguments"]
    same += [f"size(c.?{name}.orValue([])) == 0" for name in ("command", "envFrom")]
    for name in LISTS[:-1]:
        same.append(f"sets.contains({marks(name, f'c.?{name}.orValue([])')}, {desired_marks(name)})")
    volumes = f"sets.contains({marks('volumes', 'variables.presentVolumes')}, {desired_marks('volumes')})"
    names = "variables.environment"
    own = f"c.?env.orValue([]).all(e, !e.name.startsWith('LEASEHOLD_') || e.name in {names})"
    first = f"variables.present.filter(c, c.name == '{made.NAME}')[?0]"
    return f"variables.injected && {first}.optMap(c, {' && '.join([*same, own])}).orValue(false) && {volumes}"


def environment() -> str:
    """The names of the sidecar's variables."""
    return part(lambda whole: [each["name"] for each in whole["env"]])


def _at(value: Any, path: str) -> Any:
    """What is there, None if nothing is."""
    for name, first in re.findall(r"\.\?(\w+)|\[\?(0)\]", path):
        if not value:
            return None
        value = value[0] if first else value.get(name)
    return value
