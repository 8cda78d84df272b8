#!/bin/bash
# helm v4.3.1, `upgrade --rollback-on-failure` whose rollback has a hook that fails.
# Guess: the rollback is recorded as failed, as an upgrade with a failed hook is, and the next upgrade may correct it.
# Behaviour: it is left as "pending-rollback" by a helm that has ended in good order. That status is helm's lock: each later
#   upgrade is refused, as another operation was "in progress", until somebody rolls back, with success, or uninstalls.
source "$(dirname "$0")/helm.bash"
cat >finding.py <<'PYTHON'
import json

from helm import chart, ended, finished, helm, job, started

def statuses(words):
    """The revisions' statuses, the newest last."""
    found = [entry["status"] for entry in json.loads(helm("history", "app", "-o", "json")[1])]
    print(words, found)
    return found

chart(job("migrate", "pre-upgrade"), job("verify", "post-rollback"))
assert helm("install", "app", "app")[0] == 0
upgrade = started("upgrade", "app", "app")
finished("migrate", succeeded=False)
assert ended(upgrade)[0] == 1
assert statuses("after a failed hook of an upgrade:") == ["deployed", "failed"]
upgrade = started("upgrade", "app", "app")
finished("migrate")
assert ended(upgrade)[0] == 0
assert statuses("after the next upgrade:")[-1] == "deployed"
upgrade = started("upgrade", "app", "app", "--rollback-on-failure")
finished("migrate", succeeded=False)
finished("verify", succeeded=False)
assert ended(upgrade)[0] == 1
assert statuses("after a failed hook of a rollback:")[-2:] == ["failed", "pending-rollback"]
code, said = helm("upgrade", "app", "app")
assert code == 1 and "is in progress" in said
PYTHON
python3 finding.py "$api"
echo "as found: helm's lock was held by nobody"
