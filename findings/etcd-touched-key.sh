#!/bin/bash
# etcd v3.7.3, `etcdctl put --ignore-value KEY`, which touches a key, here the key of an election's leader.
# Guess: the key keeps its value, as asked, and the lease that it is attached to, of which nothing was said.
# Behaviour: it keeps the value alone: a put without a lease takes the key off its lease. When the leader's lease ends,
#   its key stays: it is named as the leader, and the next candidate waits, both without a limit in time.
source "$(dirname "$0")/etcd.bash"
python3 - "http://$client" <<'EOF'
import base64, json, subprocess, sys, threading, time
from urllib.request import urlopen


def call(path, **body):
    return json.load(urlopen(f"{sys.argv[1]}/v3/{path}", json.dumps(body).encode(), timeout=120))


def text(value):
    return base64.b64encode(value.encode()).decode()


def plain(value):
    return base64.b64decode(value).decode()


def election(name, *options):
    """Who is named, and who was told that it leads, three seconds after the end of the leader's lease."""
    first, second = (call("lease/grant", TTL=600)["ID"] for _ in range(2))
    leader = call("election/campaign", name=text(name), value=text("first"), lease=first)["leader"]
    touch = ["./etcdctl", "--endpoints", sys.argv[1], "put", *options, plain(leader["key"])]
    subprocess.run(touch, check=True, capture_output=True)
    victories = []
    request = {"name": text(name), "value": text("second"), "lease": second}
    threading.Thread(target=lambda: victories.append(call("election/campaign", **request)), daemon=True).start()
    while int(call("kv/range", key=text(f"{name}/"), range_end=text(f"{name}0"), count_only=True)["count"]) < 2:
        time.sleep(0.1)
    call("lease/revoke", ID=first)
    time.sleep(3)
    named = plain(call("election/leader", name=text(name))["kv"]["value"])
    print(f"put {' '.join(options)}: the first one's lease is over; {named!r} is named; told that it leads:",
          "the second" if victories else "nobody")
    return named, len(victories)


assert election("kept", "--ignore-value", "--ignore-lease") == ("second", 1)
assert election("touched", "--ignore-value") == ("first", 0)
EOF
echo "as found: a touched key outlives its leader, and nobody follows"
