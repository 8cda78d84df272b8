#!/bin/bash
# The official Java client, client-java-extended 25.0.0, its LeaderElector, whose close() gives the Lease to the other
# candidates without delay; the leader's work takes ten seconds to stop.
# Guess: close() has the leader stop by its stopLeadingHook, and gives the Lease back when that has returned.
# Behaviour: close() empties the Lease at once. The hook is called later, when the next renewal would be due, up to a
#   retryPeriod after it; nothing waits for it. The next candidate leads while the work goes on.
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
import java.util.concurrent.*;

public class Main {
    static final long START = System.nanoTime();
    static volatile boolean aWorks;

    static double tell(String what) {
        double seconds = (System.nanoTime() - START) / 1e9;
        System.out.printf("%5.1f s  %s%n", seconds, what);
        return seconds;
    }

    /** The address of an API server of one Lease. */
    static String serve() throws IOException {
        String[] lease = {"{\"metadata\":{\"name\":\"lease\",\"namespace\":\"default\"},\"spec\":{\"leaseDurationSeconds\":10,\"leaseTransitions\":0}}"};
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            if (body.length > 0) lease[0] = new String(body);
            if (body.length > 0 && !lease[0].contains("holderIdentity")) tell("the Lease is empty");
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, lease[0].length());
            exchange.getResponseBody().write(lease[0].getBytes());
            exchange.close();
        });
        server.start();
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    static LeaderElector elector(String name, String url) throws IOException {
        LeaseLock lock = new LeaseLock("default", "lease", name, new ClientBuilder().setBasePath(url).build());
        return new LeaderElector(new LeaderElectionConfig(lock, Duration.ofSeconds(10), Duration.ofSeconds(8), Duration.ofSeconds(2)));
    }

    static void stopping() {
        tell("a's stopLeadingHook is called");
        try {
            Thread.sleep(10_000);
        } catch (InterruptedException error) {
            tell("interrupted");
        }
        aWorks = false;
        tell("a has stopped its work");
    }

    public static void main(String[] args) throws Exception {
        String url = serve();
        LeaderElector a = elector("a", url), b = elector("b", url);
        CountDownLatch leads = new CountDownLatch(1);
        new Thread(() -> a.run(() -> { aWorks = true; leads.countDown(); }, Main::stopping)).start();
        leads.await();
        tell("a leads");
        CompletableFuture<Boolean> beside = new CompletableFuture<>();
        new Thread(() -> b.run(() -> beside.complete(aWorks), () -> { })).start();
        Thread.sleep(10_000);
        tell("a.close() is called; b leads: " + beside.isDone());
        boolean early = beside.isDone();
        a.close();
        tell("a.close() has returned; a works: " + aWorks);
        boolean both = beside.get(60, TimeUnit.SECONDS);
        tell("b leads; a works: " + both);
        System.exit(both && !early ? 0 : 1);
    }
}
JAVA
java -cp "$(cat classpath)" Main.java 2>java.log
echo "as found: the Lease was given away before the leader was told to stop"
