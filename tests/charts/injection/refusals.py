"""Why a pod is refused: conditions in CEL, sentences from the injector.

Each check has a pod that the injector refuses for it. What differs from pod to pod stands in the example as a
placeholder, and becomes CEL in the sentence.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from leasehold.injector import annotations, container, patch, validation
from leasehold.injector.annotations import RequestRefused
from leasehold.lock import names
from leasehold.lock.kube_names import INJECT_LABEL, INJECTED, LEADER_LABEL, OPT_IN_LABEL, PREFIX, REFUSED
from leasehold.lock.spec import MAX_TTL, MIN_TTL
from tests.charts.injection import resources, sharing
from tests.charts.injection.cel import quoted, text
from tests.charts.injection.request import KNOWN, asked, given, is_integer
from tests.unit.injector.pods import SIDECAR, Pod, injected, pod

_OURS: Final = [quoted(PREFIX + name) for name in KNOWN] + [quoted(name) for name in (*annotations._OURS, REFUSED)]
_KNOWN: Final = "[" + ", ".join(map(quoted, KNOWN)) + "]"
_PORT: Final = "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HOST: Final = r"(\[[0-9a-f:.]+\]|[a-z0-9_]([-a-z0-9_.]*[a-z0-9_])?\.?)"
_PLAIN: Final = "variables.{}.lowerAscii().replace('-', '').replace('_', '')"
_STATE: Final = quoted(container.STATE)
_ODD_VOLUME: Final = (
    f"v.name in [{', '.join(map(quoted, patch._ADDED['volumes']))}] || (v.name == {_STATE} && !has(v.emptyDir))"
)


@dataclass(frozen=True)
class Check:
    """Under this condition a pod is refused as the example is; `words` are the example's placeholders."""

    condition: str
    example: Pod
    words: Mapping[str, str] = field(default_factory=dict)

    def sentence(self) -> str:
        """The injector's sentence as a CEL expression. Raises ValueError if it refuses nothing."""
        try:
            injected(self.example)
        except RequestRefused as refused:
            return text(str(refused), self.words)
        raise ValueError(f"the injector does not refuse {self.example}")


def shown(name: str) -> str:
    """An annotation as a sentence shows it: its beginning, on one line."""
    return f"variables.shown[{quoted(name)}]"


def _wrong(name: str, condition: str, value: str = "") -> Check:
    """The annotation is given, and its text is no value."""
    value = value or f"<{name}>"
    example = pod(None, None, **{name.replace("-", "_"): value})
    return Check(f"{given(name)} && {condition}", example, {value: shown(name)})


def _not_name(text_of: str) -> str:
    return f"({text_of}.size() > 253 || !{text_of}.matches('^{names._SUBDOMAIN.pattern}$'))".replace("\\", "\\\\")


def _of_names() -> Iterator[Check]:
    """Annotations and labels that are not to be there."""
    yield Check(f"{quoted(INJECTED)} in variables.annotations && !variables.injected", pod(injected="0"))
    unknown = "variables.unknown[0]"
    first = {f"{PREFIX}locks": unknown, f"{PREFIX}lock?": f"{quoted(PREFIX)} + variables.near[0] + '?'"}
    yield Check("size(variables.near) > 0", pod(locks="x"), first)
    yield Check("size(variables.unknown) > 0", pod(colour="x"), {f"{PREFIX}colour": unknown})
    label = f"variables.labels[{quoted(INJECT_LABEL)}]"
    yield Check(f"{label} != 'true'", pod(labels={INJECT_LABEL: "<inject>"}), {"<inject>": label})
    odd = "variables.oddLabels[0]"
    some = "size(variables.oddLabels) > 0"
    yield Check(f"{some} && {odd} == {quoted(LEADER_LABEL)}", pod(labels={LEADER_LABEL: "true"}))
    moved = pod(labels={f"{PREFIX}gate": "label"})
    yield Check(f"{some} && {odd}.substring({len(PREFIX)}) in {_KNOWN}", moved, {f"{PREFIX}gate": odd})
    yield Check(some, pod(labels={f"{PREFIX}locked": "x"}), {f"{PREFIX}locked": odd})


def _of_health() -> Iterator[Check]:
    """The app's health check is no URL."""

    def wrong(condition: str, value: str) -> Check:
        return _wrong("app-health", condition.replace("\\", "\\\\"), value)

    yield wrong(r"!variables.health.matches('^[\x21-\x7e]*$')", "<app-health> ")
    yield wrong("!variables.health.matches('(?i)^https?://')", "<app-health>")
    yield wrong("variables.health.matches('^[^:]+://[^/?#]*@')", "http://<app-health>@x")
    port = r"variables.health.matches('^[^:]+://(\[[^\]]*\]|[^/?#:]*):') && !variables.health.matches("
    yield wrong(port + rf"'^[^:]+://(\[[^\]]*\]|[^/?#:]*):{_PORT}([/?#]|$)')", "http://x:0")
    name, bracketed = "variables.healthHost", r"variables.health.find('://\[[^/?#]*\]')"
    hosts = (
        rf"!variables.health.matches('(?i)^https?://{_HOST}(:{_PORT})?([/?#].*)?$')",
        f"{name}.contains('..') || {name}.size() > 253 || ({name}.matches('^[0-9.]+$') && !isIP({name}))",
        rf"({bracketed} != '' && !isIP({bracketed}.replace('://[', '').replace(']', '')))",
    )
    yield wrong(f"({' || '.join(hosts)})", "http://<app-health>")


