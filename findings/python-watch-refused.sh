#!/bin/bash
# The watches of six Python clients of etcd, aetcd 1.0.0, etcd-client-py 0.5.1, etcd-sdk-python 0.0.7, etcd3 0.12.0,
# etcd3gw 2.7.0 and etcetra 0.1.19, by a user of etcd v3.7.3 whose role has the key `mine` and not the key `leader`.
# Guess: a watch that etcd refuses raises, as a read of the same key does, or its iterator ends.
# Behaviour: etcd answers such a watch in its stream, as created and canceled at once, with the reason. None of the six
#   looks at that: the iterator waits for events that never come, and looks as one of a key that does not change.
source "$(dirname "$0")/etcd.bash"
for venv in venv other; do python3 -m venv $venv; done
venv/bin/pip install --quiet --disable-pip-version-check aetcd==1.0.0 etcd3==0.12.0 'tenacity<7' etcd3gw==2.7.0 \
  etcd-sdk-python==0.0.7
other/bin/pip install --quiet --disable-pip-version-check etcetra==0.1.19 etcd-client-py==0.5.1 'setuptools<80'
for venv in venv other; do $venv/bin/pip list --format freeze 2>/dev/null | grep -E '^(aetcd|etcd.*|etcetra)=='; done
cat >watch.py <<'PYTHON'
import asyncio, json, sys
from urllib.request import urlopen

client, key, (host, _, port), secure = sys.argv[1], sys.argv[2], sys.argv[3].rpartition(":"), sys.argv[4].rpartition(":")[2]
password = {"user": "observer", "password": "word"}

def report(events):
    for _ in events:
        print("event", flush=True)

async def report_async(events):
    async for _ in events:
        print("event", flush=True)

async def with_aetcd():
    import aetcd
    async with aetcd.Client(host, int(port), username="observer", password="word") as etcd:
        await report_async(await etcd.watch(key.encode()))

async def with_etcd_client_py():
    from etcd_client import Client, ConnectOptions
    async with Client([f"http://{host}:{port}"], ConnectOptions().with_user("observer", "word")).connect() as etcd:
        await report_async(etcd.watch(key.encode()))

async def with_etcetra():
    from etcetra import EtcdClient, HostPortPair
    from etcetra.types import EtcdCredential
    async with EtcdClient(HostPortPair(host, int(port)), EtcdCredential("observer", "word")).connect() as etcd:
        await report_async(etcd.watch(key))

def with_etcd_sdk_python():
    import pyetcd
    report(pyetcd.client(host, int(secure), ca_cert="cert.pem", **password).watch(key)[0])

def with_etcd3():
    import etcd3
    report(etcd3.client(host, int(secure), ca_cert="cert.pem", **password).watch(key)[0])

def with_etcd3gw():
    import etcd3gw, requests
    session = requests.Session()
    login = json.dumps({"name": "observer", "password": "word"}).encode()
    session.headers["Authorization"] = json.load(urlopen(f"http://{host}:{port}/v3/auth/authenticate", login))["token"]
    report(etcd3gw.client(host, int(port), api_path="/v3/", session=session).watch(key)[0])

asyncio.run(globals()["with_" + client.replace("-", "_")]())
PYTHON
go run "$(go env GOROOT)/src/crypto/tls/generate_cert.go" --host 127.0.0.1 2>/dev/null
kill %1 && wait %1 || true
secure=$(python3 -c 'import socket; print("127.0.0.1:%d" % socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
./etcd --data-dir data --listen-client-urls "http://$client,https://$secure" --advertise-client-urls "http://$client" \
  --cert-file cert.pem --key-file key.pem --bcrypt-cost 4 --listen-peer-urls "http://$peer" \
  --initial-advertise-peer-urls "http://$peer" --initial-cluster "default=http://$peer" >>log 2>&1 &
until ctl get ready >/dev/null 2>&1; do sleep 0.2; done
{ ctl user add root:word; ctl user grant-role root root; ctl user add observer:word; ctl role add observer
  ctl role grant-permission observer read mine; ctl user grant-role observer observer; ctl auth enable; } >/dev/null
root() { ctl --command-timeout 60s --user root:word "$@"; }
clients="aetcd etcd-client-py etcd-sdk-python etcd3 etcd3gw etcetra"
for name in $clients; do
  python=venv/bin/python; [[ $name == etcd-client-py || $name == etcetra ]] && python=other/bin/python
  for key in mine leader; do
    PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python $python -W ignore watch.py $name $key "$client" "$secure" \
      >"$name.$key" 2>"$name.$key.err" &
  done
done
for name in $clients; do until [[ -s $name.mine ]]; do root put mine "" >/dev/null; sleep 0.5; done; done
until curl -s "http://$client/metrics" | grep "watch_stream_total 12" >/dev/null; do sleep 0.5; done  # the others watch, too
ctl --user observer:word get leader >read 2>&1 || echo "a read of the key: $(tail -n 1 read)"
for _ in $(seq 40); do root put leader "" >/dev/null; sleep 0.5; done
for name in $clients; do
  echo "$name: the watch of its own key: $(sort -u "$name.mine"); that of the other, in twenty seconds of changes:" \
    "$(cat "$name.leader" "$name.leader.err" | grep . || echo nothing)"
  [[ $(sort -u "$name.mine") == event && ! -s $name.leader ]]
done
[[ $(jobs -pr | wc -l) == 13 ]] && echo "as found: six observers wait, and none is told that it may not watch"
