#!/bin/bash
# etcd v3.7.3, three members, a transaction that has comparisons and no operations: "do I still lead?"
# Guess: a transaction is linearizable unless a range in it asks for `serializable`; a member without a majority does not
#   answer it.
# Behaviour: it is when it has an operation. Without any, all of them are serializable, so the member answers from what it
#   has, without a word with the others: a member that is cut off confirms a leader whose key is long gone.
source "$(dirname "$0")/etcd.bash"
ports=($(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(x.getsockname()[1] for x in s))'))
at() { echo "http://127.0.0.1:${ports[$1]}"; }
for member in 0 1 2; do
  ./etcd --name "m$member" --data-dir "m$member" --listen-client-urls "$(at $member)" --advertise-client-urls "$(at $member)" \
    --listen-peer-urls "$(at $((member + 3)))" --initial-advertise-peer-urls "$(at $((member + 3)))" \
    --initial-cluster "m0=$(at 3),m1=$(at 4),m2=$(at 5)" >"m$member.log" 2>&1 &
  pids[member]=$!
done
trap 'kill -CONT ${pids[*]} 2>/dev/null; kill $(jobs -p) 2>/dev/null; wait || true; rm -rf "$work"' EXIT
third() { ./etcdctl --endpoints "$(at 2)" --command-timeout 5s "$@"; }
for _ in $(seq 100); do third put leader a >/dev/null 2>&1 && break; sleep 0.2; done
revision=$(third get leader -w json | python3 -c 'import json, sys; print(json.load(sys.stdin)["kvs"][0]["mod_revision"])')
led() {
  printf 'mod("leader") = "%s"\n\n%s\n\n\n' "$revision" "$1" | third txn 2>&1 | grep -m 1 -o 'SUCCESS\|FAILURE\|timed out' || true
}
# The third leads: what its successor sends it first, which the kernel keeps for it, is older than what follows.
id=$(third endpoint status -w json | python3 -c 'import json, sys; print("%x" % json.load(sys.stdin)[0]["Status"]["header"]["member_id"])')
for _ in $(seq 50); do
  third endpoint status -w json | python3 -c 'import json, sys
status = json.load(sys.stdin)[0]["Status"]
sys.exit(status["leader"] != status["header"]["member_id"])' && break
  ./etcdctl --endpoints "$(at 0),$(at 1),$(at 2)" move-leader "$id" >/dev/null 2>&1 || sleep 0.2
done
kill -STOP "${pids[2]}"
for _ in $(seq 100); do ./etcdctl --endpoints "$(at 0),$(at 1)" --command-timeout 2s put leader b >/dev/null 2>&1 && break; sleep 0.2; done
kill -STOP "${pids[0]}" "${pids[1]}"
kill -CONT "${pids[2]}"
echo "a's key is written over by b; the third member has not heard of it, and the others are out of its reach"
sleep 3
get=$(third get leader 2>&1 | grep -m 1 -o 'deadline exceeded' || true) and_get=$(led 'get leader') alone=$(led '')
printf '%s\n' "get leader: $get" "if its revision is a's, get leader: $and_get" "if its revision is a's, nothing: $alone"
[[ $get == 'deadline exceeded' && $and_get == 'timed out' && $alone == SUCCESS ]]
kill -CONT "${pids[0]}" "${pids[1]}"
for _ in $(seq 100); do [[ $(led '') == FAILURE ]] && break; sleep 0.2; done
after=$(led '')
echo "and with the others back: $after"
[[ $after == FAILURE ]]
echo "as found: the comparison alone was answered from the past"
