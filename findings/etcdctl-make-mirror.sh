#!/bin/bash
# etcdctl v3.7.3, `make-mirror`, by which a cluster is moved: a leader's key is copied, the mirror stopped, then the leader;
# the candidates go to the new cluster.
# Guess: the key is gone there when its lease is over; or at the latest when the mirror is started again, as it then copies
#   what there is.
# Behaviour: the key is copied without a lease, and nothing takes it away again. The mirror started anew copies keys that
#   are there, and does not remove those that are not. The dead leader is named, and no candidate ever follows.
source "$(dirname "$0")/etcd.bash"
read -r other peer2 < <(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*("127.0.0.1:%d" % x.getsockname()[1] for x in s))')
./etcd --data-dir other --listen-client-urls "http://$other" --advertise-client-urls "http://$other" \
  --listen-peer-urls "http://$peer2" --initial-advertise-peer-urls "http://$peer2" \
  --initial-cluster "default=http://$peer2" >other.log 2>&1 &
new() { ./etcdctl --endpoints "$other" "$@"; }
until new get ready >/dev/null 2>&1; do sleep 0.2; done
mirror() { ./etcdctl --endpoints "$client" make-mirror "$other" >mirror.log 2>&1 & pid=$!; }
mirror
sleep 2
ctl put before "" >/dev/null
./etcdctl --endpoints "$client" elect job first >elected &
leader=$!
until [[ -n $(new get --prefix job/ --keys-only) ]]; do sleep 0.2; done
kill $pid; wait $pid || true
kill $leader; wait $leader || true
until [[ -z $(ctl get --prefix job/ --keys-only) ]]; do sleep 0.2; done
echo "the mirror and the leader are stopped; the leader's key is gone in the old cluster"
mirror
ctl put after "" >/dev/null
until [[ -n $(new get after --keys-only) ]]; do sleep 0.2; done
echo "the mirror has run again and has copied what there is"
code=0; { timeout -s KILL 90 ./etcdctl --endpoints "$other" elect job second >second; } 2>/dev/null || code=$?
echo "in the new cluster, a candidate waited for 90 s: exit code $code, elected: $(wc -l <second)"
new get --prefix job/ --sort-by CREATE -w json | python3 -c 'import base64, json, sys
first = json.load(sys.stdin)["kvs"][0]
print("the leader is", base64.b64decode(first["value"]).decode(), "with the lease", first.get("lease", 0))
assert base64.b64decode(first["value"]) == b"first" and not first.get("lease")'
[[ $code == 137 && ! -s second ]]
echo "as found: a dead leader, for ever"
