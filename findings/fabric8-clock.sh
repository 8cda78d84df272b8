#!/bin/bash
# fabric8's kubernetes-client 8.0.0 (Java), its LeaderElector, and a Lease of 15 s that another holds and renews each 2 s, by
# a clock that is 20 s behind the candidate's.
# Guess: as with client-go, a candidate counts from when it saw the last change, by its own clock; the clocks of two nodes
#   are never compared.
# Behaviour: the renewTime in the Lease is compared with the candidate's clock. The Lease is taken at once, though its holder
#   renews it.
source "$(dirname "$0")/fabric8.bash"
cat >Main.java <<'JAVA'
import tools.jackson.databind.node.ObjectNode;
import java.time.*;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.*;

public class Main {
    static final DateTimeFormatter MICROS = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'");

    static ObjectNode renewed(int behind) {
        String now = MICROS.format(ZonedDateTime.now(ZoneOffset.UTC).minusSeconds(behind));
        ObjectNode lease = Api.JSON.createObjectNode();
        lease.putObject("metadata").put("name", "lease").put("namespace", "default");
        lease.putObject("spec").put("holderIdentity", "other").put("leaseDurationSeconds", 15)
            .put("leaseTransitions", 0).put("acquireTime", now).put("renewTime", now);
        return lease;
    }

    /** Whether the candidate takes, within 40 s, a Lease that its holder renews each two seconds. */
    static CompletableFuture<Boolean> taken(String words, int behind) throws Exception {
        Api api = new Api();
        api.write(renewed(behind));
        Executors.newSingleThreadScheduledExecutor().scheduleAtFixedRate(() -> {
            if (api.holder().equals("other")) api.write(renewed(behind));
        }, 2, 2, TimeUnit.SECONDS);
        CompletableFuture<Boolean> leads = new CompletableFuture<>();
        Api.candidate("me", api.listen(), new int[] {15, 10, 2}, () -> { Api.tell(words + ": taken"); leads.complete(true); }, () -> { });
        return leads.completeOnTimeout(false, 40, TimeUnit.SECONDS);
    }

    public static void main(String[] args) throws Exception {
        var plain = taken("both clocks right", 0);
        var behind = taken("the holder's clock 20 s behind", 20);
        boolean found = behind.get() && !plain.get();
        Api.tell("both clocks right: taken " + plain.get());
        System.exit(found ? 0 : 1);
    }
}
JAVA
run
echo "as found: the Lease was taken from a holder that renewed it"
