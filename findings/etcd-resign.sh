#!/bin/bash
# etcd v3.7.3, the Election and Lock services of the server, called over the JSON gateway by a client whose key is gone.
# Guess: Resign and Unlock of what one does not hold are errors, as Proclaim is ("election: not leader").
# Behaviour: both answer success and delete nothing, also if the key never was. A success so does not say that the
#   caller had led, or had held the lock, until then.
source "$(dirname "$0")/etcd.bash"
python3 - "http://$client/v3/" <<'PYTHON'
import base64, json, sys
from urllib.error import HTTPError
from urllib.request import urlopen

def call(path, **body):
    try:
        return json.load(urlopen(sys.argv[1] + path, json.dumps(body).encode(), timeout=30))
    except HTTPError as error:
        return {"error": json.load(error)["message"]}

def text(value):
    return base64.b64encode(value.encode()).decode()

def lease():
    return call("lease/grant", TTL=600)["ID"]

def revision():
    return call("maintenance/status")["header"]["revision"]

old, new = lease(), lease()
led = call("election/campaign", name=text("e"), lease=old)["leader"]
held = call("lock/lock", name=text("l"), lease=old)["key"]
call("lease/revoke", ID=old)
call("election/campaign", name=text("e"), lease=new)
before = revision()
for words, path, body in (
    ("Proclaim, as the old leader", "election/proclaim", {"leader": led, "value": text("x")}),
    ("Resign, as the old leader", "election/resign", {"leader": led}),
    ("Resign again", "election/resign", {"leader": led}),
    ("Unlock, of the lock that is lost", "lock/unlock", {"key": held}),
    ("Unlock, of a key that never was", "lock/unlock", {"key": text("never")}),
):
    answer = call(path, **body)
    print(f"{words}: {answer.get('error', 'success')}")
    assert ("error" in answer) == (path == "election/proclaim")
print("revision before and after:", before, revision())
assert before == revision()
PYTHON
echo "as found: success, and nothing deleted"
