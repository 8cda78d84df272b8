#!/bin/bash
# @codedependant/kubernetes-leader-election 1.0.1 (npm), a candidate that waits while another leads, which then crashes.
# Guess: it leads a lease's duration after the other's last renewal, whenever that was.
# Behaviour: a candidate asks three times, over the duration of one lease from its start, and then never again: it waits for
#   an event of the Lease, and a leader that has crashed makes none. Nobody follows, until somebody writes or deletes the
#   Lease or another candidate starts. Only a leader that was gone when the candidate started is followed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund @codedependant/kubernetes-leader-election@1.0.1 >/dev/null
cat >finding.js <<'JS'
const assert = require("node:assert");
const fs = require("node:fs");
const http = require("node:http");
const { setTimeout: sleep } = require("node:timers/promises");
const { Elector } = require("@codedependant/kubernetes-leader-election");

const DURATION = 4; // seconds
const lease = { metadata: { name: "l", namespace: "default", resourceVersion: "1" } };
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString().replace("Z", "000Z");
const renew = (age) => (lease.spec = { holderIdentity: "other", leaseDurationSeconds: DURATION, renewTime: ago(age) });

// An API server of one Lease; a watch of it tells its changes.
const watches = new Set();
const tell = (type) => watches.forEach((watch) => watch.write(JSON.stringify({ type, object: lease }) + "\n"));
const server = http.createServer(async (request, response) => {
  const body = await request.setEncoding("utf8").reduce((text, part) => text + part, "");
  response.writeHead(200, { "Content-Type": "application/json" });
  if (request.url.includes("watch=true")) {
    watches.add(response);
    return response.write(JSON.stringify({ type: "ADDED", object: lease }) + "\n");
  }
  if (body) {
    Object.assign(lease, JSON.parse(body));
    tell("MODIFIED");
  }
  response.end(JSON.stringify(lease));
});

async function followed(words, age, seconds) {
  // The other has renewed `age` seconds ago, renews each second for so long, and has crashed then.
  renew(age);
  const renewing = seconds && setInterval(() => { renew(0); tell("MODIFIED"); }, 1000);
  const elector = new Elector({ identity: words, lease_name: "l", lease_duration_sec: DURATION, auto_close: false });
  let leads = false;
  elector.on("leadership_acquired", () => (leads = true));
  await elector.start();
  await sleep(seconds * 1000);
  clearInterval(renewing);
  await sleep(8 * DURATION * 1000);
  console.log(`the leader crashed ${words}; eight leases later the candidate leads: ${leads}`);
  await elector.stop();
  return leads;
}

server.listen(0, "127.0.0.1", async () => {
  const cluster = { name: "c", cluster: { server: `http://127.0.0.1:${server.address().port}`, "insecure-skip-tls-verify": true } };
  const context = { name: "c", context: { cluster: "c", user: "u" } };
  const config = { clusters: [cluster], contexts: [context], users: [{ name: "u", user: {} }], "current-context": "c" };
  fs.writeFileSync("kubeconfig", JSON.stringify(config));
  Object.assign(process.env, { KUBECONFIG: "kubeconfig", KUBERNETES_SERVICE_HOST: "127.0.0.1" });
  assert(await followed("2 s before the candidate's start", 2, 0));
  assert(!(await followed("10 s after the candidate's start", 0, 10)));
  console.log("as found: nobody followed");
  process.exit(0);
});
JS
node finding.js
