#!/bin/bash
# etcd3 1.1.2, the npm package, a lease of 5 s on etcd v3.7.3, when the client can no longer reach etcd.
# Guess: the lease's "lost" is emitted when its TTL has passed without an answer, which is when etcd gives it to others.
# Behaviour: the client waits for twice its TTL. For as long as that the lease is alive to its holder, while another
#   has taken the lock. The holder's Lock, which has no events of its own, does not tell either.
source "$(dirname "$0")/etcd.bash"
npm install --silent --no-audit --no-fund etcd3@1.1.2 >/dev/null
echo "etcd3 $(node -p 'require("etcd3/package.json").version'), Node.js $(node --version)"
cat >finding.js <<'JS'
const assert = require("node:assert");
const net = require("node:net");
const { setTimeout: sleep } = require("node:timers/promises");
const { Etcd3, EtcdLockFailedError, LeaseState } = require("etcd3");

const TTL = 5;
const [host, port] = process.argv[2].split(":");
const links = new Set();
const proxy = net.createServer((inner) => {
  const outer = net.connect(port, host);
  for (const [from, to] of [[inner, outer], [outer, inner]]) {
    links.add(from.on("error", () => to.destroy()));
    from.pipe(to);
  }
});

async function taken(lock, since) {
  for (;;) {
    try {
      await lock.acquire();
      return Date.now();
    } catch (error) {
      assert(error instanceof EtcdLockFailedError && Date.now() - since < 60e3, error);
      await sleep(100);
    }
  }
}

proxy.listen(0, "127.0.0.1", async () => {
  const first = new Etcd3({ hosts: `http://127.0.0.1:${proxy.address().port}` });
  const second = new Etcd3({ hosts: `http://${host}:${port}` });
  const lease = first.lease(TTL);
  const put = lease.put("lock").value("");
  await first.if("lock", "Create", "==", 0).then(put).commit();
  await sleep(3000);
  proxy.close();
  links.forEach((link) => link.destroy());
  const cut = Date.now();
  const seconds = (time) => ((time - cut) / 1000).toFixed(1);
  const lost = new Promise((resolve) => lease.on("lost", () => resolve(Date.now())));
  const other = await taken(second.lock("lock").ttl(TTL), cut);
  console.log(`${seconds(other)} s after the cut the second has the lock; the first's lease: ${LeaseState[lease.state]}`);
  const told = await lost;
  console.log(`${seconds(told)} s after the cut the first is told that its lease is lost`);
  assert(told - other > 3000 && told - cut > 1.4 * TTL * 1000);
  process.exit(0);
});
JS
node finding.js "$client"
echo "as found: two had the lock, the first because it counts twice the TTL"
