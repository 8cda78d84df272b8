#!/bin/bash
# Apache Camel 4.18.0, KubernetesClusterService (its election on a Lease), on kube-apiserver v1.36.3, of whose Lease somebody
# changes an annotation just when the leader renews it: the renewal is a conflict, once.
# Guess: the leader tries again in its next round; if it is too late, it or another candidate leads a lease's duration later.
# Behaviour: the exception ends the leader's rounds for good, and nothing is logged. It stops leading when renewDeadline is
#   over and never stands again. The others go by its pod, which is Ready, not by the renewTime: nobody leads any more.
source "$(dirname "$0")/maven.bash"
source "$(dirname "$0")/apiserver.bash"
maven org.apache.camel camel-kubernetes 4.18.0 org.apache.camel camel-core 4.18.0
cat >Main.java <<'JAVA'
import io.fabric8.kubernetes.client.*;
import io.fabric8.kubernetes.client.dsl.base.*;
import java.util.Map;
import org.apache.camel.cluster.CamelClusterEventListener;
import org.apache.camel.component.kubernetes.KubernetesConfiguration;
import org.apache.camel.component.kubernetes.cluster.KubernetesClusterService;
import org.apache.camel.impl.DefaultCamelContext;

public class Main {
    static volatile String leader = ""; // who has been told that it leads

    static void tell(String what) {
        System.out.println(java.time.LocalTime.now().withNano(0) + "  " + what);
    }

    static void candidate(String api, String pod) throws Exception {
        KubernetesConfiguration configuration = new KubernetesConfiguration();
        configuration.setMasterUrl(api);
        configuration.setOauthToken("admin");
        configuration.setTrustCerts(true);
        KubernetesClusterService service = new KubernetesClusterService(configuration);
        service.setPodName(pod);
        service.setKubernetesResourcesNamespace("default");
        service.setClusterLabels(Map.of("app", "app"));
        service.setRetryPeriodMillis(1000);
        DefaultCamelContext context = new DefaultCamelContext();
        context.addService(service);
        context.start();
        var view = service.getView("group");
        view.addEventListener((CamelClusterEventListener.Leadership) (seen, member) -> {
            boolean leads = view.getLocalMember().isLeader();
            if (leads != leader.equals(pod)) tell(pod + " leads: " + leads);
            if (leads) leader = pod;
            else if (leader.equals(pod)) leader = "";
        });
    }

    /** Whether `who`, or nobody, leads at some time within so many seconds. */
    static boolean within(int seconds, String who) throws InterruptedException {
        for (int i = 0; i < seconds * 100 && !leader.equals(who); i++) Thread.sleep(10);
        return leader.equals(who);
    }

    public static void main(String[] args) throws Exception {
        String api = "https://" + args[0];
        candidate(api, "a");
        boolean led = within(120, "a");
        candidate(api, "b");
        led &= !within(15, "");
        tell("somebody annotates the Lease, until a renewal is a conflict");
        Config config = new ConfigBuilder(Config.empty()).withMasterUrl(api).withOauthToken("admin").withTrustCerts(true).build();
        KubernetesClient client = new KubernetesClientBuilder().withConfig(config).build();
        var lease = client.leases().inNamespace("default").withName("leaders-group");
        long since = System.nanoTime();
        for (int i = 0; leader.equals("a") && System.nanoTime() - since < 120e9; i++)
            lease.patch(PatchContext.of(PatchType.JSON_MERGE), "{\"metadata\":{\"annotations\":{\"seen\":\"" + i + "\"}}}");
        boolean lost = leader.isEmpty() && !within(45, "a") && leader.isEmpty();
        tell("three lease durations later nobody leads: " + lost + "; the Lease names " + lease.get().getSpec().getHolderIdentity());
        client.pods().inNamespace("default").withName("a").withGracePeriod(0).delete();
        System.exit(led && lost && within(60, "b") ? 0 : 1);
    }
}
JAVA
cat >pods.py <<'PYTHON'
from kube import kube

PODS = "/api/v1/namespaces/default/pods"
READY = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
kube("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
for name in "ab":
    spec = {"nodeName": "node", "containers": [{"name": "main", "image": "registry.invalid/main"}]}
    assert kube("POST", PODS, {"metadata": {"name": name, "labels": {"app": "app"}}, "spec": spec})[0] == 201
    assert kube("PATCH", f"{PODS}/{name}/status", READY, content="application/merge-patch+json")[0] == 200
PYTHON
python3 pods.py "$api"
javac -cp "$(cat classpath)" Main.java
java -cp "$(cat classpath):." Main "$api" 2>java.log
echo "as found: after one conflict, no leader"
