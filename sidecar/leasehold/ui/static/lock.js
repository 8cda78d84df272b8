"use strict";
// The view of one lock: its queue, its terms, and the commands for it. page.js calls it.

function renderOne() {
  byId("list").hidden = Boolean(open);
  byId("one").hidden = !open;
  document.title = open ? open + " – Leasehold" : "Leasehold";
  if (!open) return;
  byId("one-name").textContent = open;
  const row = locks.get(open) || { name: open, state: "removed", holders: [] };
  const holders = row.holders.map((one) => one.identity).join(", ");
  const parts = [holders ? "held by " + holders : says(row)];
  if (row.waiting) parts.push(`${row.waiting} waiting`);
  if (row.capacity) parts.push(`up to ${row.capacity} may lead`);
  parts.push(row.declared ? "declared by a Lock" : "not declared by a Lock");
  if (detail && detail.preferredHolder) parts.push("preferred: " + detail.preferredHolder);
  byId("one-state").textContent = parts.join(" · ");
  byId("one-state").className = needsAttention(row) ? "bad" : "";
  if (!detail || detail.name !== open) detail = null;
  renderQueue(row);
  renderTerms();
  renderCommands(row);
}
function renderQueue(row) {
  byId("queue").tBodies[0].replaceChildren(...(detail ? detail.queue : []).map((one) => queueRow(one, row)));
  const queued = detail && detail.queue.length;
  byId("queue").hidden = !queued;
  byId("more").hidden = !detail || Boolean(queued && !detail.more);
  byId("more").textContent = queued ? `and ${detail.more} more` : "Nobody is in the queue.";
}
function queueRow(one, row) {
  const made = element("tr"), notes = [];
  if (one.yieldTo) notes.push(element("div", "handing over to " + one.yieldTo, "low"));
  if (one.reason) notes.push(element("div", one.reason, "bad"));
  if (one.foreign) notes.push(element("div", "not a sidecar of Leasehold", "aside"));
  const where = [one.node && "node " + one.node, one.group && "revision " + one.group].filter(Boolean).join(", ");
  made.append(
    cell("Place", String(one.position), one.holds ? element("span", " leads", "good") : ""),
    cell("Candidate", one.identity || "(no name)", ...notes), leaseCell(one, row), cell("Token", one.token),
    cell("Where", where));
  made.children[3].classList.add("figure");
  return made;
}
function renderTerms() {
  const terms = detail ? detail.terms : [];
  byId("terms").tBodies[0].replaceChildren(...terms.slice().reverse().map(termRow));
  byId("terms").hidden = !terms.length;
  byId("no-terms").hidden = Boolean(terms.length);
  drawStrip(terms);
}
function termRow(term) {
  const made = element("tr"), until = term.until || Date.now() / 1000;
  const gap = term.gap === undefined ? "" : term.gap === 0 ? "no gap" : element("span", span(term.gap), "bad");
  made.append(
    cell("Holder", term.identity || "(no name)"), cell("Token", term.token),
    cell("From", time(term.since) || "before this page"),
    cell("Until", term.until ? time(term.until) : element("span", "now", "good")),
    cell("Led for", term.since && term.until ? span(until - term.since) : ""),
    cell("Ended", term.ended || ""), cell("Nobody before", gap));
  for (const n of [1, 2, 3, 4, 6]) made.children[n].classList.add("figure");
  return made;
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
  if (row.declared) {
    lines.push(["see all of it", kubectl("describe")]);
    if (row.holders.length) lines.push(["let the next one lead", kubectl("handover", " --wait")]);
    if (row.state === "suspended") lines.push(["let somebody lead again", kubectl("resume")]);
    else lines.push(["let nobody lead", kubectl("suspend")]);
    if (row.holders.length) lines.push(["take it from a holder that does not react", kubectl("revoke", " --token " + row.holders[0].token)]);
  } else {
    lines.push(["see its queue", `leasehold status --etcd ${etcd.join(",")}${root} --lock ${open}`]);
  }
  byId("commands").replaceChildren(...lines.map(([what, line]) => {
    const made = element("li"), button = element("button", "Copy");
    button.type = "button";
    button.setAttribute("aria-label", "Copy the command: " + what);
    button.addEventListener("click", () => copy(line, button));
    made.append(element("code", line), button, element("span", what, "aside"));
    return made;
  }));
}
async function copy(line, button) {
  try {
    await navigator.clipboard.writeText(line);
    button.textContent = "Copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(button.previousSibling);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "Selected";
  }
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
function follow() {
  const name = decodeURIComponent(location.hash.slice(1)), before = open;
  open = name.includes("/") ? name : "";
  detail = null;
  renderOne();
  if (open) { askDetail(); byId("one-name").focus(); }
  else { refilter(); if (before) byId("content").focus(); }
}
