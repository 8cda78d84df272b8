#!/bin/bash
# akka-lease-kubernetes 1.1.4 (Akka, Scala and Java), a process that has crashed with a lease and is started again as the same
# owner (host and port, where Akka itself takes a lease) before the lease is over.
# Guess: when acquire() has completed with true, checkLease() is true, as long as the lease is held.
# Behaviour: acquire() says true at once, as the lease names this owner, and the lease is renewed; checkLease() is false for
#   as long as it is held, also after another acquire().
source "$(dirname "$0")/akka.bash"
cat >Main.java <<'JAVA'
import akka.coordination.lease.javadsl.Lease;

public class Main {
    static boolean acquired(Lease lease, String words) throws Exception {
        boolean told = lease.acquire().toCompletableFuture().get();
        Api.tell(words + ": acquire() " + told + ", checkLease() " + lease.checkLease());
        return told;
    }

    public static void main(String[] args) throws Exception {
        int port = Api.listen();
        var system = Api.system(port);
        Lease lease = Api.lease(system, "host:25520");
        boolean before = acquired(lease, "first start") && lease.checkLease();
        system.terminate();
        system.getWhenTerminated().toCompletableFuture().get();
        lease = Api.lease(Api.system(port), "host:25520");
        boolean told = acquired(lease, "started again, without a release");
        String time = Api.time();
        Thread.sleep(15_000);
        boolean renewed = !Api.time().equals(time) && Api.owner().equals("host:25520");
        Api.tell("15 s later: renewed " + renewed + ", checkLease() " + lease.checkLease());
        boolean check = lease.checkLease();
        told &= acquired(lease, "and acquired once more");
        System.exit(before && told && renewed && !check && !lease.checkLease() ? 0 : 1);
    }
}
JAVA
run
echo "as found: the lease is acquired, and checkLease() is false"
