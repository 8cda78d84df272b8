"""What a pod asks for, read in CEL as `leasehold.injector.annotations` reads it in Python.

What is not valid is read as the usual: `refusals` says why such a pod is refused, and nothing is injected.
"""

from typing import Final

from leasehold.injector import annotations, container, patch
from leasehold.lock.kube_names import INJECTED, PREFIX
from leasehold.lock.spec import MAX_TTL, MIN_TTL
from leasehold.settings.flags import MAX_TERMINATION_GRACE_SECONDS
from tests.charts.injection.cel import quoted

KNOWN: Final = annotations._KNOWN  # the one list of them
_VOLUMES: Final = "[" + ", ".join(map(quoted, patch._ADDED["volumes"])) + "]"
_LABELS: Final = [quoted(label) for label in annotations._REVISION_LABELS]
_JOBS: Final = [quoted(label) for label in annotations._JOB_LABELS]
_SIDECAR: Final = quoted(container.NAME)


def given(name: str) -> str:
    """Whether the pod has this annotation of ours."""
    return f"{quoted(name)} in variables.asked"


def asked(name: str, default: str = "''") -> str:
    """The annotation's text, or the default, a CEL expression."""
    return f"variables.asked[?{quoted(name)}].orValue({default})"


def is_integer(text: str, low: int, high: int) -> str:
    """Whether the text is an integer within limits, as `settings.parsers.integer` reads it."""
    return f"({text}.matches('^[+-]?[0-9]{{1,18}}$') && int({text}) >= {low} && int({text}) <= {high})"


def _port(name: str, default: int) -> str:
    text = asked(name, f"'{default}'")
    return f"{is_integer(text, 1, 65_535)} ? int({text}) : {default}"


def _ttl() -> str:
    text = asked("ttl")
    return f"{is_integer(text, MIN_TTL, MAX_TTL)} ? string(int({text})) : ''"


def _health() -> str:
    text = asked("app-health")
    return f"({text}.startsWith(':') ? 'http://127.0.0.1' : '') + {text}"


def _grace() -> str:
    default = container._DEFAULT_GRACE_SECONDS
    given_seconds = f"object.spec.?terminationGracePeriodSeconds.orValue({default})"
    return (
        f"{given_seconds} < 0 ? 0 : {given_seconds} > {MAX_TERMINATION_GRACE_SECONDS} ? "
        f"{MAX_TERMINATION_GRACE_SECONDS} : {given_seconds}"
    )


def _revision() -> str:
    first, second = _LABELS
    return f"{first} in variables.labels ? {first} : {second} in variables.labels ? {second} : ''"


def _is_of_job() -> str:
    labelled = " || ".join(f"{label} in variables.labels" for label in _JOBS)
    return f"{labelled} || object.metadata.?ownerReferences.orValue([]).exists(owner, owner.kind == 'Job')"


def _token() -> str:
    mounted = f"m.mountPath == {quoted(container.TOKEN_PLACE)} && m.name.startsWith({quoted(container.TOKENS)})"
    return f"object.spec.?containers[?0].?volumeMounts.orValue([]).filter(m, {mounted})[?0].?name.orValue('')"


VARIABLES: Final[dict[str, str]] = {
    "annotations": "object.metadata.?annotations.orValue({})",
    # ours alone, without the prefix
    "asked": (
        f"variables.annotations.transformMapEntry(name, text, name.startsWith({quoted(PREFIX)}), "
        f"{{name.substring({len(PREFIX)}): text}})"
    ),
    "labels": "object.metadata.?labels.orValue({})",
    "present": "object.spec.?initContainers.orValue([])",
    "presentVolumes": "object.spec.?volumes.orValue([])",
    "presentSecrets": "object.spec.?imagePullSecrets.orValue([])",
    # a sidecar and volumes of an earlier injection; the pod without them is what is judged
    "injected": f"{quoted(INJECTED)} in variables.annotations && variables.present.exists(c, c.name == {_SIDECAR})",
    "initContainers": f"variables.injected ? variables.present.filter(c, c.name != {_SIDECAR}) : variables.present",
    "volumes": (
        f"variables.injected ? variables.presentVolumes.filter(v, !(v.name in {_VOLUMES})) : variables.presentVolumes"
    ),
    "hostNetwork": "object.spec.?hostNetwork.orValue(false)",
    "lock": asked("lock"),
    "health": _health(),
    "ofJob": _is_of_job(),
    "gate": asked("gate", f"variables.ofJob && !({given('app-health')}) ? '{annotations.STARTUP}' : 'readiness'"),
    "ttl": _ttl(),
    "requireLock": asked("require-lock", "string(variables.requireLockByDefault)") + " == 'true'",
    "port": _port("port", 4040),
    "controlPort": _port("control-port", 4041),
    "secret": f"{given('etcd-secret')} ? {asked('etcd-secret')} : variables.etcdSecret",
    "revision": _revision(),
    "grace": _grace(),
    "token": _token(),
    "initWork": "variables.initContainers.exists(c, c.?restartPolicy.orValue('') != 'Always')",
}
"""In order: each may use those before it, and the chart's settings."""
