#!/bin/bash
# etcd-sdk-python 0.0.7 (PyPI, `import pyetcd`), `pyetcd.client(host, port)`, which renews a lease of 60 s, while etcd v3.7.3 is
# started again.
# Guess: a call raises while etcd is away, and the next one after its return is made.
# Behaviour: the first call that fails marks the only address as failed. For the next five minutes each call raises ValueError,
#   "Trying to use a failed node", and sends nothing, though etcd answers; a client made anew works at once. The five
#   minutes are for clients of several addresses (`time_retry`), and `client()` does not take them.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check etcd-sdk-python==0.0.7 protobuf==7.36.2
venv/bin/pip list --format freeze 2>/dev/null | grep '^etcd-sdk-python=='
cat >finding.py <<'PYTHON'
import sys, time

import pyetcd

host, _, port = sys.argv[1].rpartition(":")

def outcome(call):
    """The name and the words of what it raises, or OK."""
    try:
        call()
        return "OK"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

client = pyetcd.client(host, int(port))
lease = client.lease(60)
client.put("lock", "me", lease=lease)
print("the lock is held, on a lease of 60 s", flush=True)
input()  # etcd is away
start = time.monotonic()
said = [outcome(lease.refresh)]
print("etcd is away:", said[0], flush=True)
input()  # etcd is back
anew = outcome(lambda: pyetcd.client(host, int(port)).get("lock"))
print(f"etcd is back after {time.monotonic() - start:.0f} s; a client made anew: {anew}")
while said[-1] != "OK" and time.monotonic() - start < 400:
    said.append(outcome(lease.refresh))
    if said[-1] != said[-2]:
        print(f"{time.monotonic() - start:5.0f} s  the renewal: {said[-1]}", flush=True)
    time.sleep(2)
print("the lock is held by", client.get("lock")[0] or "nobody")
assert anew == "OK" and said[0].startswith("ConnectionFailedError") and said[-1] == "OK" and time.monotonic() - start > 300
assert set(said[1:-1]) == {"ValueError: Trying to use a failed node"} and client.get("lock")[0] is None
PYTHON
mkfifo step; exec 3<>step
venv/bin/python finding.py "$client" <step >told 2>&1 &
finding=$!
told() { until grep -q "$1" told; do kill -0 $finding || { cat told; exit 1; }; sleep 0.2; done; }
told "is held, on"
kill %1 && wait %1 || true
echo >&3
told "is away"
./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
  --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
  --initial-cluster "default=http://$peer" >>log 2>&1 &
until ctl get ready >/dev/null 2>&1; do sleep 0.2; done
echo >&3
wait $finding || { cat told; exit 1; }
cat told
echo "as found: etcd was away for seconds, and the client for five minutes"