def _of_values() -> Iterator[Check]:
    """The other annotations, as the injector reads them one after the other."""
    yield Check(f"!({given('lock')})", pod(lock=""))
    yield _wrong("lock", "variables.lock.contains('/')", "<lock>/")
    yield _wrong("lock", _not_name("variables.lock"))
    gates = "[" + ", ".join(map(quoted, annotations.GATES)) + "]"
    yield _wrong("gate", f"!(variables.gate in {gates})")
    yield _wrong("ttl", "!" + is_integer(asked("ttl"), MIN_TTL, MAX_TTL))
    yield _wrong("require-lock", f"!({asked('require-lock')} in ['true', 'false'])")
    yield _wrong("port", "!" + is_integer(asked("port"), 1, 65_535))
    yield _wrong("control-port", "!" + is_integer(asked("control-port"), 1, 65_535))
    yield _wrong("etcd-secret", _not_name(asked("etcd-secret")))
    for name, condition in resources.of_annotations():
        yield _wrong(name, condition)


def _of_relations() -> Iterator[Check]:
    """What does not go together."""
    yield Check(f"variables.gate == '{annotations.STARTUP}' && variables.health != ''", pod(gate=annotations.STARTUP))
    same = pod(port="5000", control_port="5000")
    yield Check("variables.port == variables.controlPort", same, {"5000": "string(variables.port)"})
    revision = annotations._REVISION_LABELS[0]
    yield Check("variables.revision != '' && variables.health == ''", pod({revision: "x"}, app_health=""))
    static = pod()
    static["metadata"]["annotations"][validation._MIRROR] = "x"
    yield Check(f"{quoted(validation._MIRROR)} in variables.annotations", static)
    windows = f"object.spec.?nodeSelector[?{quoted(validation._OS)}].orValue('') == 'windows'"
    yield Check(f"object.spec.?os.?name.orValue('') == 'windows' || {windows}", pod(spec={"os": {"name": "windows"}}))


def _of_spec() -> Iterator[Check]:
    """What the pod has already."""
    named = [{"name": container.NAME}]
    everything = "(variables.initContainers + object.spec.containers)"
    yield Check(f"{everything}.exists(c, c.name == {quoted(container.NAME)})", pod(spec={"containers": named}))
    odd, some = "variables.oddVolumes[0].name", "size(variables.oddVolumes) > 0"
    state = pod(spec={"volumes": [{"name": container.STATE, "hostPath": {}}]})
    yield Check(f"{some} && {odd} == {_STATE}", state)
    yield Check(some, pod(spec={"volumes": [{"name": container.TLS}]}), {container.TLS: odd})
    clash, some = "variables.clashes[0]", "size(variables.clashes) > 0"
    owner = {"<owner>": f"{clash}.owner"}
    yield Check(f"{some} && {clash}.named", _with_port({"name": container.NAME, "containerPort": 1}), owner)
    words = {**owner, "4040": f"string({clash}.port)", f"{PREFIX}port": f"{clash}.annotation"}
    yield Check(some, _with_port({"containerPort": 4040}), words)
    yield from (Check(*each) for each in sharing.without_room())


def _with_port(port: dict[str, Any]) -> Pod:
    return pod(spec={"containers": [{"name": "<owner>", "ports": [port]}]})


def _plain() -> str:
    """Whether nothing is unusual about a pod, so that no sentence can apply: most are like this, and judged in no time.

    Whatever is not is judged sentence by sentence, which takes a millisecond.
    """
    names = [quoted(PREFIX + name) for name in ("lock", "gate", "app-health", "require-lock")]
    usual = "[" + ", ".join([*names, quoted(INJECTED)]) + "]"
    host = rf"^https?://(127\.0\.0\.1|localhost)(:{_PORT})?(/[-A-Za-z0-9/_.]*)?$".replace("\\", "\\\\")
    healthy = f"variables.health.matches('{host}') && variables.gate != '{annotations.STARTUP}'"
    system = f"object.spec.?nodeSelector[?{quoted(validation._OS)}].orValue('')"
    ports = f"p.?name.orValue('') != {quoted(container.NAME)} && !(p.containerPort in [4040, 4041])"
    return " && ".join(
        (
            f"variables.annotations.all(name, !name.startsWith({quoted(PREFIX)}) || name in {usual})",
            f"({quoted(INJECTED)} in variables.annotations) == variables.injected",
            f"!({quoted(validation._MIRROR)} in variables.annotations)",
            f"variables.labels.all(name, !name.startsWith({quoted(PREFIX)}) || name == {quoted(INJECT_LABEL)})",
            f"variables.labels[{quoted(INJECT_LABEL)}] == 'true'",
            f"{given('lock')} && !{_not_name('variables.lock')}",
            f"variables.gate in [{', '.join(map(quoted, annotations.GATES))}]",
            f"{asked('require-lock', quoted('true'))} in ['true', 'false']",
            f"({given('app-health')} ? {healthy} : variables.revision == '')",
            f"!has(object.spec.os) && {system} != 'windows' && !variables.hostNetwork",
            "(variables.initContainers + object.spec.containers).all(c, "
            f"c.name != {quoted(container.NAME)} && c.?ports.orValue([]).all(p, {ports}))",
            f"!variables.volumes.exists(v, {_ODD_VOLUME}) && !variables.requireOptIn && variables.usualAlone",
        )
    )


