"""The real image, built from the Dockerfile without a registry of images, and real containers of it.

`python -m tests.image` builds it and prints its name, size and the time to its first `/readyz`; with `--save FILE` it
also writes it as a docker-archive, which containerd and docker import.

why_unavailable()
    None, or a sentence on why this machine can't build images
build_image(extras="") -> Image
    name, base; config mounted save size_over_base
Container(image, arguments, env=, volumes=)
    start signal wait close; pid pids; process (its log, exit code)
answers(port, path)
    the status of a GET, 0 when nothing answers

Root on Linux only, since mounts and containers need it; what lacks of buildah, debootstrap and runc is installed by apt
on a Debian machine. Images live in a storage of their own in the cache, apart from the machine's.
"""

from tests.image.build import Image, build_image
from tests.image.container import Container, answers
from tests.image.tools import ImagesUnavailable, why_unavailable

__all__ = ["Container", "Image", "ImagesUnavailable", "answers", "build_image", "why_unavailable"]
