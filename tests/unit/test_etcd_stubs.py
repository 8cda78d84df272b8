"""The generated code is what the .proto generates, and etcd's numbers are etcd's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import grpclib.client

REPOSITORY = Path(__file__).parents[2]
GENERATED = ("rpc_pb2.py", "rpc_pb2.pyi", "rpc_grpc.py")


def test_the_stubs_are_what_the_proto_generates(tmp_path: Path) -> None:
    """Apart from the version of the compiler, which stands in them."""
    # Where pip puts grpclib's plugin, which protoc looks for on PATH.
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpclib_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Isidecar", *outputs, "leasehold/etcd/rpc.proto"]
    subprocess.run(command, cwd=REPOSITORY, env=env, check=True, timeout=600)
    for name in GENERATED:
        made = (tmp_path / "leasehold/etcd" / name).read_text()
        kept = (REPOSITORY / "sidecar/leasehold/etcd" / name).read_text()
        assert _without_version(made) == _without_version(kept), f"{name} is stale: see the head of rpc.proto"


def _without_version(code: str) -> str:
    code = re.sub(r"# Protobuf Python Version: \S+", "", code)
    return re.sub(r"(Domain\.PUBLIC,\s+)\d+,\s+\d+,\s+\d+", r"\1", code)


def test_importing_the_client_warns_of_nothing_and_stays_small() -> None:
    """What is imported is paid once per pod: no gRPC server, no second HTTP library, no HTTP status packages."""
    script = "import sys, leasehold.etcd; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    modules = set(result.stdout.split())
    assert not result.stderr
    assert not modules & {"grpclib.server", "grpc", "aiohttp", "requests", "google.rpc", "google.api"}


def test_what_we_rely_on_inside_grpclib_is_still_there() -> None:
    """`leasehold.etcd.channel` replaces the one method that reconnects, and reads these attributes."""
    assert {"_create_connection", "_protocol"} <= vars(grpclib.client.Channel).keys()
    handler = grpclib.client.Handler()
    handler.close()
    assert handler.connection_lost is True