VARIABLES: Final[dict[str, str]] = {
    "plain": _plain(),
    "shown": (
        "variables.asked.transformMap(name, text, (text.size() > 120 ? text.substring(0, 120) : text)"
        ".replace('\\n', '\\\\n'))"
    ),
    "healthHost": "variables.health.find('://[^/?#:]*').replace('://', '')",
    "unknown": (
        f"variables.annotations.filter(name, name.startsWith({quoted(PREFIX)}) "
        f"&& !(name in [{', '.join(_OURS)}])).sort()"
    ),
    "unknownName": f"size(variables.unknown) > 0 ? variables.unknown[0].substring({len(PREFIX)}) : ''",
    "near": (
        f"variables.unknownName == '' ? [] : {_KNOWN}.filter(name, name.startsWith(variables.unknownName) "
        f"|| variables.unknownName.startsWith(name) "
        f"|| name.replace('-', '') == {_PLAIN.format('unknownName')})"
    ),
    "oddLabels": (
        f"variables.labels.filter(name, name.startsWith({quoted(PREFIX)}) && name != {quoted(INJECT_LABEL)}).sort()"
    ),
    "oddVolumes": f"variables.volumes.filter(v, {_ODD_VOLUME})",
    "clashes": (
        "(variables.initContainers + object.spec.containers).map(c, c.?ports.orValue([])"
        f".filter(p, p.?name.orValue('') == {quoted(container.NAME)} || (p.?protocol.orValue('TCP') == 'TCP' && "
        "(p.containerPort == variables.port || "
        "(p.containerPort == variables.controlPort && !variables.hostNetwork))))"
        f".map(p, {{'owner': dyn(c.name), 'named': dyn(p.?name.orValue('') == {quoted(container.NAME)}), "
        f"'port': dyn(p.containerPort), 'annotation': dyn(p.containerPort == variables.port ? "
        f"{quoted(PREFIX + 'port')} : {quoted(PREFIX + 'control-port')})}})).flatten()"
    ),
    "etcdInCluster": (
        "variables.etcd.map(u, url(u).getHostname()).filter(host, host.endsWith('.svc') || host.contains('.svc.'))"
    ),
}


def _of_etcd() -> Iterator[tuple[str, str]]:
    """What depends on the chart's etcd, too."""
    plain = pod(etcd_secret="x-secret")
    words = {"x-secret": "variables.secret"}
    yield (
        f"{asked('etcd-secret')} != '' && !variables.etcd.all(u, u.startsWith('https://'))",
        _refused(plain, words, etcd=("http://etcd:2379",)),
    )
    on_host = pod(spec={"hostNetwork": True})
    yield (
        (
            "variables.hostNetwork && object.spec.?dnsPolicy.orValue('ClusterFirst') == 'ClusterFirst' "
            "&& size(variables.etcdInCluster) > 0"
        ),
        _refused(on_host, {"x.svc": "variables.etcdInCluster[0]"}, etcd=("https://x.svc:2379",)),
    )


def _refused(example: Pod, words: Mapping[str, str], *, etcd: tuple[str, ...]) -> str:
    try:
        injected(example, replace(SIDECAR, etcd=etcd))
    except RequestRefused as refused:
        return text(str(refused), words)
    raise ValueError(f"the injector does not refuse {example}")


def _opt_in() -> tuple[str, str]:
    label = f"namespaceObject.metadata.?labels[?{quoted(OPT_IN_LABEL)}].orValue('')"
    condition = f"variables.requireOptIn && {label} != {quoted(patch._OPTED_IN)}"
    try:
        patch.check_opted_in("<namespace>", {})
    except RequestRefused as refused:
        return condition, text(str(refused), {"<namespace>": "request.namespace"})
    raise ValueError("the injector does not refuse a namespace that has not opted in")


def checks() -> list[Check]:
    """Those that depend on the pod alone."""
    return [*_of_names(), *_of_health(), *_of_values(), *_of_relations(), *_of_spec()]


def refusals() -> list[tuple[str, str]]:
    """Conditions with their sentences, in the order in which the injector has them: the first that holds counts."""
    before = [*_of_names(), *_of_health(), *_of_values(), *_of_relations()]
    parts = [(each.condition, each.sentence()) for each in before]
    return [
        *parts,
        *_of_etcd(),
        *((each.condition, each.sentence()) for each in _of_spec()),
        _opt_in(),
        *resources.of_result(),
    ]
