# Sourced by the scripts: writes Cut.java into the current folder, whose `Cut.to(HOST:PORT)` is an address that leads there.
# While `Cut.off` is true nothing comes through, in neither direction, as when a node is cut off.
cat >Cut.java <<'JAVA'
import java.io.IOException;
import java.net.*;

class Cut {
    static volatile boolean off;

    private static void pump(Socket from, Socket to) {
        new Thread(() -> {
            try (from; to) {
                byte[] some = new byte[65536];
                for (int n; (n = from.getInputStream().read(some)) > 0; to.getOutputStream().write(some, 0, n))
                    while (off) Thread.sleep(10);
            } catch (IOException | InterruptedException error) {
                // the other end has gone
            }
        }).start();
    }

    static String to(String address) throws IOException {
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        String[] target = address.split(":");
        new Thread(() -> {
            try {
                while (true) {
                    Socket client = server.accept(), back = new Socket(target[0], Integer.parseInt(target[1]));
                    pump(client, back);
                    pump(back, client);
                }
            } catch (IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }).start();
        return "127.0.0.1:" + server.getLocalPort();
    }
}
JAVA
