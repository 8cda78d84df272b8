#!/bin/bash
# The watches of three Python clients of etcd, aetcd 1.0.0, etcd3 0.12.0 and etcd3gw 2.7.0, while etcd v3.7.3 is started
# again.
# Guess: a watch goes on when etcd is back, as with the Go client, or its iterator raises.
# Behaviour: aetcd's and etcd3's raise. etcd3gw's neither has another event, nor raises, nor ends, though etcd is back and
#   the key changes: the observer waits, and looks as if nothing had happened.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aetcd==1.0.0 etcd3==0.12.0 'tenacity<7' etcd3gw==2.7.0
venv/bin/pip list --format freeze 2>/dev/null | grep -E '^(aetcd|etcd3|etcd3gw)=='
cat >watch.py <<'PYTHON'
import asyncio, sys

client, (host, _, port) = sys.argv[1], sys.argv[2].rpartition(":")

def report(events):
    try:
        for _ in events:
            print("event", flush=True)
    except Exception as error:
        print("raised", type(error).__name__, flush=True)
    print("ended", flush=True)

async def with_aetcd():
    import aetcd
    async with aetcd.Client(host, int(port)) as etcd:
        try:
            async for _ in await etcd.watch(b"key"):
                print("event", flush=True)
        except Exception as error:
            print("raised", type(error).__name__, flush=True)
        print("ended", flush=True)

if client == "aetcd":
    asyncio.run(with_aetcd())
elif client == "etcd3":
    import etcd3
    report(etcd3.client(host, int(port)).watch("key")[0])
else:
    import etcd3gw
    report(etcd3gw.client(host, int(port), api_path="/v3/").watch("key")[0])
PYTHON
clients="aetcd etcd3 etcd3gw"
for name in $clients; do
  PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python venv/bin/python -W ignore watch.py "$name" "$client" >"$name.told" \
    2>"$name.err" &
done
for name in $clients; do
  until grep -q event "$name.told"; do ctl put key before >/dev/null; sleep 0.5; done
done
sleep 2
kill %1 && wait %1 || true
./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
  --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
  --initial-cluster "default=http://$peer" >>log 2>&1 &
for _ in $(seq 100); do ctl get ready >/dev/null 2>&1 && break; sleep 0.2; done
for _ in $(seq 40); do ctl put key after >/dev/null; sleep 0.5; done
for name in $clients; do
  told=$(uniq "$name.told" | tr '\n' ' ')
  echo "$name, over a restart and twenty seconds of changes: $told"
  [[ $told == "event $([[ $name == etcd3gw ]] || echo 'raised ConnectionFailedError ended ')" ]]
done
echo "as found: etcd3gw's watch was silent"
