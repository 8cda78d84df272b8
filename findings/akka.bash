# Sourced by the scripts: akka-lease-kubernetes 1.1.4, the last under the Apache licence, in a temporary folder, which becomes
# the current one. `run` compiles Main.java with Api.java, an API server of one lease, and runs it.
set -euo pipefail
source "$(dirname "$0")/maven.bash"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >Api.java <<'JAVA'
import akka.actor.ActorSystem;
import akka.coordination.lease.javadsl.*;
import com.sun.net.httpserver.*;
import com.typesafe.config.ConfigFactory;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.*;
import java.util.regex.*;

/** An API server of one lease, as the library's custom resource is, and candidates that use it over HTTP. */
class Api {
    interface Hook { void before(String owner) throws Exception; }

    static final long START = System.nanoTime();
    static volatile Hook write = owner -> { }; // what is done before a write by this owner comes to the lease
    private static String owner = "";
    private static String time = "0";
    private static int version = 1;

    static void tell(String what) {
        System.out.printf("%5.1f s  %s%n", (System.nanoTime() - START) / 1e9, what);
    }

    static String field(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\"?([^\",}]*)").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    /** Answers reads, and writes that have the lease's resourceVersion; others are a conflict. */
    private static void serve(HttpExchange exchange) throws IOException {
        String body = new String(exchange.getRequestBody().readAllBytes());
        try {
            if (!body.isEmpty()) write.before(field(body, "owner"));
        } catch (Exception error) {
            throw new IOException(error);
        }
        String answer;
        int code;
        synchronized (Api.class) {
            code = body.isEmpty() || field(body, "resourceVersion").equals("" + version) ? 200 : 409;
            if (code == 200 && !body.isEmpty()) {
                owner = field(body, "owner");
                time = field(body, "time");
                version++;
            }
            answer = "{\"apiVersion\":\"akka.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"lease\",\"resourceVersion\":\""
                + version + "\"},\"spec\":{\"owner\":\"" + owner + "\",\"time\":" + time + "}}";
        }
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(code, answer.length());
        exchange.getResponseBody().write(answer.getBytes());
        exchange.close();
    }

    static synchronized String owner() {
        return owner;
    }

    static synchronized String time() {
        return time;
    }

    static int listen() throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", Api::serve);
        server.start();
        return server.getAddress().getPort();
    }

    static ActorSystem system(int port) {
        String settings = "akka.coordination.lease.kubernetes { api-service-host = 127.0.0.1, api-service-port = " + port
            + ", secure-api-server = false, heartbeat-timeout = 120s, heartbeat-interval = 2s, lease-operation-timeout = 50s }\n"
            + "akka.loglevel = OFF";
        return ActorSystem.create("app", ConfigFactory.parseString(settings).withFallback(ConfigFactory.load()));
    }

    static Lease lease(ActorSystem system, String owner) {
        return LeaseProvider.get(system).getLease("lease", "akka.coordination.lease.kubernetes", owner);
    }
}
JAVA
run() {
  maven com.lightbend.akka.management akka-lease-kubernetes_2.13 1.1.4
  javac -cp "$(cat classpath)" Api.java Main.java
  java -cp "$(cat classpath):." Main 2>java.log
}
