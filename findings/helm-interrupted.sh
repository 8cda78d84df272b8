#!/bin/bash
# helm v4.3.1, `upgrade --rollback-on-failure` that is interrupted (Ctrl-C, or CI's TERM) while its pre-upgrade hook runs.
# Guess: the upgrade goes no further, and the rollback leaves the release as it was.
# Behaviour: the signal starts the rollback, and does not stop the upgrade, which goes on beside it: it waits for its hook,
#   and then writes the new objects over those that the rollback has restored, if that still runs, as for a post-rollback
#   hook or until pods are ready. The message and the history say that the release was rolled back.
source "$(dirname "$0")/helm.bash"
cat >finding.py <<'PYTHON'
import signal, time

from helm import BATCH, CORE, chart, ended, finished, helm, job, kube, started, there

VERSION = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"},
           "data": {"version": "{{ .Values.version }}"}}

def running():
    return kube("GET", f"{CORE}configmaps/app")[1]["data"]["version"]

chart(VERSION, job("migrate", "pre-upgrade"), job("verify", "post-rollback"))
assert helm("install", "app", "app", "--set", "version=old")[0] == 0
upgrade = started("upgrade", "app", "app", "--set", "version=new", "--rollback-on-failure")
there(f"{BATCH}jobs/migrate")
time.sleep(3)  # now helm waits for it
upgrade.send_signal(signal.SIGINT)
print("interrupted while the pre-upgrade hook runs")
there(f"{BATCH}jobs/verify")
time.sleep(3)
print("the rollback is done but for its hook; the cluster has", running())
assert running() == "old"
finished("migrate")
time.sleep(5)
print("the cluster has", running())
finished("verify")
code, said = ended(upgrade)
assert code == 1 and "has been rolled back" in said, said
assert "Rollback to 1" in helm("history", "app")[1] and "old" in helm("get", "manifest", "app")[1]
print("the release is of version old, the cluster has", running())
assert running() == "new"
PYTHON
python3 finding.py "$api"
echo "as found: an interrupted upgrade was completed, after its rollback"
