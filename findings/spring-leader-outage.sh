#!/bin/bash
# Spring Cloud Kubernetes 3.3.0, its leader election (spring-cloud-kubernetes-fabric8-leader, by a ConfigMap), two candidates
# on kube-apiserver v1.36.3; the leader's node is cut off, so that Kubernetes makes its pod not Ready.
# Guess: a leader that has not reached the API server for some time is revoked, before another is granted.
# Behaviour: nothing is renewed and nothing ends by time. The other one is granted as soon as the leader's pod is not Ready;
#   the leader leads on, without a limit in time, and is revoked when its node is back.
source "$(dirname "$0")/maven.bash"
pieces=$(cd "$(dirname "$0")" && pwd)
source "$(dirname "$0")/apiserver.bash"
source "$pieces/cut.bash"
maven org.springframework.cloud spring-cloud-kubernetes-fabric8-leader 3.3.0
cat >Main.java <<'JAVA'
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.client.*;
import io.fabric8.kubernetes.client.dsl.base.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.cloud.kubernetes.commons.leader.*;
import org.springframework.cloud.kubernetes.fabric8.leader.*;
import org.springframework.integration.leader.*;
import org.springframework.integration.leader.event.DefaultLeaderEventPublisher;

public class Main {
    static final Set<String> leading = ConcurrentHashMap.newKeySet();

    static void tell(String what) {
        System.out.println(LocalTime.now().withNano(0) + "  " + what);
    }

    static KubernetesClient client(String api) {
        return new KubernetesClientBuilder().withConfig(new ConfigBuilder(Config.empty()).withMasterUrl("https://" + api)
            .withOauthToken("admin").withTrustCerts(true).withNamespace("default").build()).build();
    }

    static void ready(KubernetesClient client, String pod, String is) {
        client.pods().withName(pod).subresource("status").patch(PatchContext.of(PatchType.JSON_MERGE),
            "{\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"" + is + "\"}]}}");
    }

    /** As the auto-configuration makes it, in a pod of this name. */
    static void candidate(String pod, KubernetesClient client) {
        LeaderProperties properties = new LeaderProperties();
        properties.setRole("app");
        properties.setUpdatePeriod(Duration.ofSeconds(2));
        Candidate candidate = new DefaultCandidate(pod, "app") {
            public void onGranted(Context context) { leading.add(pod); tell(pod + " is granted"); }
            public void onRevoked(Context context) { leading.remove(pod); tell(pod + " is revoked"); }
        };
        var controller = new Fabric8LeadershipController(candidate, properties, new DefaultLeaderEventPublisher(event -> { }), client);
        new LeaderInitiator(properties, controller, new Fabric8LeaderRecordWatcher(properties, controller, client),
            new Fabric8PodReadinessWatcher(pod, client, controller)).start();
    }

    static boolean within(int seconds, String... who) throws InterruptedException {
        for (int i = 0; i < seconds * 10 && !leading.equals(Set.of(who)); i++) Thread.sleep(100);
        return leading.equals(Set.of(who));
    }

    public static void main(String[] args) throws Exception {
        KubernetesClient client = client(args[0]);
        for (String pod : List.of("a", "b")) {
            client.pods().resource(new PodBuilder().withNewMetadata().withName(pod).endMetadata().withNewSpec()
                .addNewContainer().withName("main").withImage("registry.invalid/main").endContainer().endSpec().build()).create();
            ready(client, pod, "True");
        }
        candidate("a", client(Cut.to(args[0])));
        boolean found = within(60, "a");
        candidate("b", client);
        found &= !within(10, "b");
        Cut.off = true;
        tell("a's node is cut off");
        ready(client, "a", "Unknown");
        found &= within(60, "a", "b");
        Thread.sleep(120_000);
        tell("two minutes later lead " + leading);
        found &= leading.size() == 2;
        Cut.off = false;
        System.exit(found && within(120, "b") ? 0 : 1);
    }
}
JAVA
python3 -c 'from kube import *; kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})' "$api"
javac -cp "$(cat classpath)" Cut.java Main.java
java -cp "$(cat classpath):." Main "$api" 2>java.log
echo "as found: two led, until the first one's node was back"
