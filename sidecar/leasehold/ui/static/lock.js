"use strict";
// The view of one lock: its queue, its terms, and the commands for it. page.js calls it.

function renderOne() {
  byId("list").hidden = Boolean(open);
  byId("one").hidden = !open;
  document.title = open ? open + " – Leasehold" : "Leasehold";
  if (!open) return;
  put("one-name", open);
  const row = locks.get(open) || { name: open, state: "removed", holders: [] };
  const holders = row.holders.map((one) => one.identity).join(", ");
  const parts = [holders ? "held by " + holders : says(row)];
  if (complete && spoken !== open + parts[0]) {
    if (spoken.startsWith(open)) say(`${open}: ${parts[0]}`);  // not when it is opened: its name is read then
    spoken = open + parts[0];
  }
  if (row.waiting) parts.push(`${row.waiting} waiting`);
  if (row.capacity) parts.push(`up to ${row.capacity} may lead`);
  parts.push(row.declared ? "declared by a Lock" : "not declared by a Lock");
  if (detail && detail.preferredHolder) parts.push("preferred: " + detail.preferredHolder);
  put("one-state", parts.join(" · "));
  byId("one-state").className = needsAttention(row) ? "bad" : "";
  if (!detail || detail.name !== open) detail = null;
  renderQueue(row);
  renderAbsent();
  renderTerms();
  renderCommands(row);
}
function renderQueue(row) {
  patchLines(byId("queue").tBodies[0], (detail ? detail.queue : []).map((one) => queueRow(one, row)));
  const queued = detail && detail.queue.length;
  byId("queue").hidden = !queued;
  byId("more").hidden = !detail || Boolean(queued && !detail.more);
  put("more", queued ? `and ${detail.more} more` : "Nobody is in the queue.");
}
function queueRow(one, row) {
  const notes = [];
  if (one.yieldTo) notes.push(element("div", "handing over to " + one.yieldTo, "low"));
  if (one.reason) notes.push(element("div", one.reason, one.reasonCode === "behind" ? "aside" : "low"));
  if (one.foreign) notes.push(element("div", "not a sidecar of Leasehold", "aside"));
  const where = [one.node && "node " + one.node, one.group && "revision " + one.group].filter(Boolean).join(", ");
  return figures(line(
    "tr", one.token, headCell("Position", String(one.position), one.holds ? element("span", " leads", "good") : ""),
    cell("Candidate", one.identity || "(no name)", ...notes), leaseCell(one, row), cell("Token", one.token),
    cell("Where", where)), 3);
}
function renderAbsent() {
  const pods = detail && detail.absent || [], error = detail && detail.absentError, more = detail ? detail.absentCount - pods.length : 0;
  byId("absent").hidden = !pods.length && !error;
  byId("absent-pods").hidden = !pods.length;
  put("absent-note", error ? "Which pods are missing is not known: " + error : more > 0 ? `and ${more} more` : "");
  patchLines(byId("absent-pods").tBodies[0], pods.map((pod) => {
    const since = pod.since ? Date.parse(pod.since) / 1000 : null;
    const until = pod.until ? element("div", "until " + time(Date.parse(pod.until) / 1000), "aside") : "";
    const why = cell("Why", element("span", pod.message || pod.reason || "", "bad"), until);
    return figures(line("tr", pod.podName || "", headCell("Pod", pod.podName || ""), why, cell("Since", time(since))), 2);
  }));
}
function renderTerms() {
  const terms = detail ? detail.terms : [];
  patchLines(byId("terms").tBodies[0], terms.slice().reverse().map(termRow));
  byId("terms").hidden = !terms.length;
  byId("no-terms").hidden = Boolean(terms.length);
  drawStrip(terms);
}
function termRow(term) {
  const until = term.until || Date.now() / 1000;
  const gap = term.gap === undefined ? "" : term.gap === 0 ? "no gap" : element("span", span(term.gap), "bad");
  return figures(line(
    "tr", term.token, headCell("Holder", term.identity || "(no name)"), cell("Token", term.token),
    cell("From", time(term.since) || "before this page"),
    cell("Until", term.until ? time(term.until) : element("span", "now", "good")),
    cell("Led for", term.since && term.until ? span(until - term.since) : ""),
    cell("Ended", term.ended || ""), cell("Nobody before", gap)), 1, 2, 3, 4, 6);
}
function drawStrip(terms) {
  const now = Date.now() / 1000, begin = Math.min(...terms.map((term) => term.since || term.until || now), now);
  const parts = [];
  terms.forEach((term, n) => {
    if (term.gap) parts.push([term.gap, "gap"]);
    parts.push([(term.until || now) - (term.since || begin), n % 2 ? "other" : ""]);
  });
  if (detail && detail.vacantSince) parts.push([now - detail.vacantSince, "gap"]);
  byId("strip").hidden = byId("strip-note").hidden = parts.length < 2;
  byId("strip-note").textContent = `${time(begin)} until now; red: nobody held it`;
  byId("strip").replaceChildren(...parts.map(([seconds, kind]) => {
    const made = element("i", undefined, kind);
    made.style.flexGrow = 1000 * Math.max(seconds, 0.001);
    return made;
  }));
}
function renderCommands(row) {
  const [namespace, name] = open.split("/"), lines = [];
  const kubectl = (verb, more) => `kubectl leasehold ${verb} ${name} -n ${namespace}${more || ""}`;
  const nobody = !row.holders.length && row.state !== "suspended", here = ` --etcd ${etcd.join(",")}${root} --lock ${open}`;
  if (nobody) lines.push(["find out why nobody leads", row.declared ? kubectl("check") : "leasehold check" + here]);
  if (row.declared) {
    lines.push(["see all of it", kubectl("describe")]);
    if (row.holders.length) lines.push(["let the next one lead", kubectl("handover", " --wait")]);
    if (row.state === "suspended") lines.push(["let somebody lead again", kubectl("resume")]);
    else lines.push(["let nobody lead", kubectl("suspend")]);
    if (row.holders.length) lines.push(["take it from a holder that does not react", kubectl("revoke", " --up-to-token " + row.holders[0].token)]);
  } else {
    lines.push(["see its queue", "leasehold status" + here]);
  }
  patchLines(byId("commands"), lines.map(([what, command]) => {
    const button = element("button", "Copy");
    button.type = "button";
    button.ariaLabel = "Copy the command: " + what;
    return line("li", what, element("code", command), button, element("span", what, "aside"));
  }));
}
async function copy(button) {
  const code = button.previousSibling;
  let done = "Copied";
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    done = "Selected";
  }
  button.textContent = done;
  say(done + ": " + code.textContent);
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
async function askDetail() {
  if (!open) return;
  if (asking) { askAgain = true; return; }
  asking = true;
  const name = open;
  try {
    const answer = await fetch("/lock?name=" + encodeURIComponent(name));
    if (name === open) {
      detail = answer.ok ? await answer.json() : null;
      renderOne();
      wantLeases();
    }
  } catch { /* the state says so */ }
  setTimeout(() => { asking = false; if (askAgain) { askAgain = false; askDetail(); } }, 300);
}
// The API server pushes nothing here: while a lock that needs it is shown, its missing pods are asked for again.
setInterval(() => { if (detail && (detail.absent || detail.absentError) && !document.hidden) askDetail(); }, 5000);
function named() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";  // somebody has cut the address
  }
}
function follow() {
  const name = named(), before = open;
  open = name.includes("/") ? name : "";
  detail = null;
  renderOne();
  if (open) { askDetail(); byId("one-name").focus(); }
  else {
    refilter();
    const line = [...byId("rows").children].find((one) => one.dataset.key === before);
    if (before) (line ? line.querySelector("a") : byId("content")).focus();
  }
}
