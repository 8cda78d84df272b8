#!/bin/bash
# etcd3 1.1.2, the npm package, its Election, on etcd v3.7.3: an observer of an election that nobody leads yet, and four
# candidates that stand at the same moment, as the replicas of a new deployment do.
# Guess: the observer names the one whose key was created first, as Election.leader() and the candidates themselves do.
# Behaviour: it takes the last key that it hears of until its watch is cancelled for the first one's sake. From then on
#   it watches that key alone: it names a candidate that waits, without a limit in time.
source "$(dirname "$0")/etcd.bash"
npm install --silent --no-audit --no-fund etcd3@1.1.2 >/dev/null
echo "etcd3 $(node -p 'require("etcd3/package.json").version'), Node.js $(node --version)"
cat >finding.js <<'JS'
const assert = require("node:assert");
const { setTimeout: sleep } = require("node:timers/promises");
const { Etcd3 } = require("etcd3");

const hosts = `http://${process.argv[2]}`;
const clients = [1, 2, 3, 4].map(() => new Etcd3({ hosts }));

async function round(name) {
  const observer = await new Etcd3({ hosts }).election(name).observe();
  await Promise.all(clients.map((client) => client.get("connected")));
  let elected = "";
  clients.forEach((client, number) => {
    const campaign = client.election(name).campaign(`candidate ${number}`);
    campaign.on("elected", () => (elected += `candidate ${number}`)).on("error", assert.ifError);
  });
  while (!elected || !observer.leader()) await sleep(50);
  await sleep(2000);
  const leader = await clients[0].election(name).leader();
  assert.equal(elected, leader);
  return [leader, observer.leader()];
}

(async () => {
  const wrong = [];
  for (let number = 0; number < 40 && wrong.length < 3; number++) {
    const [leader, observed] = await round(`election ${number}`);
    if (leader !== observed) wrong.push(number);
    console.log(`election ${number}: ${leader} leads; after two seconds the observer names ${observed}`);
  }
  assert(wrong.length, "the observer was always right");
  process.exit(0);
})();
JS
node finding.js "$client"
echo "as found: the observer named candidates that do not lead"
