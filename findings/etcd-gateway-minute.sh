#!/bin/bash
# etcd v3.7.3, `etcd gateway start` as it comes, between etcd and a holder that keeps a lease of 30 s alive by etcdctl; etcd
# is stopped and, two seconds later, started again.
# Guess: a gateway that forwards TCP connects to etcd when a client comes; a restart costs what etcd is away.
# Behaviour: an endpoint that has refused one connection is left out until the gateway's next round, of which there is one
#   a minute. If it was the last one, all clients are hung up on though etcd is back, and no lease is kept alive.
source "$(dirname "$0")/etcd.bash"
etcd=$!
gateway=$(python3 -c 'import socket; print("127.0.0.1:%d" % socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
start=$SECONDS
./etcd gateway start --endpoints "$client" --listen-addr "$gateway" >gateway.log 2>&1 &
through() { timeout 5 ./etcdctl --dial-timeout 2s --command-timeout 2s --endpoints "$gateway" "$@" 2>&1; }
until through get ready >/dev/null; do sleep 0.2; done
lease=$(through lease grant 30 | cut -d" " -f2)
./etcdctl --endpoints "$gateway" lease keep-alive "$lease" >kept &
sleep 3
kill "$etcd" && wait "$etcd" || true
away=$SECONDS
sleep 2
./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
  --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" >>log 2>&1 &
until ctl get ready >/dev/null 2>&1; do sleep 0.2; done
back=$SECONDS
echo "etcd was away for $((back - away)) s"
for _ in $(seq 120); do left=$(ctl lease timetolive "$lease"); [[ $left == *expired ]] && break; sleep 0.5; done
over=$((SECONDS - back))
echo "$over s later: $left"
code=0; through get ready >/dev/null || code=$?
until through get ready >/dev/null; do sleep 0.5; done
open=$((SECONDS - start))
echo "$open s after its start the gateway forwards again"
grep -o '"deactivated endpoint".*' gateway.log
[[ $left == *expired && $((back - away)) -lt 10 && $over -gt 10 && $code != 0 && $open -ge 60 ]]
echo "as found: a restart of seconds costs the leases"
