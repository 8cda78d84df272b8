#!/bin/bash
# jetcd 0.8.6 (etcd's client for Java), Lease.keepAlive, while etcd v3.7.3 is started again within the TTL.
# Guess: of an observer, onError is the last call, as gRPC's StreamObserver has it: the keep-alive is over, and a candidate
#   that steps down for it has its lease end, and another follows.
# Behaviour: onError is also told of a connection that is lost for a moment; the keep-alive goes on by itself, with onNext
#   after onError. The lease of a candidate that has stepped down lives as long as its process.
source "$(dirname "$0")/maven.bash"
source "$(dirname "$0")/etcd.bash"
maven io.etcd jetcd-core 0.8.6
cat >Main.java <<'JAVA'
import io.etcd.jetcd.Client;
import io.etcd.jetcd.lease.LeaseKeepAliveResponse;
import io.grpc.stub.StreamObserver;

public class Main {
    static void tell(String what) {
        System.out.println(what);
    }

    public static void main(String[] args) throws Exception {
        Client client = Client.builder().endpoints("http://" + args[0]).build();
        long id = client.getLeaseClient().grant(20).get().getID();
        tell("lease " + Long.toHexString(id));
        client.getLeaseClient().keepAlive(id, new StreamObserver<LeaseKeepAliveResponse>() {
            public void onNext(LeaseKeepAliveResponse response) { tell("onNext"); }
            public void onError(Throwable error) { tell("onError"); }
            public void onCompleted() { tell("onCompleted"); }
        });
        Thread.sleep(600_000);
    }
}
JAVA
java -cp "$(cat classpath)" Main.java "$client" >told 2>java.log &
seen() { for _ in $(seq 900); do uniq told | tr '\n' ' ' | grep -Eq "$1" && return; sleep 0.2; done; echo "not seen: $1"; exit 1; }
seen onNext
kill %1 && wait %1 || true
seen 'onNext onError'
./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
  --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
  --initial-cluster "default=http://$peer" >>log 2>&1 &
seen 'onError onNext'
sleep 50
echo "told, in this order, each several times:" $(sed 1d told | uniq)
ctl lease timetolive "$(sed -n '1s/lease //p' told)" | tee ttl
grep -q 'granted with TTL(20s), remaining' ttl
echo "as found: the keep-alive that ended with onError goes on, more than two TTLs later"
