"""aiohttp comes in without a trust store, and leaves no trace in the environment."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os, ssl
contexts = []
plain = ssl.create_default_context
ssl.create_default_context = lambda *a, **k: contexts.append(plain(*a, **k)) or contexts[-1]
before = dict(os.environ)
import leasehold.run.endpoint, leasehold.run.app_health
assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())
assert contexts and not any(c.get_ca_certs() for c in contexts), [len(c.get_ca_certs()) for c in contexts]
"""


def test_no_trust_store_is_loaded() -> None:
    """The environment is the same after the import, also if it names a trust store."""
    for more in ({}, {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}):
        subprocess.run([sys.executable, "-c", PROGRAM], env=os.environ | more, check=True, timeout=600)
