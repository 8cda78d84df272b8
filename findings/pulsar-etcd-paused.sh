#!/bin/bash
# Pulsar's pulsar-metadata 4.0.7 (Java), LeaderElection on etcd v3.7.3, with a session of 10 s: the leader's process is stopped
# for longer than that, and goes on. Another leads meanwhile, and ends later.
# Guess: the first one learns that its session is lost, makes a new one, and stands again, as its SessionEvents have it.
# Behaviour: it is told SessionLost, and that is all. What looks for the end of the session asks whether etcd answers, which it
#   does. The lease that is gone is used on; whatever it puts with it is refused. It cannot lead any more, until etcd has
#   been out of its reach for a session.
source "$(dirname "$0")/pulsar.bash"
candidate first
seen first.told 'told: Leading'
candidate second
seen second.told 'told: Following'
: >first.told
kill -STOP "${process[first]}"
seen second.told 'told: Leading'
sleep 2
kill -CONT "${process[first]}"
seen first.told 'session: SessionLost'
echo "first was stopped, and goes on; its session is lost; the second one leads"
sleep 20
end second
for _ in $(seq 300); do [ -n "$(ctl get /leader)" ] || break; sleep 0.2; done
echo "the second one has ended, and its key with it"
sleep 60
echo "a minute later: keys: $(ctl get --prefix / --keys-only | wc -w); $(ctl lease list | tr '\n' ' ')"
echo "what first was told:" $(grep -E '^(told|session)' first.told)
tail -n 1 first.told
[ -z "$(ctl get /leader)" ]
tail -n 1 first.told | grep -q 'is: NoLeader, a key with its lease: requested lease not found'
[ "$(grep -c 'session: SessionReestablished' first.told)" = 0 ]
kill -STOP "$etcd"
sleep 20
kill -CONT "$etcd"
seen first.told 'told: Leading'
echo "etcd was out of reach for 20 s: only now first has a new session, and leads"
echo "as found: the only candidate runs, reaches etcd, and will not lead"
