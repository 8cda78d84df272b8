#!/bin/bash
# etcd v3.7.3, three members. One is cut off from the other two; then a lease is revoked, and another is granted. The member
# that is cut off is asked for the leases, by `etcdctl lease list`, which is the API's LeaseLeases.
# Guess: it gives no answer, as to `lease timetolive` and to a read.
# Behaviour: it answers at once with the leases that it knew, without an error, and for as long as it is cut off. The request has
#   no option about that, as a read has its `serializable`.
source "$(dirname "$0")/etcd_three.bash"
granted() { ctl lease grant 600 | sed 's/lease \([0-9a-f]*\) .*/\1/'; }
asked() { timeout 10 ./etcdctl --endpoints "$@" 2>/dev/null || echo "no answer"; }
old=$(granted)
ctl put leader a --lease "$old" >/dev/null
isolate
client=${members[0]},${members[1]}
ctl lease revoke "$old"
new=$(granted)
sleep 30
echo "the two that work list $(asked "$client" lease list | sed 1d | tr '\n' ' ')"
listed=$(asked "${members[2]}" lease list | sed 1d)
echo "the one that is cut off lists $listed; lease timetolive: $(asked "${members[2]}" lease timetolive "$old")"
[ "$listed" = "$old" ] && [ "$(asked "$client" lease list | sed 1d)" = "$new" ]
[ "$(asked "${members[2]}" lease timetolive "$old")" = "no answer" ] && [ "$(asked "${members[2]}" get leader)" = "no answer" ]
echo "as found: a lease that is gone is listed, by a member that answers nothing else about it"
