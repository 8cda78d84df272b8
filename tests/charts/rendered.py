"""The charts, rendered by the real helm; and `manifests/operator.yaml`, which is rendered from one."""

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster import run_helm

ROOT: Final = Path(__file__).parents[2]
CHARTS: Final = ROOT / "charts"
LEASEHOLD: Final = CHARTS / "leasehold"
SINGLETON: Final = CHARTS / "singleton"
MANIFEST: Final = ROOT / "manifests" / "operator.yaml"
NAMESPACE: Final = "leasehold-system"
_HEADER: Final = f"""\
# The operator: two replicas, of which one writes to etcd, with the least rights that the API server can express.
# Apply manifests/crd.yaml first. Needs Kubernetes 1.30 or newer. To be set here: the image and the address of etcd.
# Rendered from charts/leasehold by `python -m tests.charts`; change it there.
---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/name: leasehold
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
"""

Object = dict[str, Any]
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where the package has it: ten times as fast."""


def render(chart: Path, *flags: str | Path, release: str = "leasehold", namespace: str = NAMESPACE) -> str:
    """What `helm template` prints. Raises HelmFailed."""
    return run_helm("template", release, chart, f"--namespace={namespace}", *flags)


def values(**chosen: Any) -> list[str]:
    """Flags that set values, by their dotted names."""
    return [f"--set-json={name}={json.dumps(value)}" for name, value in chosen.items()]


def objects(text: str) -> list[Object]:
    """The objects of a YAML stream."""
    return [each for each in yaml.load_all(text, Loader=_Loader) if each]


def value_files(chart: Path) -> list[Path]:
    """The complete configurations that are tried."""
    return sorted((chart / "ci").glob("*-values.yaml"))


def manifest() -> str:
    """What `manifests/operator.yaml` is to hold: the operator's part of the chart, without what only Helm knows."""
    text = render(LEASEHOLD, "--values", LEASEHOLD / "ci" / "manifest-values.yaml", "--no-hooks")
    text = re.sub(r"^# Source: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ *(app\.kubernetes\.io/(managed-by|version)|helm\.sh/chart): .*\n", "", text, flags=re.MULTILINE)
    return _HEADER + text
