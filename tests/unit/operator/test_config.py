"""The operator's settings are read like the sidecar's: each mistake is one sentence."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from leasehold.base.address import Address
from leasehold.lock.names import LockName
from leasehold.operator.config import OperatorConfig, operator_config
from leasehold.settings.config import ConfigError


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    path = tmp_path / "config"
    path.write_text("apiVersion: v1\n")
    return str(path)


def read(*arguments: str, **environ: str) -> OperatorConfig:
    return operator_config(arguments, environ)


def only_mistake(*arguments: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        operator_config(arguments, environ or {})
    assert len(caught.value.mistakes) == 1, caught.value.mistakes
    return caught.value.mistakes[0]


def test_defaults(kubeconfig: str) -> None:
    config = read("--kubeconfig", kubeconfig)
    assert config.lock == LockName("default", "leasehold-operator")
    assert (config.root, config.ttl, config.api_writes, config.compare_every) == ("/leasehold", 15, 400, 600.0)
    assert config.listen == Address("", 4040)


def test_the_pod_gives_namespace_and_identity(kubeconfig: str) -> None:
    config = read(KUBECONFIG=kubeconfig, POD_NAME="operator-1", POD_NAMESPACE="infra", POD_UID="u-1")
    assert config.lock == LockName("infra", "leasehold-operator")
    assert (config.record.identity, config.record.pod_uid) == ("operator-1", "u-1")
    assert config.kubeconfig == Path(kubeconfig)


def test_flags_go_before_variables(kubeconfig: str) -> None:
    config = read("--kubeconfig", kubeconfig, "--ttl", "5", "--namespace", "a", LEASEHOLD_TTL="9", POD_NAMESPACE="b")
    assert (config.ttl, config.lock.namespace) == (5, "a")


def test_a_missing_api_server_is_a_mistake() -> None:
    """The sentence says how to name one."""
    assert only_mistake() == (
        "No API server is named: give --kubeconfig FILE, or run in a pod with a service account's token."
    )


@pytest.mark.parametrize(
    ("flag", "text", "mend"),
    [
        ("--namespace", "Not-Valid", "use at most 63 lower-case letters, digits and '-', starting and ending with a"),
        ("--ttl", "2", "use a whole number of seconds from 3 to 3600"),
        ("--api-writes", "0", "use a whole number from 1 to 10000"),
        ("--compare-every", "soon", "use a number of seconds from 10 to 86400, without a unit"),
        ("--root", "leasehold", "use a path such as /leasehold"),
        ("--listen", "4040", "write an address and a port"),
        ("--etcd", "ftp://a", "that is not an http or https URL"),
    ],
)
def test_a_mistake_is_one_sentence(kubeconfig: str, flag: str, text: str, mend: str) -> None:
    """It says how to correct the mistake."""
    said = only_mistake("--kubeconfig", kubeconfig, flag, text)
    assert said.startswith(f"{flag} is {text!r}: ")
    assert mend in said


def test_a_missing_kubeconfig_is_one_mistake(tmp_path: Path) -> None:
    """That no API server is named is not reported as well."""
    missing = str(tmp_path / "none")
    assert only_mistake("--kubeconfig", missing).startswith(f"--kubeconfig is {missing!r}: there is no such file")


def test_an_unknown_variable_is_a_warning(kubeconfig: str) -> None:
    config = read("--kubeconfig", kubeconfig, LEASEHOLD_API_WRITE="5", LEASEHOLD_TTL="5", LEASEHOLD_LOCK="db")
    assert config.warnings == (
        "LEASEHOLD_API_WRITE is no setting of leasehold and is ignored; LEASEHOLD_API_WRITES may be meant.",
    )


def test_a_port_in_use_names_its_flag(kubeconfig: str) -> None:
    config = read("--kubeconfig", kubeconfig, LEASEHOLD_LISTEN="127.0.0.1:80")
    assert config.mistake("listen", "the port is in use").mistakes == (
        "LEASEHOLD_LISTEN is '127.0.0.1:80': the port is in use.",
    )
