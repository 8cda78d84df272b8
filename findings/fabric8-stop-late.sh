#!/bin/bash
# fabric8's kubernetes-client 8.0.0 (Java), its LeaderElector, when the API server refuses the leader's connections.
# Guess: onStopLeading is called when renewDeadline is over: with the usual times of 15, 10 and 2 s, at the latest 12 s
#   after the last renewal, and so before another candidate can lead.
# Behaviour: below the elector a request that fails is tried again by itself, for about 20 s, and nobody looks at the
#   deadline meanwhile. onStopLeading comes when another candidate has led for some seconds.
source "$(dirname "$0")/fabric8.bash"
cat >Main.java <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import java.util.concurrent.*;

public class Main {
        public static void main(String[] args) throws Exception {
        CompletableFuture<Double> a = new CompletableFuture<>(), b = new CompletableFuture<>(), end = new CompletableFuture<>();
        Api api = new Api();
        HttpServer first = api.listen(), second = api.listen();
        Api.candidate("A", first, new int[] {15, 10, 2}, () -> a.complete(Api.tell("A onStartLeading")), () -> end.complete(Api.tell("A onStopLeading")));
        a.get(1, TimeUnit.MINUTES);
        Api.candidate("B", second, new int[] {15, 10, 1}, () -> b.complete(Api.tell("B onStartLeading")), () -> { });
        Thread.sleep(5000);
        double gone = Api.tell("A's connections are refused from now on");
        first.stop(0);
        double both = end.get(6, TimeUnit.MINUTES) - b.get(1, TimeUnit.MINUTES);
        System.out.printf("both led for %.0f s; A stopped after %.0f s without API server%n", both, end.get() - gone);
        System.exit(both > 0 && end.get() - gone > 15 ? 0 : 1);
    }
}
JAVA
run
echo "as found: A led beside B"
