"""Build the image and say how large it is and how fast it starts; exit code 0 also where that can't be done."""

import argparse
import sys
import time
from pathlib import Path

from tests.image import Container, Image, answers, build_image, why_unavailable
from tests.servers import EtcdServer, ProcessFailed, release_port, reserve_port, wait_for


def main() -> int:
    """Do what the command line asks for; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--extras", default="", help="extras of pyproject.toml that it holds too, with commas")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write it as a docker-archive")
    parser.add_argument("--build-only", action="store_true", help="start no container")
    options = parser.parse_args()
    if reason := why_unavailable():
        print(f"image: skipped. {reason}")
        return 0
    image = build_image(options.extras)
    print(f"{image.name}: {image.size_over_base() / 1e6:.1f} MB unpacked over its base {image.base}", flush=True)
    if not options.build_only:
        print(
            f"{image.name}: /readyz answers {start_seconds(image):.2f} s after the start of the container", flush=True
        )
    if options.save:
        image.save(options.save)
        print(f"{image.name}: saved as {options.save}, {options.save.stat().st_size / 1e6:.1f} MB", flush=True)
    return 0


def start_seconds(image: Image) -> float:
    """Seconds from starting a container (runc included) to its first 200 on /readyz, on an etcd of its own."""
    port = reserve_port()
    try:
        with EtcdServer() as etcd:
            listen = ["--listen", f"127.0.0.1:{port}", "--control", "127.0.0.1:0"]
            container = Container(image, ["run", "--etcd", etcd.url, "--lock", "start", *listen])
            with container:
                started = time.monotonic()  # the mount of its files is made, runc has just been started
                wait_for(lambda: answers(port, "/readyz") == 200 or not container.process.running, "/readyz")
                if not container.process.running:
                    raise ProcessFailed(f"the container ended:\n{container.process.log_tail()}")
                return time.monotonic() - started
    finally:
        release_port(port)


if __name__ == "__main__":
    sys.exit(main())
