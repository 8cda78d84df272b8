"""Why a pod cannot get its sidecar, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from leasehold.injector import sharing
from leasehold.injector.annotations import InjectionRequest, RequestRefused
from leasehold.injector.container import AUTH, NAME, POD, STATE, TLS, Sidecar
from leasehold.injector.resources import InvalidResources
from leasehold.lock.kube_names import PREFIX

_MIRROR: Final = "kubernetes.io/config.mirror"
_OS: Final = "kubernetes.io/os"


def check(pod: Mapping[str, Any], request: InjectionRequest, sidecar: Sidecar) -> None:
    """Raises RequestRefused if the sidecar would not work in this pod."""
    spec: Mapping[str, Any] = pod["spec"]
    _check_kind(pod)
    _check_etcd(spec, request, sidecar)
    everything = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    if any(each.get("name") == NAME for each in everything):
        raise RequestRefused(
            f"the pod has a container named {NAME} already: rename it, or remove the label if it is the sidecar"
        )
    for volume in spec.get("volumes") or ():
        _check_volume(volume)
    for port, owner in _ports(everything):
        _check_port(port, owner, _taken(spec, request))
    try:
        sharing.check(spec, request.resources.annotated)
    except InvalidResources as error:
        raise RequestRefused(str(error)) from None


def _check_kind(pod: Mapping[str, Any]) -> None:
    spec: Mapping[str, Any] = pod["spec"]
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        raise RequestRefused(
            "the pod is static, so its kubelet runs it without a sidecar, as its file says: remove the label"
        )
    if "windows" in ((spec.get("os") or {}).get("name"), (spec.get("nodeSelector") or {}).get(_OS)):
        raise RequestRefused("the pod is for Windows, but the sidecar needs Linux: remove the label")


def _check_etcd(spec: Mapping[str, Any], request: InjectionRequest, sidecar: Sidecar) -> None:
    if request.etcd_secret and not all(url.startswith("https://") for url in sidecar.etcd):
        raise RequestRefused(
            f"{PREFIX}etcd-secret is {request.etcd_secret}, but etcd is reached without TLS: remove it"
        )
    if not spec.get("hostNetwork") or spec.get("dnsPolicy", "ClusterFirst") != "ClusterFirst":
        return
    for host in (urlsplit(url).hostname or "" for url in sidecar.etcd):
        if host.endswith(".svc") or ".svc." in host:
            raise RequestRefused(
                f"the pod is on its node's network, whose DNS does not know etcd's {host}: "
                "set dnsPolicy: ClusterFirstWithHostNet"
            )


def _check_volume(volume: Mapping[str, Any]) -> None:
    name = volume.get("name")
    if name == STATE and volume.get("emptyDir") is None:
        raise RequestRefused(
            f"the pod's volume {STATE} is not an emptyDir, which the sidecar needs: make it one, or rename it"
        )
    if name in (TLS, AUTH, POD):
        raise RequestRefused(f"the pod already has a volume named {name}, the name of the sidecar's: rename it")


def _taken(spec: Mapping[str, Any], request: InjectionRequest) -> dict[int, str]:
    """The ports that the sidecar listens on, and the annotations that choose others."""
    ports = {request.port: f"{PREFIX}port"}
    if not spec.get("hostNetwork"):
        ports[request.control_port] = f"{PREFIX}control-port"
    return ports


def _check_port(port: Mapping[str, Any], owner: str, taken: Mapping[int, str]) -> None:
    if port.get("name") == NAME:
        raise RequestRefused(f"the container {owner} has a port named {NAME}, the name of the sidecar's: rename it")
    number = port.get("containerPort")
    if isinstance(number, int) and number in taken and port.get("protocol", "TCP") == "TCP":
        raise RequestRefused(
            f"the container {owner} uses the port {number}, which the sidecar needs: "
            f"set the annotation {taken[number]} to another"
        )


def _ports(containers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str]]:
    for each in containers:
        for port in each.get("ports") or ():
            yield port, str(each.get("name"))
