"""The sidecar's container and volumes, as data for the API server. Pure.

They match the library chart `leasehold-sidecar`, field by field; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from leasehold.injector.annotations import LABEL, STARTUP, InjectionRequest
from leasehold.settings.flags import MAX_TERMINATION_GRACE_SECONDS

NAME: Final = "leasehold"
STATE: Final = "leasehold-state"
TLS: Final = "leasehold-etcd"
AUTH: Final = "leasehold-etcd-auth"
POD: Final = "leasehold-pod"
"""The pod's own labels, which the kubelet keeps up to date."""
_USER: Final = 65532
_ROOT: Final = "/leasehold"
_DEFAULT_GRACE_SECONDS: Final = 30
_LABELS_FILE: Final = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
TOKENS: Final = "kube-api-access-"
"""How the API server's own volumes begin that hold a service account's token; below, where it mounts them."""
TOKEN_PLACE: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_NEVER: Final = 2**31 - 1
"""A probe that fails so often has failed for longer than any pod lives."""
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The settings that all injected sidecars share.

    `etcd_secret` is "" if etcd has no TLS, `password_secret` if it has no users; with `server_tls_only`, sidecars show
    no client certificate. Without `fixed_user`, the platform chooses the user, as OpenShift wants to.
    """

    image: str
    etcd: Sequence[str]
    pull_policy: str = "IfNotPresent"
    etcd_secret: str = ""
    server_tls_only: bool = False
    etcd_user: str = ""
    password_secret: str = ""
    root: str = _ROOT
    resources: Mapping[str, Any] = field(default_factory=dict)
    pull_secrets: Sequence[str] = ()
    fixed_user: bool = True


def container(request: InjectionRequest, sidecar: Sidecar, spec: Mapping[str, Any]) -> Object:
    """The container for a pod of this spec, as it is without a sidecar."""
    return {
        "name": NAME,
        "image": sidecar.image,
        "imagePullPolicy": sidecar.pull_policy,
        "restartPolicy": "Always",
        "args": _arguments(request, sidecar, spec),
        "env": [*_settings(request, sidecar), *map(_from_pod, _POD.items())],
        "ports": [{"name": NAME, "containerPort": request.port}],
        "readinessProbe": {
            "httpGet": {"path": "/readyz" if request.gate == LABEL else "/leader", "port": request.port},
            "periodSeconds": 1,
            "timeoutSeconds": 3,  # a leader that is short of CPU answers late, and nobody else may lead meanwhile
            "failureThreshold": 1,
        },
        "startupProbe": _startup_probe(request),
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": request.port},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        # cheap, since it runs within the sidecar's limit of CPU
        "lifecycle": {"preStop": {"exec": {"command": ["touch", "/state/ending"]}}},
        "resources": request.resources.resolve(sidecar.resources, {}),
        "securityContext": {
            "runAsNonRoot": True,
            **({"runAsUser": _USER, "runAsGroup": _USER} if sidecar.fixed_user else {}),
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": STATE, "mountPath": "/state"}, *_mounts(request, sidecar), *_token(spec)],
    }


def _startup_probe(request: InjectionRequest) -> Object:
    """Kubernetes starts no later container before this has succeeded."""
    leads = request.gate == STARTUP
    return {
        "httpGet": {"path": "/leader" if leads else "/livez", "port": request.port},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
        # a start takes a third of a second of CPU time: half a minute under a limit of 10m
        "failureThreshold": _NEVER if leads else 180,
    }


def volumes(request: InjectionRequest, sidecar: Sidecar) -> list[Object]:
    """Its volumes."""
    made: list[Object] = [{"name": STATE, "emptyDir": {}}]
    for name, secret in ((TLS, request.etcd_secret or sidecar.etcd_secret), (AUTH, sidecar.password_secret)):
        if secret:
            made.append({"name": name, "secret": {"secretName": secret, "defaultMode": 0o444}})
    if request.gate == LABEL:
        made.append({"name": POD, "downwardAPI": {"items": [_LABELS_FILE]}})
    return made


def _arguments(request: InjectionRequest, sidecar: Sidecar, spec: Mapping[str, Any]) -> list[str]:
    # a pod on its node's network shares loopback with every process there
    control = "unix:/state/control.sock" if spec.get("hostNetwork") else f"127.0.0.1:{request.control_port}"
    arguments = [
        ("--require-lock", request.require_lock),
        (f"--ttl={request.ttl}", request.ttl),
        (f"--root={sidecar.root}", sidecar.root != _ROOT),
        ("--state-dir=/state", True),
        # The kubelet would replace $(NAME) in an argument.
        (f"--app-health={request.app_health.replace('$', '$$')}", request.app_health),
        ("--pod-labels=/pod/labels", request.gate == LABEL),
        (f"--termination-grace={_grace_seconds(spec)}", True),
        # with a health check the sidecar leads only once the app answers: no init container runs then
        ("--init-work", not request.app_health and _has_init_work(spec)),
        (f"--listen=:{request.port}", True),
        (f"--control={control}", True),
    ]
    return ["run", "--native-sidecar", f"--lock={request.lock.name}", *(text for text, present in arguments if present)]


def _grace_seconds(spec: Mapping[str, Any]) -> int:
    given = spec.get("terminationGracePeriodSeconds")
    return _DEFAULT_GRACE_SECONDS if given is None else min(max(given, 0), MAX_TERMINATION_GRACE_SECONDS)


def _has_init_work(spec: Mapping[str, Any]) -> bool:
    return any(each.get("restartPolicy") != "Always" for each in spec.get("initContainers") or ())


_POD: Final = {
    "POD_NAME": "metadata.name",
    "POD_NAMESPACE": "metadata.namespace",
    "POD_UID": "metadata.uid",
    "NODE_NAME": "spec.nodeName",
}


def _settings(request: InjectionRequest, sidecar: Sidecar) -> list[Object]:
    values = {"LEASEHOLD_ETCD": ",".join(sidecar.etcd)}
    if request.etcd_secret or sidecar.etcd_secret:
        values["LEASEHOLD_ETCD_CA"] = "/etcd-tls/ca.crt"
        if not sidecar.server_tls_only:
            values |= {"LEASEHOLD_ETCD_CERT": "/etcd-tls/tls.crt", "LEASEHOLD_ETCD_KEY": "/etcd-tls/tls.key"}
    if sidecar.etcd_user:
        values |= {"LEASEHOLD_ETCD_USER": sidecar.etcd_user, "LEASEHOLD_ETCD_PASSWORD_FILE": "/etcd-auth/password"}
    settings: list[Object] = [{"name": name, "value": value} for name, value in values.items()]
    if request.revision_label:
        settings.append(_from_pod(("LEASEHOLD_GROUP", f"metadata.labels['{request.revision_label}']")))
    return settings


def _from_pod(entry: tuple[str, str]) -> Object:
    name, path = entry
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _mounts(request: InjectionRequest, sidecar: Sidecar) -> list[Object]:
    places = {TLS: "/etcd-tls", AUTH: "/etcd-auth", POD: "/pod"}
    present = {volume["name"] for volume in volumes(request, sidecar)}
    return [{"name": name, "mountPath": path, "readOnly": True} for name, path in places.items() if name in present]


def _token(spec: Mapping[str, Any]) -> list[Object]:
    """The service account's token, if the API server has given it to the pod's first container.

    The sidecar has no use for it. But the API server would add it, and then ask the injector again about the pod that
    it has changed.
    """
    (first, *_) = spec.get("containers") or [{}]
    return [
        {"name": each["name"], "mountPath": TOKEN_PLACE, "readOnly": True}
        for each in first.get("volumeMounts") or ()
        if each.get("mountPath") == TOKEN_PLACE and str(each.get("name")).startswith(TOKENS)
    ]
