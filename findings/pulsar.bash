# Sourced by the scripts: besides what etcd.bash and maven.bash do, has Maven fetch pulsar-metadata 4.0.7 and writes Candidate.java.
# `candidate NAME` starts a process that stands for /leader by Pulsar's LeaderElection, with a session of 10 s; it writes what it
# is told into NAME.told, its process is in ${process[NAME]}, and `end NAME` kills it. `seen FILE PATTERN` waits for a line,
# `restart` starts etcd again.
source "$(dirname "$0")/maven.bash"
source "$(dirname "$0")/etcd.bash"
etcd=$!
maven org.apache.pulsar pulsar-metadata 4.0.7
cat >Candidate.java <<'JAVA'
import java.util.EnumSet;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.metadata.api.MetadataStoreConfig;
import org.apache.pulsar.metadata.api.coordination.LeaderElection;
import org.apache.pulsar.metadata.api.extended.*;
import org.apache.pulsar.metadata.coordination.impl.CoordinationServiceImpl;

public class Candidate {
    public static void main(String[] args) throws Exception {
        MetadataStoreExtended store = MetadataStoreExtended.create("etcd:http://" + args[0],
            MetadataStoreConfig.builder().sessionTimeoutMillis(10_000).build());
        store.registerListener(notification -> System.out.println("notified: " + notification.getPath()));
        store.registerSessionListener(event -> System.out.println("session: " + event));
        LeaderElection<String> election = new CoordinationServiceImpl(store)
            .getLeaderElection(String.class, "/leader", state -> System.out.println("told: " + state));
        election.elect(args[1]);
        while (true) {
            String put = "ok";
            try {
                store.put("/its/" + args[1], new byte[0], Optional.empty(), EnumSet.of(CreateOption.Ephemeral)).get(5, TimeUnit.SECONDS);
            } catch (Exception error) {
                put = error.toString().replaceAll(".*: ", "");
            }
            System.out.println("is: " + election.getState() + ", a key with its lease: " + put);
            Thread.sleep(2000);
        }
    }
}
JAVA
declare -A process
candidate() {
  java -cp "$(cat classpath)" Candidate.java "$client" "$1" >>"$1.told" 2>"$1.log" &
  process[$1]=$!
}
end() { kill -KILL "${process[$1]}" && { wait "${process[$1]}" || true; } 2>/dev/null; }
seen() { for _ in $(seq 600); do grep -Eqs "$2" "$1" && return; sleep 0.2; done; echo "not seen in $1: $2"; tail "$1"; exit 1; }
restart() {
  kill "$etcd" && wait "$etcd" || true
  ./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
    --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
    --initial-cluster "default=http://$peer" >>log 2>&1 &
  etcd=$!
}
