"""Every setting of `leasehold run` has an effect that can be seen from outside, given as a flag and as a variable.

The cases are in tests/support/setting_cases_lock.py and setting_cases_app.py; a flag without a case fails a test. What
a setting may not be is in tests/unit/test_config.py, and what a start refuses in test_run_bad_input.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from leasehold.settings import commands
from tests.servers import CertificateAuthority, EtcdServer
from tests.support import setting_cases_app, setting_cases_lock
from tests.support.run_bench import Bench, Way
from tests.support.setting_cases import Place

CASES = setting_cases_lock.CASES | setting_cases_app.CASES


@pytest.mark.parametrize("way", ["flag", "variable"])
@pytest.mark.parametrize("names", CASES, ids=" ".join)
def test_setting(
    names: tuple[str, ...],
    way: Way,
    bench: Bench,
    tmp_path: Path,
    certs: CertificateAuthority,
    etcd_factory: Callable[..., EtcdServer],
) -> None:
    bench.way = way
    CASES[names](Place(bench, tmp_path, certs, etcd_factory))


def test_every_setting_has_a_case() -> None:
    given = {option.flag for group in commands.RUN for option in group.options}
    assert given == {name for names in CASES for name in names}


def test_flag_goes_before_its_variable(bench: Bench) -> None:
    """If both are given, the flag counts."""
    a = bench.start("a", {"--identity": "flag"}, env={"LEASEHOLD_IDENTITY": "variable", "LEASEHOLD_PRIORITY": "3"})
    a.wait_leading()
    assert [(record["identity"], record["priority"]) for record in bench.stored.records()] == [("flag", 3)]


def test_flag_turns_a_switch_off(bench: Bench) -> None:
    """A switch that a variable turns on is turned off by its flag."""
    a = bench.make("a", env={"LEASEHOLD_REQUIRE_LOCK": "true"})
    a.argv.append("--no-require-lock")
    a.start()
    a.wait_leading()


def test_the_pod_in_the_record(bench: Bench) -> None:
    """What Kubernetes' downward API tells, as the container's variables."""
    env = {"POD_NAME": "web-7", "POD_NAMESPACE": "shop", "POD_UID": "0b6c", "NODE_NAME": "node-3"}
    bench.start("a", env=env).wait_leading()
    (record,) = bench.stored.records()
    assert record.pop("incarnation")
    assert record == {"identity": "a", "pod": "web-7", "podNamespace": "shop", "podUID": "0b6c", "node": "node-3"}


def test_namespace_of_the_pod(bench: Bench) -> None:
    """A lock without a namespace is of the pod's."""
    a = bench.start("a", {"--lock": "other"}, env={"POD_NAMESPACE": "shop"})
    assert a.wait_leading().fields["lock"] == "shop/other"
