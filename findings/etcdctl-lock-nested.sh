#!/bin/bash
# etcdctl v3.7.3, `lock NAME COMMAND`, whose command takes a second lock in the same way, as a script that calls another does.
# Guess: ETCD_LOCK_KEY and ETCD_LOCK_REV, which `lock` sets for its command, are those of the lock that it has just taken.
# Behaviour: what is in its environment already goes before: the command under the second lock has the first one's key and
#   revision. So of two that have the second lock one after the other, the later may have the lower number.
source "$(dirname "$0")/etcd.bash"
cat >work <<'SH'
#!/bin/bash
echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV" >>told
SH
cat >shared <<SH
#!/bin/bash
exec ./etcdctl --endpoints $client lock shared ./work
SH
cat >waits <<'SH'
#!/bin/bash
touch early
until [ -e late ]; do sleep 0.2; done
exec ./shared
SH
chmod +x work shared waits
ctl lock first ./waits &
waits=$!
until [ -e early ]; do kill -0 $waits && sleep 0.2; done
for n in 1 2 3; do ctl put job "$n" >/dev/null; done
ctl lock second ./shared
echo "the one who had the lock 'shared' first, under 'second':         $(sed -n 1p told)"
touch late
wait $waits
echo "the one who had it afterwards, under 'first', taken long before: $(sed -n 2p told)"
env -u ETCD_LOCK_KEY -u ETCD_LOCK_REV ./shared
echo "who took 'shared' alone:                                         $(sed -n 3p told)"
python3 - <<'PYTHON'
(first, high), (then, low), (alone, _) = (line.split() for line in open("told"))
assert first.startswith("second/") and then.startswith("first/") and alone.startswith("shared/") and int(low) < int(high)
PYTHON
echo "as found: under two locks, the number that orders the holders of the inner one is the outer one's"
