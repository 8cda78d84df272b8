#!/bin/bash
# The official Java client, client-java-extended 25.0.0, its LeaderElector, and a Lease without leaseTransitions, which the
# API has optional, that nobody holds any more.
# Guess: the candidate leads when it has seen no change for leaseDuration, and counts the transitions from 0.
# Behaviour: it never leads. Each try adds one to a number that is not there, and ends with a NullPointerException, which
#   is logged, also when the Lease's holderIdentity is empty. With leaseTransitions 0 it leads.
set -euo pipefail
source "$(dirname "$0")/maven.bash"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
maven io.kubernetes client-java-extended 25.0.0
cat >Main.java <<'JAVA'
import com.sun.net.httpserver.*;
import io.kubernetes.client.extended.leaderelection.*;
import io.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock;
import io.kubernetes.client.util.ClientBuilder;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;

public class Main {
    /** The address of an API server whose Lease has this spec, until it is written. */
    static String serve(String spec) throws IOException {
        String[] lease = {"{\"metadata\":{\"name\":\"lease\",\"namespace\":\"default\",\"resourceVersion\":\"1\"},\"spec\":{" + spec + "}}"};
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            if (body.length > 0) lease[0] = new String(body);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, lease[0].length());
            exchange.getResponseBody().write(lease[0].getBytes());
            exchange.close();
        });
        server.start();
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    /** Whether a candidate leads within 30 s, and what its tries end with until then. */
    static boolean leads(String words, String spec) throws Exception {
        CountDownLatch leads = new CountDownLatch(1);
        Set<String> errors = new ConcurrentSkipListSet<>();
        LeaseLock lock = new LeaseLock("default", "lease", "me", new ClientBuilder().setBasePath(serve(spec)).build());
        LeaderElectionConfig config =
            new LeaderElectionConfig(lock, Duration.ofSeconds(6), Duration.ofSeconds(4), Duration.ofSeconds(1));
        LeaderElector elector = new LeaderElector(config, error -> errors.add("" + error.getCause()));
        new Thread(() -> elector.run(leads::countDown, () -> { })).start();
        boolean led = leads.await(30, TimeUnit.SECONDS);
        System.out.println(words + ": leads " + led + "; errors " + errors);
        return led;
    }

    public static void main(String[] args) throws Exception {
        String held = "\"holderIdentity\":\"gone\",\"leaseDurationSeconds\":6,\"acquireTime\":\"2026-01-01T00:00:00.000000Z\","
            + "\"renewTime\":\"2026-01-01T00:00:00.000000Z\"";
        boolean with = leads("leaseTransitions 0, its holder gone", held + ",\"leaseTransitions\":0");
        boolean without = leads("no leaseTransitions, its holder gone", held);
        boolean empty = leads("no leaseTransitions, no holder", "\"leaseDurationSeconds\":6");
        System.exit(with && !without && !empty ? 0 : 1);
    }
}
JAVA
java -cp "$(cat classpath)" Main.java 2>java.log
echo "as found: without leaseTransitions, no leader"
