"""Which etcd isolates: by the advisories that etcd has published."""

import pytest

from leasehold.operator.enrolment.versions import outdated


@pytest.mark.parametrize("version", ["3.5.33", "3.5.35", "3.6.14", "3.7.1", "3.7.3", "3.8.0", "4.0.0", "", "unknown"])
def test_what_isolates(version: str) -> None:
    assert outdated([version]) == ""


@pytest.mark.parametrize("version", ["3.4.42", "3.5.32", "3.5.9", "3.6.13", "3.7.0", "3.7.0-rc.1", "2.3.8"])
def test_what_does_not(version: str) -> None:
    assert outdated([version, "3.7.3"]).startswith(f"etcd {version} does not keep its users to their roles")
    assert outdated([version]).endswith("upgrade every member to 3.5.33, 3.6.14, 3.7.1, or later")
