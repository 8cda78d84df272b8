#!/bin/bash
# etcdctl v3.7.3, `watch KEY -- COMMAND`, which runs the command for each event, with ETCD_WATCH_REVISION beside the event's
# key and value. The command fails once; then the watch is taken up again after the revision that it had.
# Guess: it is the revision of the event, from which the next watch goes on with --rev and one more.
# Behaviour: it is that of the answer's header. For events as they happen the two are equal; for events that the watch has to
#   catch up with it is the newest of the whole store, the same for all of them: what goes on from there has left some out.
source "$(dirname "$0")/etcd.bash"
cat >follow <<'SH'
#!/bin/bash
echo "$ETCD_WATCH_VALUE $ETCD_WATCH_REVISION" >>told
[ ! -e fail ]
SH
chmod +x follow
revision() { ctl get leader -w fields | sed -n 's/^"ModRevision" : //p'; }
watch() { ./etcdctl --endpoints "$client" watch leader "$@" -- ./follow >/dev/null 2>>watch.log & }
touch told
watch
watching=$!
until [ -s told ]; do ctl put leader zero >/dev/null; sleep 1; done
echo "as it happens: $(tail -n 1 told); the event's revision is $(revision)"
[ "$(tail -n 1 told)" = "\"zero\" $(revision)" ]
kill $watching && wait $watching || true
: >told
ctl put leader one >/dev/null
one=$(revision)
ctl put leader two >/dev/null
two=$(revision)
ctl put other x >/dev/null
touch fail
watch --rev "$one"
wait $! || true
rm fail
echo "caught up: $(cat told), and the command failed; the events' revisions are $one and $two"
[ "$(cat told)" = "\"one\" $((two + 1))" ]
watch --rev "$(($(sed 's/.* //' told) + 1))"
for _ in $(seq 60); do ctl put leader three >/dev/null; sleep 1; grep -q three told && break; done
echo "taken up again one after that: $(sed -n 2p told)"
sed -n 2p told | grep -q three
echo "as found: the event between them is not told to anybody"
