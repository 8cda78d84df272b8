#!/bin/bash
# kopf 1.45.2, two operators of different priority in a peering, on kube-apiserver v1.36.3.
# Guess: an operator that is paused in favour of another finishes the handlers that run, and starts no more of them.
# Behaviour: it goes on starting those of all objects that it has heard of, until none is left: they wait for a thread, and
#   nobody looks at the pause after that. The other operator handles the same objects meanwhile.
source "$(dirname "$0")/kopf.bash"
cat >work.py <<'PYTHON'
import os, time

import kopf

@kopf.on.startup()
def configure(settings, **_):
    settings.execution.max_workers = 4
    settings.posting.enabled = False

@kopf.on.create("configmaps", labels={"for": "work"})
def work(name, **_):
    with open("worked", "a") as file:
        print(os.environ["NAME"], name, int(time.time()), file=file)
    time.sleep(2)
PYTHON
cat >setup.py <<'PYTHON'
from kube import kube

for number in range(60):
    new = {"metadata": {"name": f"job-{number}", "labels": {"for": "work"}}}
    assert kube("POST", "/api/v1/namespaces/default/configmaps", new)[0] == 201
PYTHON
python3 setup.py "$api"
touch worked
operator A --peering election --priority 1 &
until grep -q ^A worked; do sleep 0.2; done
operator B --peering election --priority 2 &
until grep -q "Pausing operations in favour" A.op; do sleep 0.2; done
paused=$(date +%s)
echo "A has begun $(grep -c ^A worked) handlers, and pauses itself in favour of B"
until (( $(grep -c ^B worked) == 60 )); do sleep 1; done
sleep 10
read -r begun last twice < <(awk -v paused="$paused" '
  $1 == "A" { if ($3 > paused + 1) { begun++; last = $3 - paused } a[$2] }
  $1 == "B" && $2 in a { twice++ }
  END { print begun + 0, last + 0, twice + 0 }' worked)
echo "A has begun $begun more, the last one after $last s; objects handled by both: $twice of 60"
(( begun >= 20 && last >= 10 && twice >= 20 ))
echo "as found: both operators worked"
