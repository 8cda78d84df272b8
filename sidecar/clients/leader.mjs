// Work only while this pod leads: node leader.mjs SIDECAR STORE. Needs Node 18 or newer, and no package.
const [sidecar, store] = process.argv.slice(2);
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// What /leader says of the term that this pod leads in; null if it does not lead, or if nobody says that it does.
// The work must be over by `until`, in milliseconds of a clock that nobody sets, unless the sidecar was asked again.
async function ask() {
  const sent = performance.now(); // before the question: the answer may come late
  try {
    const answer = await fetch(`${sidecar}/leader`, { signal: AbortSignal.timeout(2000) });
    const { token, validForSeconds } = await answer.json();
    return answer.ok ? { token, until: sent + 1000 * validForSeconds } : null;
  } catch {
    return null;
  }
}

// One unit of work, given up when the term may be over. False if it was not done, or refused.
async function work({ token, until }) {
  const left = Math.floor(until - performance.now());
  if (left <= 0) return false;
  const headers = { "Leasehold-Token": String(token) }; // the store refuses one that is lower than one it has seen
  try {
    const signal = AbortSignal.timeout(left);
    const answer = await fetch(store, { method: "POST", body: "one unit", headers, signal });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

// Calls `wake` whenever it is time to ask again, until the stream ends or falls silent: a heartbeat comes every 5 s.
async function follow(wake) {
  const silence = new AbortController();
  let timer;
  const listen = () => (timer = setTimeout(() => silence.abort(), 15000));
  listen();
  try {
    const answer = await fetch(`${sidecar}/events`, { signal: silence.signal });
    for await (const _ of answer.body) {
      clearTimeout(timer); // the work may take longer
      await wake();
      listen();
    }
  } catch {
    // the sidecar is gone, or silent
  } finally {
    clearTimeout(timer);
  }
}

for (;;) {
  await follow(async () => {
    for (let term; (term = await ask()) && (await work(term)); ) await sleep(500);
  });
  await sleep(500); // the sidecar may restart
}
