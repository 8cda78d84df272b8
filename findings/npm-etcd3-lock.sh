#!/bin/bash
# etcd3 1.1.2, the npm package, its Lock, on etcd v3.7.3: a second acquire() of a Lock object that holds the lock.
# Guess: it fails, as it does, and changes nothing: release() gives the lock back afterwards.
# Behaviour: the second acquire() puts a lease of its own in the place of the first one's, and revokes that. release()
#   answers success and ends nothing. The first lease is kept alive by the process, out of reach: nobody gets the lock
#   while the process lives.
source "$(dirname "$0")/etcd.bash"
npm install --silent --no-audit --no-fund etcd3@1.1.2 >/dev/null
echo "etcd3 $(node -p 'require("etcd3/package.json").version'), Node.js $(node --version)"
cat >finding.js <<'JS'
const assert = require("node:assert");
const { setTimeout: sleep } = require("node:timers/promises");
const { Etcd3, EtcdLockFailedError } = require("etcd3");

const TTL = 5;
const [first, second] = [1, 2].map(() => new Etcd3({ hosts: `http://${process.argv[2]}` }));

async function free(name) {
  const lock = second.lock(name).ttl(TTL);
  try {
    await lock.acquire();
  } catch (error) {
    assert(error instanceof EtcdLockFailedError, error);
    return false;
  }
  await lock.release();
  return true;
}

async function released(name, twice) {
  const lock = first.lock(name).ttl(TTL);
  await lock.acquire();
  if (twice) await assert.rejects(lock.acquire(), EtcdLockFailedError);
  await lock.release();
  const since = Date.now();
  while (!(await free(name))) {
    if (Date.now() - since > 4 * TTL * 1000) return `still held after ${(4 * TTL)} s, its TTL being ${TTL} s`;
    await sleep(500);
  }
  return "free";
}

(async () => {
  const [once, again] = [await released("once", false), await released("again", true)];
  console.log(`acquire, release: ${once}\nacquire, acquire (fails), release: ${again}`);
  assert(once === "free" && again !== "free");
  process.exit(0);
})();
JS
node finding.js "$client"
echo "as found: the second acquire() left a lock behind that release() does not end"
