#!/bin/bash
# etcd v3.7.3 with authentication, the Election service of the server, called over the JSON gateway by a user who has no
# right to the election's keys.
# Guess: Observe is refused as Leader and a range are, with "permission denied".
# Behaviour: Observe ends at once, with success and without an answer. Where the user has the right and nobody leads, it
#   stays open; so "the stream ended" is all that one without rights ever learns.
source "$(dirname "$0")/etcd.bash"
for command in "user add root:password" "user grant-role root root" "user add watcher:password" "role add watcher" \
  "role grant-permission watcher --prefix=true readwrite mine/" "user grant-role watcher watcher" "auth enable"; do
  ctl $command >/dev/null
done
python3 - "http://$client/v3/" <<'PYTHON'
import base64, json, sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

def call(path, token="", timeout=30, **body):
    request = Request(sys.argv[1] + path, json.dumps(body).encode(), {"Authorization": token} if token else {})
    try:
        return urlopen(request, timeout=timeout).read()
    except HTTPError as error:
        return json.load(error)["message"]
    except TimeoutError:
        return "still open"

def text(value):
    return base64.b64encode(value.encode()).decode()

root, watcher = (json.loads(call("auth/authenticate", name=name, password="password"))["token"]
                 for name in ("root", "watcher"))
lease = json.loads(call("lease/grant", root, TTL=600))["ID"]
call("election/campaign", root, name=text("theirs"), lease=lease, value=text("leader"))
seen = [call("election/leader", watcher, name=text("theirs")), call("election/observe", watcher, name=text("theirs")),
        call("election/observe", watcher, timeout=3, name=text("mine/election"))]
print("an election that others lead, no right to it; Leader:", seen[0])
print("the same; Observe: success, and", len(seen[1]), "bytes of answers")
print("an election that nobody leads, with the right to it; Observe:", seen[2])
assert seen == ["etcdserver: permission denied", b"", "still open"]
PYTHON
echo "as found: Observe ended with success"
