"""The images that pods of the tests run, as docker-archives in the cache, ready to be loaded into nodes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from leasehold import __version__
from tests.cluster.archive import write_archive, write_together
from tests.cluster.node_config import PAUSE_IMAGE
from tests.image import Image, build_image
from tests.image.base import base_image
from tests.servers import program
from tests.servers.cache import cached

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster

ETCD_VERSION: Final = "v3.7.3"
DOCKER: Final = "docker.io/library/"
"""What every node puts before an image's name that has no host."""
SIDECAR: Final = f"{DOCKER}leasehold:{__version__}"
OPERATOR: Final = f"{DOCKER}leasehold-operator:{__version__}"
ETCD: Final = f"{DOCKER}etcd:{ETCD_VERSION}"
APP: Final = "leasehold.test/app:1"


def pause() -> Path:
    """What holds a pod's namespaces."""
    return _archive(PAUSE_IMAGE, {"pause": program("pause")}, ["/pause"])


def etcd() -> Path:
    """etcd and etcdctl, without a shell."""
    places = {"usr/local/bin/etcd": program("etcd-3.7"), "usr/local/bin/etcdctl": program("etcdctl")}
    return _archive(ETCD, places, ["/usr/local/bin/etcd"])


def _archive(name: str, programs: dict[str, Path], entrypoint: list[str]) -> Path:
    key = repr((name, sorted((place, str(path)) for place, path in programs.items()), entrypoint))
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    build = cached(f"archive-{digest}", lambda place: write_archive(place / "image.tar", name, programs, entrypoint))
    return build / "image.tar"


def saved(image: Image) -> Path:
    """One of our own images, by its name in the cache."""
    name = image.name.replace("/", "-").replace(":", "-")
    return cached(f"archive-{name}", lambda place: image.save(place / "image.tar")) / "image.tar"


def app() -> tuple[Path, str, str]:
    """The base of our images, which has Python, as what the tests' apps run in: archive, its name, and APP."""
    base = base_image()
    return saved(Image(base, base)), base, APP


def load_all(cluster: "Cluster") -> None:
    """Give every node of the cluster the images that the charts and the tests name."""
    sidecar, operator, base = build_image(), build_image("operator"), base_image()
    ours = {SIDECAR: sidecar.name, OPERATOR: operator.name, APP: base}
    archive = _together([sidecar, operator, Image(base, base)])
    for node in cluster.nodes:
        node.import_image(archive)
        for other, name in ours.items():
            node.tag_image(name, other)
    cluster.load(etcd(), ETCD)


def _together(images: Sequence[Image]) -> Path:
    """These images in one archive: they share the base, most of their bytes, which a node reads once then."""
    digest = hashlib.sha256(repr([image.name for image in images]).encode()).hexdigest()[:16]

    def write(place: Path) -> None:
        archives = [place / f"{number}.tar" for number in range(len(images))]
        for image, archive in zip(images, archives, strict=True):
            image.save(archive)
        write_together(place / "image.tar", archives)
        for archive in archives:
            archive.unlink()

    return cached(f"archives-{digest}", write) / "image.tar"
