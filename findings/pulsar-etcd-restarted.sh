#!/bin/bash
# Pulsar's pulsar-metadata 4.0.7 (Java), LeaderElection on etcd v3.7.3, with a session of 10 s: etcd is started again, and then
# the leader ends.
# Guess: the followers hear that its key is gone, and one leads, as before etcd was started again.
# Behaviour: they connect again, and are told so; but their watch, which is made once, is not made again, and nobody is told.
#   They take the dead one for the leader until their connection is lost once more.
source "$(dirname "$0")/pulsar.bash"
candidate first
seen first.told 'told: Leading'
candidate second
seen second.told 'told: Following'
ctl put /something 1 >/dev/null
seen second.told 'notified: /something'
end first
seen second.told 'told: Leading'
echo "the first one has ended, and the second one leads"
candidate third
seen third.told 'told: Following'
ctl put /something 2 >/dev/null
seen third.told 'notified: /something'
: >third.told
restart
seen third.told 'session: Reconnected'
echo "etcd was started again; the third one is connected again"
sleep 10
ctl put /something-else 1 >/dev/null
end second
for _ in $(seq 300); do [ -n "$(ctl get /leader)" ] || break; sleep 0.2; done
sleep 60
echo "the second one has ended; a minute later /leader is $(ctl get /leader | grep . || echo not there)"
echo "what the third one was told since then:" $(grep -E '^(told|session)' third.told)
tail -n 1 third.told
[ -z "$(ctl get /leader)" ]
tail -n 1 third.told | grep -q 'is: Following, a key with its lease: ok'
[ "$(grep -c 'notified: /something-else' third.told)" = 0 ]
restart
seen third.told 'told: Leading'
echo "etcd was started again once more: only now the third one leads"
echo "as found: after a restart of etcd, nobody follows the leader that ends"
