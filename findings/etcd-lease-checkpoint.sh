#!/bin/bash
# etcd v3.7.3, three members with --feature-gates=LeaseCheckpoint=true,LeaseCheckpointPersist=true, by which a lease should keep
# what it has left when etcd's leader changes. Nobody keeps two leases alive, of 600 s and of 60 s; then etcd's leader changes.
# Guess: each has what it had left.
# Behaviour: the lease of 600 s has, but for some seconds. That of 60 s is renewed in full, as without the feature: a lease is
#   written down each five minutes, and only while it has more than five minutes left. No option changes that.
export ETCD_FEATURE_GATES=LeaseCheckpoint=true,LeaseCheckpointPersist=true
source "$(dirname "$0")/etcd_three.bash"
cat >leader.py <<'PYTHON'
import json, sys

status = {one["Endpoint"]: one["Status"] for one in json.load(sys.stdin)}
for address, one in status.items():
    if one["leader"] == one["header"]["member_id"]:
        print(address, next("%x" % two["header"]["member_id"] for two in status.values() if two is not one))
PYTHON
granted() { ctl lease grant "$1" | sed 's/lease \([0-9a-f]*\) .*/\1/'; }
left() { ctl lease timetolive "$1" | sed 's/.*remaining(\(.*\)s)/\1/'; }
long=$(granted 600)
sleep 280
short=$(granted 60)
sleep 35
before="$(left "$long") $(left "$short")"
read -r leader next < <(ctl endpoint status -w json | python3 leader.py)
./etcdctl --endpoints "$leader" move-leader "$next"
after="$(left "$long") $(left "$short")"
echo "left of 600 s and of 60 s, before: $before; after: $after"
read -r long short <<<"$before"
read -r long_after short_after <<<"$after"
[ "$long" -lt 300 ] && [ "$short" -lt 30 ] && [ "$long_after" -lt 305 ] && [ "$short_after" -gt 50 ]
echo "as found: what is meant to keep a change of etcd's leader from renewing leases does nothing for short ones"
