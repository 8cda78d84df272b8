import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Work only while this pod leads: java Leader.java SIDECAR STORE. Needs Java 17 or newer, and no library. */
public class Leader {
    private static final Pattern VALID = Pattern.compile("\"validForSeconds\": ?([0-9.]+)");

    /** The work must be over by `until`, in nanoseconds of System.nanoTime, unless the sidecar was asked again. */
    record Term(String token, long until) {}

    private static HttpURLConnection open(String url, int milliseconds) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
        connection.setConnectTimeout(milliseconds);
        connection.setReadTimeout(milliseconds);
        return connection;
    }

    /** What /leader says of the term that this pod leads in; null if it does not lead, or nobody says that it does. */
    static Term ask(String sidecar) {
        long sent = System.nanoTime(); // before the question: the answer may come late
        try {
            HttpURLConnection question = open(sidecar + "/leader", 2000);
            if (question.getResponseCode() != 200) {
                return null;
            }
            String answer = new String(question.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            Matcher valid = VALID.matcher(answer);
            long nanoseconds = valid.find() ? (long) (1e9 * Double.parseDouble(valid.group(1))) : 0;
            return new Term(question.getHeaderField("Leasehold-Token"), sent + nanoseconds);
        } catch (IOException noAnswer) {
            return null;
        }
    }

    /** One unit of work, given up when the term may be over. False if it was not done, or refused. */
    static boolean work(String store, Term term) {
        int left = (int) ((term.until - System.nanoTime()) / 1_000_000);
        if (left <= 0) {
            return false;
        }
        try {
            HttpURLConnection write = open(store, left);
            write.setRequestProperty("Leasehold-Token", term.token); // the store refuses one lower than one it has seen
            write.setDoOutput(true);
            write.getOutputStream().write("one unit".getBytes(StandardCharsets.UTF_8));
            return write.getResponseCode() == 200;
        } catch (IOException noAnswer) {
            return false;
        }
    }

    /** Work at each event of the stream, until it ends or falls silent: a heartbeat comes every 5 s. */
    static void follow(String sidecar, String store) throws InterruptedException {
        try (var lines = new BufferedReader(new InputStreamReader(open(sidecar + "/events", 15000).getInputStream()))) {
            for (String line; (line = lines.readLine()) != null; ) {
                Term term = line.startsWith("event:") ? ask(sidecar) : null;
                while (term != null && work(store, term)) {
                    Thread.sleep(500);
                    term = ask(sidecar);
                }
            }
        } catch (IOException gone) {
            // the sidecar may restart
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        System.setProperty("sun.net.http.retryPost", "false"); // or Java would send a write again, without asking
        while (true) {
            follow(arguments[0], arguments[1]);
            Thread.sleep(500);
        }
    }
}
