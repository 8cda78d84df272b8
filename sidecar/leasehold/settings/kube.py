"""How to reach the API server: the setting that the operator and the injector share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from leasehold.settings import parsers
from leasehold.settings.options import Option, SettingsReader

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

KUBECONFIG: Final = Option[Path | None](
    "--kubeconfig",
    "FILE",
    "how to reach the API server (default: KUBECONFIG, else the pod's own service account)",
    parsers.readable_file,
    None,
    fallback="KUBECONFIG",
)


def read_kubeconfig(settings: SettingsReader) -> Path | None:
    """The kubeconfig, or None in a pod that has a service account's token; mistakes are noted."""
    path = settings.get(KUBECONFIG)
    if path is None and not settings.is_invalid(KUBECONFIG) and not SERVICE_ACCOUNT.exists():
        settings.mistakes.append(
            "No API server is named: give --kubeconfig FILE, or run in a pod with a service account's token."
        )
    return path
