#!/bin/bash
# etcd-sdk-python 0.0.7 (PyPI, `import pyetcd`), `get_prefix(…, max_create_revision=…)`, by which a candidate looks for the key
# that was created last before its own, to wait for its end; etcd v3.7.3.
# Guess: the answer has the keys that were created up to that revision, as etcd means it.
# Behaviour: the package sends the bound as the least revision of a change (min_mod_revision), so the answer has the keys that
#   were written from then on. The candidate is told of the last one in the queue, or of itself.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check etcd-sdk-python==0.0.7 protobuf==7.36.2
venv/bin/pip list --format freeze 2>/dev/null | grep '^etcd-sdk-python=='
cat >finding.py <<'PYTHON'
import sys

import pyetcd

host, _, port = sys.argv[1].rpartition(":")
client = pyetcd.client(host, int(port))

def keys(**bounds):
    return [metadata.key.decode() for _, metadata in client.get_prefix("queue/", **bounds)]

created = {name: client.put(f"queue/{name}", "").header.revision for name in "abcd"}
print("the queue, with the revisions of its keys:", created)
for name, revision in created.items():
    last = {"sort_order": "descend", "sort_target": "create", "limit": 1}
    before = keys(max_create_revision=revision - 1, **last)
    up_to = keys(max_create_revision=revision)
    print(f"{name}: created up to its own: {up_to}; the last one before it: {before}")
    assert up_to == [f"queue/{other}" for other in "abcd" if other >= name] and before == ["queue/d"]
assert keys(max_mod_revision=created["b"]) == ["queue/a", "queue/b"]
PYTHON
venv/bin/python finding.py "$client"
echo "as found: each candidate is told to wait for the last one, which is told to wait for itself"
