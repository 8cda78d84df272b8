"""The pages name all there is: what they leave out, or what no longer exists, fails here."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from leasehold.base import clock
from leasehold.candidate.metrics import Metrics
from leasehold.candidate.publisher import Publisher
from leasehold.cli import main
from leasehold.election.snapshot import Snapshot, State
from leasehold.injector.metrics import InjectorMetrics
from leasehold.lock.names import LockName
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics
from leasehold.settings.config import run_config
from leasehold.settings.exec import exec_config
from tests.support.documentation import example, page_of, pages, table, text
from tests.support.generated import TABLES, names, regenerated

PAGES = [page_of(command) for command in ("run", "operator", "injector")]


@pytest.mark.parametrize(
    "page", [page for page in pages() if names(page.read_text())], ids=lambda page: page.parent.name
)
def test_tables_are_generated(page: Path) -> None:
    """Settings, commands and fields are as the code has them."""
    written = page.read_text()
    assert written == regenerated(written), "run python -m tests.support.generated"


def test_each_table_has_its_page() -> None:
    """Each is on one page, and none is left out."""
    assert sorted(name for page in pages() for name in names(page.read_text())) == sorted(TABLES)


def test_every_metric_is_there() -> None:
    """All metrics' names are listed, and no others."""
    registry = CollectorRegistry()
    Metrics(registry, Publisher(Snapshot(LockName("a", "b"), "c", State.IDLE), clock.now))
    InjectorMetrics(registry)
    OperatorMetrics(registry, lambda: Gauges(0, 0, 0, 0, active=True, etcd_reachable=True, mirror_age=0.0))
    names = re.findall(r"^# TYPE (leasehold_\w+) ", generate_latest(registry).decode(), re.MULTILINE)
    own = {name for name in names if not name.endswith("_created")}
    assert set(re.findall(r"`(leasehold_\w+)`", "".join(PAGES))) == own | {
        "leasehold_position"
    }  # a gauge that comes and goes


def test_a_sidecars_metrics_name_their_lock() -> None:
    """All but one, as the page says."""
    registry = CollectorRegistry()
    Metrics(registry, Publisher(Snapshot(LockName("a", "b"), "c", State.IDLE, position=0), clock.now))
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    own = {sample.name: "lock" in sample.labels for sample in samples if sample.name.startswith("leasehold_")}
    assert [name for name, has_lock in own.items() if not has_lock] == ["leasehold_build_info"]


def test_the_sidecar_of_a_pod_has_what_a_rolling_update_needs(tmp_path: Path) -> None:
    """Its settings exist, and it says its revision: without that, the new pod would wait for the old one for ever."""
    pod = yaml.safe_load(example("in a pod", "sidecar/leasehold/run/README.md"))
    (sidecar,) = pod["initContainers"]
    paths = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in sidecar["env"] if "valueFrom" in one}
    environ = {one["name"]: one["value"] for one in sidecar["env"] if "value" in one}
    environ |= {name: path.rpartition(".")[2] for name, path in paths.items()}
    command, *arguments = [word.replace("/state", str(tmp_path)) for word in sidecar["args"]]
    config = run_config(arguments, environ)
    assert (command, config.warnings, config.native_sidecar) == ("run", (), True)
    assert config.record.group == "labels['pod-template-hash']"
    assert all((config.record.pod, config.record.pod_namespace, config.record.pod_uid, config.app_health))


def test_every_value_of_the_library_chart_is_there() -> None:
    """The page's table has each that the templates take."""
    templates = text("charts/leasehold-sidecar/templates/_sidecar.tpl")
    taken = set(re.findall(r"(?<![\w)])\.([a-z]\w+)(?=[\s})])", templates))
    rows = table("value (default) | meaning", "charts/leasehold-sidecar/README.md")
    told = {name for first, *_ in rows for name in re.findall(r"`(\w+)`", first)}
    assert taken <= told
    parts = set(re.findall(r"\.(?:image|etcd)\.(\w+)", templates))
    assert parts <= {name for _, second in rows for name in re.findall(r"`(\w+)`", second)}


def test_what_is_said_to_be_tested_is() -> None:
    """The minor versions of Kubernetes, and Helm's major one, are those that the tests build."""
    said = re.search(r"servers of ([\d.]+) and ([\d.]+), nodes of ([\d.]+), and Helm (\d+)", text())
    built = [
        built_version("kubernetes130", "k8s.io/kubernetes"),
        *[built_version("kubernetes", "k8s.io/kubernetes")] * 2,
    ]
    assert said is not None
    assert [*said.groups()] == [*built, built_version("helm", r"helm.sh/helm/v\d+").partition(".")[0]]


def built_version(group: str, module: str) -> str:
    """Major and minor version of a module that a group of the servers is built from."""
    found = re.search(rf"^\s*{module} v(\d+\.\d+)\.", text(f"tests/servers/go/{group}/go.mod"), re.MULTILINE)
    assert found is not None, f"{group} is not built from {module}"
    return found[1]


def test_every_command_is_there() -> None:
    """Each sub-command has its row."""
    for command in main.COMMANDS:
        assert f"| `leasehold {command.name}" in text("sidecar/README.md")


def test_recipes_of_exec_are_commands() -> None:
    """The crontab's line and the systemd unit give exec settings that exist."""
    for name, start in (("cron", "root leasehold exec "), ("systemd", "leasehold exec ")):
        found = example(name, "sidecar/leasehold/exec/README.md")
        (line,) = (line for line in found.splitlines() if start in line)
        config = exec_config(line.partition(start)[2].split(), {})
        assert config.command
        assert config.sidecar.warnings == ()
