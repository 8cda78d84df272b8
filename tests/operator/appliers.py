"""Who applies a Lock's manifest: each as it does that in production, again and again, whatever changed meanwhile."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import ControlPlane, KubectlFailed
from tests.cluster.helm import HelmFailed, run_helm
from tests.operator.lock_objects import lock
from tests.servers import PATIENCE, program, wait_for

_CHART = {"apiVersion": "v2", "name": "db", "version": "0.1.0"}


class ApplyFailed(RuntimeError):
    """The applier ended with an error; the message is what it wrote."""


@dataclass(frozen=True)
class Target:
    """Where to apply: as whom `kubeconfig` says, with `directory` for the applier's own files."""

    api: ControlPlane
    namespace: str
    kubeconfig: Path
    directory: Path


Apply = Callable[[Target, Mapping[str, Any]], None]


def flux(target: Target, manifest: Mapping[str, Any]) -> None:
    """One reconciliation of Flux's kustomize-controller, by its own library."""
    body = {**manifest, "metadata": {**manifest["metadata"], "namespace": target.namespace}}
    done = subprocess.run(
        [program("gitops"), "flux", target.kubeconfig],
        input=json.dumps(body),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise ApplyFailed(done.stderr)


def helm(*flags: str) -> Apply:
    """`helm upgrade --install` of a chart that has this manifest."""

    def apply(target: Target, manifest: Mapping[str, Any]) -> None:
        templates = target.directory / "chart" / "templates"
        templates.mkdir(parents=True, exist_ok=True)
        (templates.parent / "Chart.yaml").write_text(json.dumps(_CHART))
        (templates / "lock.yaml").write_text(json.dumps(manifest))
        words: list[str | Path] = [
            "upgrade",
            "--install",
            "db",
            templates.parent,
            "--namespace",
            target.namespace,
            *flags,
        ]
        run_helm(*words, kubeconfig=target.kubeconfig)

    return apply


def kubectl(*words: str) -> Apply:
    """`kubectl apply` or `kubectl replace` with these flags."""

    def apply(target: Target, manifest: Mapping[str, Any]) -> None:
        target.api.kubectl(*words, f"--namespace={target.namespace}", "-f", "-", stdin=json.dumps(manifest))

    return apply


def first_create(replace: Apply) -> Apply:
    """`kubectl replace` takes only what exists."""

    def apply(target: Target, manifest: Mapping[str, Any]) -> None:
        exists = target.api.get("locks", manifest["metadata"]["name"], target.namespace)
        (replace if exists else kubectl("create"))(target, manifest)

    return apply


def until_replaced(replace: Apply) -> Apply:
    """Who replaces reads the object's version first, and is told to try again if somebody wrote after that."""

    def apply(target: Target, manifest: Mapping[str, Any]) -> None:
        wait_for(lambda: _replaced(replace, target, manifest), "the Lock to be replaced")

    return apply


def _replaced(replace: Apply, target: Target, manifest: Mapping[str, Any]) -> bool:
    """False if the operator wrote the status meanwhile."""
    try:
        replace(target, manifest)
    except (KubectlFailed, HelmFailed) as error:
        if "the object has been modified" not in str(error):
            raise
        return False
    return True


_ARGO = "--field-manager=argocd-controller"
_FORCED = ("apply", "--server-side", "--force-conflicts")
APPLIERS: Mapping[str, Apply] = {
    "Flux": flux,
    "Argo CD": kubectl("apply", _ARGO),
    "Argo CD, `ServerSideApply=true`": kubectl(*_FORCED, _ARGO),
    "`helm upgrade`": helm(),
    "`helm upgrade --server-side=false`": helm("--server-side=false"),
    "`helm upgrade --force-replace`": until_replaced(helm("--force-replace", "--server-side=false")),
    "`kubectl apply`": kubectl("apply"),
    "`kubectl apply --prune`": kubectl("apply", "--prune", "--all", "--prune-allowlist=leasehold.dev/v1alpha1/Lock"),
    "`kubectl apply --server-side`": kubectl("apply", "--server-side"),
    "`kubectl apply --server-side --force-conflicts`": kubectl(*_FORCED),
    "`kubectl replace`": until_replaced(first_create(kubectl("replace"))),
}
"""By the names that manifests/README.md has for them. Argo CD calls kubectl's own code, under another name."""


def manifest(number: int, **spec: Any) -> dict[str, Any]:
    """The Lock `db` of a repository; each `number` is another version of it."""
    made = lock("db", **spec)
    made["metadata"]["labels"] = {"version": str(number)}
    return made
