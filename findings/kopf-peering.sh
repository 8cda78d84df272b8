#!/bin/bash
# kopf 1.45.2, two operators of different priority in a peering (`mandatory`, lifetime 10 s), on kube-apiserver v1.36.3.
# Guess: one is at work at a time: an operator that cannot renew its entry in the peering pauses itself within the
#   lifetime, since the other one takes its silence for its end then.
# Behaviour: an operator looks at the others' entries alone. When its API server does not answer any more, its timers go on
#   beside those of the other one, while its own entry's request waits; it may for networking.request_timeout, 5 min.
source "$(dirname "$0")/kopf.bash"
python3 -c 'from kube import *; kube("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "watched"}})' "$api"
cat >work.py <<'PYTHON'
import os, time

import kopf

@kopf.on.startup()
def configure(settings, **_):
    settings.peering.mandatory = True
    settings.peering.lifetime = 10
    settings.posting.enabled = False

@kopf.timer("configmaps", interval=1, when=lambda name, **_: name == "watched")
def work(**_):
    with open("worked", "a") as file:
        print(os.environ["NAME"], int(time.time()), file=file)
PYTHON
cat >relay.py <<'PYTHON'
import socket, sys, threading

def carry(source, target):
    while data := source.recv(65536):
        target.sendall(data)

with socket.create_server(("127.0.0.1", 0)) as listener:
    print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    while True:
        near, far = listener.accept()[0], socket.create_connection(sys.argv[1].split(":"))
        for pair in ((near, far), (far, near)):
            threading.Thread(target=carry, args=pair, daemon=True).start()
PYTHON
python3 relay.py "$api" >relayed &
relay=$!
last() { sed -n "s/^$1 //p" worked | tail -1; }
worked() { for _ in $(seq 600); do [[ -n $(last "$1") ]] && return; sleep 0.2; done; echo "$1 does not work"; tail -5 ./*.op; exit 1; }
touch worked
until [[ -s relayed ]]; do sleep 0.1; done
kubeconfig "$(cat relayed)" >relayed.yaml
KUBECONFIG=relayed.yaml operator A --peering election --priority 2 &
worked A
operator B --peering election --priority 1 &
sleep 15
[[ -z $(last B) ]] && echo "A works, B is paused"
kill -STOP $relay; frozen=$(date +%s)
echo "A's API server does not answer any more"
worked B
sleep 40
both=$(awk '$1 == "A" { a[$2] } $1 == "B" { b[$2] } END { for (t in b) n += t in a; print n }' worked)
first=$(sed -n 's/^B //p' worked | sed -n 1p)
echo "B works from $((first - frozen)) s after that on, A still $(($(last A) - frozen)) s after it; seconds in which both did: $both"
kill -CONT $relay
(( both >= 30 ))
echo "as found: both operators worked"
