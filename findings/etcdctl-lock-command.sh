#!/bin/bash
# etcdctl lock NAME COMMAND v3.7.3, when the lease of its lock ends while the command runs.
# Guess: as without a command, etcdctl notices ("session expired"); it stops the command, or its exit code tells of it.
# Behaviour: nobody watches the session while a command runs. The command works on beside that of the next holder, and
#   the exit code is the command's own, 0.
source "$(dirname "$0")/etcd.bash"
ctl lock --ttl 5 name -- bash -c 'for _ in $(seq 20); do date +%s.%N; sleep 0.5; done' >first 2>errors &
first=$!
until [ -s first ]; do sleep 0.1; done
key=$(ctl get --prefix name/ --keys-only | head -1)
ctl lease revoke "${key##*/}"
began=$(ctl lock --ttl 5 name -- date +%s.%N)
code=0
wait "$first" || code=$?
python3 - "$began" "$(tail -1 first)" "$code" "$(cat errors)" <<'PY'
import sys
began, last, code, errors = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
print(f"the first command worked for {last - began:.1f} s beside the second; its etcdctl ended with {code}, saying {errors!r}")
assert last - began > 2 and code == "0" and not errors
PY
echo "as found: a command under a lock that is lost is not stopped, and nothing says so"
