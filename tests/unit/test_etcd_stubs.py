"""The generated code is what the .proto generates, and etcd's numbers are etcd's."""

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROTOS = ("rpc", "admin")


def test_the_stubs_are_what_the_proto_generates(tmp_path: Path) -> None:
    """Apart from the version of the compiler, which stands in them."""
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi")]
    files = [f"leasehold/etcd/{name}.proto" for name in PROTOS]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Isidecar", *outputs, *files]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=600)
    for name in (f"{proto}_pb2.{kind}" for proto in PROTOS for kind in ("py", "pyi")):
        made = (tmp_path / "leasehold/etcd" / name).read_text()
        kept = (REPOSITORY / "sidecar/leasehold/etcd" / name).read_text()
        assert _without_version(made) == _without_version(kept), f"{name} is stale: see the head of the .proto"


def _without_version(code: str) -> str:
    code = re.sub(r"# Protobuf Python Version: \S+", "", code)
    return re.sub(r"(Domain\.PUBLIC,\s+)\d+,\s+\d+,\s+\d+", r"\1", code)


def test_importing_the_client_stays_small() -> None:
    """The import also prints no warning.

    What is imported is paid once per pod: no gRPC server, no second HTTP library, no HTTP status packages.
    """
    script = "import sys, leasehold.etcd.client; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    modules = set(result.stdout.split())
    assert not result.stderr
    assert "leasehold.etcd.admin_pb2" not in modules, "only the operator administers users"
    assert not modules & {"grpclib", "h2", "grpc", "aiohttp", "requests", "google.rpc", "google.api"}
