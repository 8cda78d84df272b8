#!/bin/bash
# etcdctl v3.7.3, lock and elect, with two names of which one is the other's beginning up to a slash: job and job/db.
# Guess: two names are two locks and two elections.
# Behaviour: a candidate waits for every older key that begins with its name and a slash. So whoever wants job waits
#   for whoever has job/db, never the reverse; and asked who leads job, etcdctl names the leader of job/db.
source "$(dirname "$0")/etcd.bash"
waits() {  # lock NAME for three seconds: does it still wait then?
  code=0; timeout 3 ./etcdctl --endpoints "$client" lock "$1" true || code=$?
  [[ $code == 124 ]]
}
./etcdctl --endpoints "$client" lock job/db >held &
inner=$!
until [[ -s held ]]; do sleep 0.1; done
echo "job/db is held: $(head -1 held | cut -d/ -f1,2)/…"
waits job && echo "lock job: waits"
if waits job/web; then exit 1; else echo "lock job/web: had at once"; fi
kill "$inner"; wait "$inner" || true
./etcdctl --endpoints "$client" lock job >outer &
until [[ -s outer ]]; do sleep 0.1; done
if waits job/db; then exit 1; else echo "job is held; lock job/db: had at once"; fi
./etcdctl --endpoints "$client" elect team/web of-team-web >elected &
until [[ -s elected ]]; do sleep 0.1; done
./etcdctl --endpoints "$client" elect --listen team >seen 2>/dev/null &
until [[ -s seen ]]; do sleep 0.1; done
echo "nobody stands for team; its leader is: $(sed -n 2p seen)"
[[ $(sed -n 2p seen) == of-team-web ]]
kill $(jobs -p | tail -n +2)  # all but etcd, which they need to end
until [[ $(jobs -pr | wc -l) == 1 ]]; do sleep 0.1; done
echo "as found: one name is in the way of the other"
