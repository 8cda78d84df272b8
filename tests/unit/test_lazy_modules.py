"""What libraries import in vain is not loaded; who uses it has it. A process for each: modules stay loaded."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from leasehold.cli.lazy_modules import UNUSED


def printed(code: str, env: Mapping[str, str] | None = None) -> str:
    """What this code prints where the modules are lazy."""
    code = f"from leasehold.cli.lazy_modules import LazyModule, install_lazy_modules; install_lazy_modules()\n{code}"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_a_sidecar_loads_none_of_them() -> None:
    """What the memory figure rests on; a library that begins to use one makes that a choice again."""
    code = (
        "import sys\nfrom leasehold.run import lean_imports\nlean_imports.import_lean()\nimport leasehold.run.app\n"
        "print([m for m in {} if not isinstance(sys.modules[m], LazyModule)])"
    )
    assert printed(code.format(UNUSED)) == "[]"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import lzma; print(lzma.decompress(lzma.compress(b'x')))", "b'x'"),
        ("from bz2 import compress; print(compress(b'')[:2])", "b'BZ'"),
        ("import idna.core; print(idna.core.encode('bücher.example'))", "b'xn--bcher-kva.example'"),
        ("from yarl import URL; print(URL('http://bücher.example').raw_host)", "xn--bcher-kva.example"),
        ("import importlib.util; print(importlib.util.find_spec('lzma').name)", "lzma"),
        ("import inspect, sys; inspect.getmodule(print); print(type(sys.modules['lzma']).__name__)", "LazyModule"),
        ("import sys, lzma; lzma.FORMAT_XZ; print(type(sys.modules['lzma']).__name__)", "module"),
        ("import lzma; print(hasattr(lzma, 'nothing'))", "False"),
        ("import json; install_lazy_modules(('json',)); print(json.dumps(1), type(json).__name__)", "1 module"),
    ],
)
def test_who_uses_one_has_it(code: str, found: str) -> None:
    assert printed(code) == found


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_protobuf_works_in_each_implementation(implementation: str) -> None:
    """A message survives the way to bytes and back in each of them."""
    code = (
        "from leasehold.etcd.rpc_pb2 import RangeRequest as R\n"
        "from google.protobuf.internal import api_implementation\n"
        "print(api_implementation.Type(), R.FromString(R(key=b'k').SerializeToString()).key)"
    )
    env = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    assert printed(code, env) == f"{implementation} b'k'"
