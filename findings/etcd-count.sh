#!/bin/bash
# etcd v3.7.3, a range request limited by create or mod revision, with its count, and with count_only.
# Guess: `count` is the number of keys that the request selects, so count_only with max_create_revision tells how many
#   stand before a candidate, without reading them.
# Behaviour: the bounds on revisions drop keys from the answer, and never from `count`. With count_only the request
#   answers the number of all keys in the range, whatever the bounds.
source "$(dirname "$0")/etcd.bash"
python3 - "http://$client/v3/kv/" <<'PYTHON'
import base64, json, sys
from urllib.request import urlopen

def call(path, **body):
    return json.load(urlopen(sys.argv[1] + path, json.dumps(body).encode(), timeout=30))

def text(value):
    return base64.b64encode(value.encode()).decode()

def selected(**bounds):
    queue = {"key": text("queue/"), "range_end": text("queue0"), **bounds}
    answer, counted = call("range", **queue), call("range", **queue, count_only=True)
    return len(answer.get("kvs", [])), int(answer["count"]), int(counted["count"])

revisions = [call("put", key=text(f"queue/{name}"), value="")["header"]["revision"] for name in "abcde"]
for bounds in ({}, {"max_create_revision": revisions[1]}, {"min_mod_revision": revisions[4]}):
    keys, count, count_only = selected(**bounds)
    print("five candidates;", bounds or "no bounds", f"-> keys {keys}, count {count}; with count_only: {count_only}")
    assert keys == {"max_create_revision": 2, "min_mod_revision": 1}.get(next(iter(bounds), ""), 5)
    assert count == count_only == 5
PYTHON
echo "as found: the count is that of all five"
