#!/bin/bash
# etcd3 1.1.2, the npm package, its Election, on etcd v3.7.3: a candidate that resigns while it waits in the queue.
# Guess: it is out. When the leader goes, only the next one in the queue is told that it is elected.
# Behaviour: resign() ends the candidate's lease, not its wait for the key before its own. When that key goes, "elected"
#   is emitted and wait() is fulfilled for the one that resigned, too: it believes to lead beside the leader.
source "$(dirname "$0")/etcd.bash"
npm install --silent --no-audit --no-fund etcd3@1.1.2 >/dev/null
echo "etcd3 $(node -p 'require("etcd3/package.json").version'), Node.js $(node --version)"
cat >finding.js <<'JS'
const assert = require("node:assert");
const { setTimeout: sleep } = require("node:timers/promises");
const { Etcd3 } = require("etcd3");

const hosts = `http://${process.argv[2]}`;
const elected = [];

function candidate(name) {
  const campaign = new Etcd3({ hosts }).election("election", 60).campaign(name);
  campaign.on("error", assert.ifError);
  campaign.wait().then(() => elected.push(name));
  return campaign;
}

async function until(what, seen) {
  for (let tries = 0; !(await seen()); tries++) {
    assert(tries < 600, `not seen: ${what}`);
    await sleep(100);
  }
}

(async () => {
  const client = new Etcd3({ hosts });
  const queue = async () => (await client.namespace("election/election/").getAll().keys()).length;
  const first = candidate("first");
  await until("the first leads", () => elected.length === 1);
  const second = candidate("second");
  await until("the second's key", async () => (await queue()) === 2);
  candidate("third");
  await until("the third's key", async () => (await queue()) === 3);
  await sleep(2000);
  await second.resign();
  assert.equal(await queue(), 2);
  console.log("the second has resigned; keys left: 2; the first resigns");
  await first.resign();
  await until("the third is elected", () => elected.includes("third"));
  await sleep(2000);
  console.log("told that they are elected:", elected.join(", "));
  assert.equal(await client.election("election").leader(), "third");
  assert.deepEqual([...elected].sort(), ["first", "second", "third"]);
  process.exit(0);
})();
JS
node finding.js "$client"
echo "as found: one that had resigned was told that it is elected"
