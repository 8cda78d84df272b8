"""Stand-ins for kinds of cert-manager and of the Prometheus operator: the fields that the charts use, no others."""

from typing import Any, Final

Object = dict[str, Any]
_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_MAP: Final = {"type": "object", "additionalProperties": _TEXT}


def _object(required: list[str], **properties: object) -> Object:
    return {"type": "object", "required": required, "properties": properties}


_ISSUER: Final = _object(["name", "kind"], name=_TEXT, kind=_TEXT, group=_TEXT)
_CERTIFICATE: Final = _object(
    ["secretName", "issuerRef"],
    secretName=_TEXT,
    commonName=_TEXT,
    dnsNames=_TEXTS,
    ipAddresses=_TEXTS,
    usages=_TEXTS,
    issuerRef=_ISSUER,
)
_ENDPOINT: Final = _object(["port"], port=_TEXT, path=_TEXT, interval=_TEXT)
_MONITOR: Final = _object(
    ["selector", "endpoints"],
    selector=_object([], matchLabels=_MAP),
    endpoints={"type": "array", "items": _ENDPOINT},
)
_SELECTOR: Final = _object([], matchLabels=_MAP, matchExpressions={"type": "array", "items": {"type": "object"}})
_POD_MONITOR: Final = _object(
    ["selector", "podMetricsEndpoints"],
    selector=_SELECTOR,
    namespaceSelector=_object([], any={"type": "boolean"}),
    podMetricsEndpoints={"type": "array", "items": _ENDPOINT},
)
_ALERT: Final = _object(["alert", "expr"], alert=_TEXT, expr=_TEXT, labels=_MAP, annotations=_MAP, **{"for": _TEXT})
_GROUP: Final = _object(["name", "rules"], name=_TEXT, rules={"type": "array", "items": _ALERT})
_RULES: Final = _object(["groups"], groups={"type": "array", "items": _GROUP})


def foreign_crds() -> list[Object]:
    """Their CustomResourceDefinitions."""
    return [
        _crd("cert-manager.io", "Certificate", _CERTIFICATE),
        _crd("monitoring.coreos.com", "ServiceMonitor", _MONITOR),
        _crd("monitoring.coreos.com", "PodMonitor", _POD_MONITOR),
        _crd("monitoring.coreos.com", "PrometheusRule", _RULES),
    ]


def _crd(group: str, kind: str, spec: Object) -> Object:
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }
