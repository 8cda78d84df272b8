#!/bin/bash
# etcd v3.7.3 asked for a lease of no time, or of less.
# Guess: a TTL of 0 or below is refused, as one that is too long is; what has expired stays expired.
# Behaviour: it grants a lease of the shortest TTL, 2 s with the usual settings, on which keys live.
source "$(dirname "$0")/etcd.bash"
python3 - "$client" <<'PY'
import base64, json, sys, urllib.error, urllib.request

def post(path, **fields):
    request = urllib.request.Request(f"http://{sys.argv[1]}/v3/{path}", json.dumps(fields).encode())
    try:
        return json.load(urllib.request.urlopen(request, timeout=30))
    except urllib.error.HTTPError as error:
        return json.load(error)

key = base64.b64encode(b"k").decode()
for ttl in (0, -5):
    granted = post("lease/grant", TTL=ttl)
    print(f"TTL {ttl}: granted {granted.get('TTL')} s")
    assert granted["TTL"] == "2"
    post("kv/put", key=key, value=key, lease=granted["ID"])
    assert post("kv/range", key=key).get("count") == "1"
refused = post("lease/grant", TTL=10**10)
print(f"TTL {10**10}: {refused['message']}")
assert "too large" in refused["message"]
PY
echo "as found: a TTL that was reckoned to have passed gives a live lease"
