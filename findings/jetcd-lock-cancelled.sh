#!/bin/bash
# jetcd 0.8.6 (etcd's client for Java), Lock.lock() and Election.campaign() by one who waits for two seconds, as by get(timeout),
# and then cancels the future; etcd v3.7.3.
# Guess: as with other clients of gRPC, cancel() ends the request: who has cancelled takes nothing.
# Behaviour: cancel() says true, and the request goes on. When the holder has gone, the lock is taken for the one who has
#   cancelled, and held as long as its lease, which the client keeps alive. Only the end of that lease ends it.
source "$(dirname "$0")/maven.bash"
source "$(dirname "$0")/etcd.bash"
maven io.etcd jetcd-core 0.8.6
cat >Main.java <<'JAVA'
import io.etcd.jetcd.*;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.support.Observers;
import java.time.*;
import java.util.concurrent.*;

public class Main {
    static final long TTL = 3;
    static String endpoint;

    static ByteSequence bytes(String text) {
        return ByteSequence.from(text.getBytes());
    }

    static void tell(String what) {
        System.out.println(LocalTime.now().withNano(0) + "  " + what);
    }

    static Client client() {
        return Client.builder().endpoints("http://" + endpoint).build();
    }

    /** A lease that the client keeps alive. */
    static long lease(Client client) throws Exception {
        long lease = client.getLeaseClient().grant(TTL).get().getID();
        client.getLeaseClient().keepAlive(lease, Observers.observer(answer -> { }));
        return lease;
    }

    interface Wait { CompletableFuture<?> begin(Client client, String name, long lease); }

    /** Whether, long after the holder has gone, the name is held for one who has cancelled its wait. */
    static boolean held(String words, String name, Wait wait) throws Exception {
        Client holder = client(), waiter = client(), other = client();
        long holds = lease(holder), waits = lease(waiter);
        wait.begin(holder, name, holds).get();
        CompletableFuture<?> future = wait.begin(waiter, name, waits);
        try {
            future.get(2, TimeUnit.SECONDS);
            return false;
        } catch (TimeoutException error) {
            tell(words + ": not in two seconds; cancel(true) " + future.cancel(true) + ", isCancelled() " + future.isCancelled());
        }
        holder.getLeaseClient().revoke(holds).get();
        Thread.sleep(5 * TTL * 1000);
        var keys = other.getKVClient().get(bytes(name + "/"), GetOption.builder().isPrefix(true).build()).get().getKvs();
        boolean his = keys.size() == 1 && keys.get(0).getLease() == waits;
        tell(words + ": five TTLs after the holder has gone, held by the one who has cancelled: " + his);
        CompletableFuture<?> third = wait.begin(other, name, lease(other));
        boolean free;
        try {
            third.get(2 * TTL, TimeUnit.SECONDS);
            free = true;
        } catch (TimeoutException error) {
            free = false;
        }
        tell(words + ": a third has it: " + free);
        return his && !free;
    }

    public static void main(String[] args) throws Exception {
        endpoint = args[0];
        boolean lock = held("lock", "lock", (client, name, lease) -> client.getLockClient().lock(bytes(name), lease));
        boolean election = held("campaign", "election",
            (client, name, lease) -> client.getElectionClient().campaign(bytes(name), lease, bytes("me")));
        System.exit(lock && election ? 0 : 1);
    }
}
JAVA
java -cp "$(cat classpath)" Main.java "$client" 2>java.log
echo "as found: the lock is held for one who has given up"
