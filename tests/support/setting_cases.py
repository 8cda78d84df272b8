"""What a case of a setting is: a function that shows the setting's effect from outside, marked with its flags."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.servers import CertificateAuthority, EtcdServer
from tests.support.run_bench import Bench


@dataclass(frozen=True)
class Place:
    """What a case may use."""

    bench: Bench
    directory: Path
    certs: CertificateAuthority
    etcd_factory: Callable[..., EtcdServer]


Case = Callable[[Place], None]
Cases = dict[tuple[str, ...], Case]


def marks(cases: Cases) -> Callable[..., Callable[[Case], Case]]:
    """A decorator that adds a function to the cases, as the case of these flags."""

    def shows(*flags: str) -> Callable[[Case], Case]:
        def mark(case: Case) -> Case:
            cases[flags] = case
            return case

        return mark

    return shows
