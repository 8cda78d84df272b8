# Sourced by the scripts: fabric8's kubernetes-client 8.0.0 in a temporary folder, which becomes the current one. `run`
# compiles Main.java with Api.java, an API server of one Lease, and runs it.
set -euo pipefail
source "$(dirname "$0")/maven.bash"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >Api.java <<'JAVA'
import tools.jackson.databind.ObjectMapper;
import tools.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.*;
import io.fabric8.kubernetes.client.*;
import io.fabric8.kubernetes.client.extended.leaderelection.*;
import io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;

class Api {
    static final ObjectMapper JSON = new ObjectMapper();
    static final long START = System.nanoTime();
    private ObjectNode lease;
    private int version;

    /** Says it, with the seconds since the start, which are the result. */
    static double tell(String what) {
        double seconds = (System.nanoTime() - START) / 1e9;
        System.out.printf("%5.1f s  %s%n", seconds, what);
        return seconds;
    }

    synchronized void write(ObjectNode given) {
        if (lease == null) lease = given;
        else ((ObjectNode) lease.get("spec")).setAll((ObjectNode) given.get("spec"));
        ((ObjectNode) lease.get("metadata")).put("resourceVersion", "" + ++version);
    }

    synchronized String holder() {
        return lease.path("spec").path("holderIdentity").asString();
    }

    /** Answers get, create and merge patch of the Lease; a patch of an old resourceVersion is a conflict. */
    private synchronized void serve(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        int code = lease == null && body.length == 0 ? 404 : 200;
        if (body.length > 0) {
            ObjectNode given = (ObjectNode) JSON.readTree(body);
            if (lease != null && given.path("metadata").path("resourceVersion").asInt() != version) code = 409;
            else write(given);
        }
        byte[] answer = JSON.writeValueAsBytes(code == 200 ? lease : JSON.createObjectNode().put("kind", "Status").put("code", code));
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(code, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    HttpServer listen() throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", this::serve);
        server.start();
        return server;
    }

    /** A candidate; times are leaseDuration, renewDeadline and retryPeriod in seconds. */
    static void candidate(String name, HttpServer server, int[] times, Runnable leads, Runnable stops) {
        Config config = Config.empty();
        config.setMasterUrl("http://127.0.0.1:" + server.getAddress().getPort());
        KubernetesClient client = new KubernetesClientBuilder().withConfig(config).build();
        client.leaderElector().withConfig(new LeaderElectionConfigBuilder().withName(name)
            .withLock(new LeaseLock("default", "lease", name)).withLeaseDuration(Duration.ofSeconds(times[0]))
            .withRenewDeadline(Duration.ofSeconds(times[1])).withRetryPeriod(Duration.ofSeconds(times[2]))
            .withLeaderCallbacks(new LeaderCallbacks(leads, stops, leader -> { })).build()).build().start();
    }
}
JAVA
run() {
  maven io.fabric8 kubernetes-client 8.0.0
  javac -cp "$(cat classpath)" Api.java Main.java
  java -cp "$(cat classpath):." Main 2>java.log
}
