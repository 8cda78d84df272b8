#!/bin/bash
# kopf 1.45.2, two operators that share the objects by a label (`settings.watching.label_selectors`), on kube-apiserver
# v1.36.3.
# Guess: when an object's label changes, its timer ends in one operator, whose watch says DELETED, and begins in the other.
# Behaviour: the first operator forgets the object, and with it the timer, which nothing stops any more: it works beside the
#   other one's, outlives the object itself, and gets a twin when the label is what it was again.
source "$(dirname "$0")/kopf.bash"
cat >work.py <<'PYTHON'
import os

import kopf

@kopf.on.startup()
def configure(settings, **_):
    settings.watching.label_selectors["configmaps"] = f"operator={os.environ['NAME']}"
    settings.posting.enabled = False

@kopf.timer("configmaps", interval=1)
def work(**_):
    with open("worked", "a") as file:
        print(os.environ["NAME"], file=file)
PYTHON
cat >finding.py <<'PYTHON'
import time

from kube import kube

MAPS = "/api/v1/namespaces/default/configmaps"

def label(name):
    code, answer = kube("PATCH", f"{MAPS}/job", {"metadata": {"labels": {"operator": name}}}, content="application/merge-patch+json")
    assert code == 200, answer

def worked():
    with open("worked") as file:
        return file.read().split()

def times(what):
    """How often each of them works in ten seconds, from five seconds later on: as often as it has timers, times ten."""
    time.sleep(5)
    before = len(worked())
    time.sleep(10)
    new = worked()[before:]
    print(f"{what}: in 10 s, A works {new.count('A')} times, B {new.count('B')} times")
    return [round(new.count(name) / 10) for name in "AB"]

assert kube("POST", MAPS, {"metadata": {"name": "job", "labels": {"operator": "A"}}})[0] == 201
while "A" not in worked():
    time.sleep(0.2)
assert times("the label says A") == [1, 0]
label("B")
assert times("the label says B") == [1, 1]
label("A")
assert times("the label says A again") == [2, 1]
assert kube("DELETE", f"{MAPS}/job")[0] == 200
while kube("GET", f"{MAPS}/job")[0] != 404:
    time.sleep(0.2)
assert times("the object is no more") == [1, 1]
PYTHON
touch worked
operator A --standalone &
operator B --standalone &
python3 finding.py "$api"
echo "as found: both operators worked"
