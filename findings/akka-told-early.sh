#!/bin/bash
# akka-lease-kubernetes 1.1.4 (Akka, Scala and Java), three candidates for a free lease. One's write comes after another has
# acquired and released the lease, so that it is a conflict, and the lease is free still; the third is faster then.
# Guess: acquire() completes with true when the API server has accepted the candidate's write, and with false if not.
# Behaviour: after the conflict it completes with true, as the lease is free, before it writes again. That write is refused,
#   as the third has the lease; nothing tells the candidate, as its lease-lost callback is not called, either.
source "$(dirname "$0")/akka.bash"
cat >Main.java <<'JAVA'
import akka.coordination.lease.javadsl.Lease;
import java.util.Optional;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Main {
    static boolean acquired(Lease lease, String who) throws Exception {
        boolean told = lease.acquire().toCompletableFuture().get();
        Api.tell(who + " is told that it has acquired the lease: " + told);
        return told;
    }

    public static void main(String[] args) throws Exception {
        var system = Api.system(Api.listen());
        Lease a = Api.lease(system, "a"), b = Api.lease(system, "b"), c = Api.lease(system, "c");
        AtomicInteger writes = new AtomicInteger();
        AtomicBoolean aLed = new AtomicBoolean(), cLeads = new AtomicBoolean(), lost = new AtomicBoolean();
        Api.write = owner -> { // b's requests take some time; meanwhile others are faster
            int write = owner.equals("b") ? writes.incrementAndGet() : 0;
            if (write == 1) aLed.set(acquired(a, "a") && a.release().toCompletableFuture().get());
            if (write == 2) cLeads.set(acquired(c, "c"));
        };
        boolean told = b.acquire((Optional<Throwable> why) -> lost.set(true)).toCompletableFuture().get();
        Api.tell("b is told that it has acquired the lease: " + told);
        Thread.sleep(10_000);
        Api.tell("the lease names " + Api.owner() + "; b has been told that it has lost it: " + lost);
        boolean found = aLed.get() && told && cLeads.get() && Api.owner().equals("c") && !lost.get();
        System.exit(found ? 0 : 1);
    }
}
JAVA
run
echo "as found: two were told that they have acquired the lease"
