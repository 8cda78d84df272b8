"use strict";
// One page, two views: all locks, and one lock (its name is the address's hash). All text goes in as text nodes.

const PAGE = 50;
const LOST_MS = 2400;         // no event for so long: this page's own process is away
const SHOW_AGAIN_MS = 20000;  // the process forgets after a minute which leases are shown

let locks = new Map();        // name -> row, as the process sent it
let incoming = null;          // a complete state that is still arriving
let complete = false;         // whether one has come
let shown = [];               // rows of the list's present page
let filter = "all", words = "", first = 0;
let leases = {}, leasesAt = 0;
let lastEvent = 0, beat = null, spoken = "", open = "", detail = null, asking = false, askAgain = false;

// --- small helpers ---

function time(seconds) {
  if (seconds === undefined || seconds === null) return "";
  const at = new Date(seconds * 1000), today = new Date().toDateString() === at.toDateString();
  return today ? at.toLocaleTimeString() : at.toLocaleString();
}
function span(seconds) {
  if (seconds < 10) return seconds.toFixed(seconds < 1 ? 2 : 1) + " s";
  if (seconds < 120) return Math.round(seconds) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  return (seconds / 3600).toFixed(1) + " h";
}
const wants = {
  all: () => true,
  nobody: (row) => !row.holders.length && row.state !== "suspended",
  suspended: (row) => row.state === "suspended" || row.state === "deleting",
  trouble: (row) => needsAttention(row),
};
const titles = { all: "All", trouble: "Needs attention", nobody: "Nobody leads", suspended: "Suspended" };
function needsAttention(row) {
  return row.state === "broken" || (row.state === "free" && Boolean(row.declared)) || Boolean(row.reason);
}
function says(row) {
  switch (row.state) {
    case "broken": return "its declaration in etcd cannot be read";
    case "suspended": return "suspended: nobody may lead";
    case "deleting": return "being deleted: nobody may lead";
    case "gone": return "no candidate, and not declared";
    case "removed": return "no longer in etcd";
    default: return row.holders.length ? "" : "nobody leads: nobody is in the queue";
  }
}

// --- what arrives ---

function listen() {
  const source = new EventSource("/events");
  const on = (kind, take) => source.addEventListener(kind, (event) => {
    lastEvent = performance.now();
    take(JSON.parse(event.data));
  });
  on("begin", () => { incoming = new Map(); });
  on("rows", (rows) => rows.forEach(take));
  on("end", () => {
    locks = incoming;
    incoming = null;
    complete = true;
    refilter();
    if (shown.length) performance.mark("rows");
    renderOne();
    askDetail();
  });
  on("beat", (fields) => {
    beat = fields;
    leases = fields.leases;
    leasesAt = performance.now();
    showState();
  });
}
function take(row) {
  if (incoming) {
    if (row.state !== "removed") incoming.set(row.name, row);
    return;
  }
  const before = locks.get(row.name);
  if (row.state === "removed") locks.delete(row.name); else locks.set(row.name, row);
  changed(before, row);
}
function changed(before, row) {
  const at = shown.findIndex((one) => one.name === row.name);
  if (at >= 0 && row.state !== "removed") {
    shown[at] = row;
    patch(byId("rows").children[at], listRow(row));
    wantLeases();
  }
  if (!before || row.state === "removed" || wants[filter](before) !== wants[filter](row)) refilterSoon();
  else countSoon();
  if (row.name === open) { renderOne(); askDetail(); }
}
function later(work, milliseconds) {
  let timer = 0;
  return () => { timer = timer || setTimeout(() => { timer = 0; work(); }, milliseconds); };
}
const refilterSoon = later(() => refilter(), 100), countSoon = later(() => countFilters(), 300);

function showState() {
  const silent = performance.now() - lastEvent > LOST_MS, state = byId("state");
  const stale = silent || !beat || beat.stale;
  let text = "live";
  if (!lastEvent) text = "connecting …";
  else if (silent) text = "stale: this page has lost its process; last known, not now";
  else if (beat && beat.stale) text = beat.age === null ? "waiting for etcd" : "stale: etcd does not answer; last known, not now";
  const kind = !lastEvent ? "waiting" : stale ? "stale" : "live";
  put("state", text);
  put("why", kind === "stale" && !silent && beat && beat.error || "");
  state.dataset.state = kind;
  document.body.classList.toggle("stale", kind === "stale");
}

// --- leases ---

function wantLeases() {
  const rows = open && detail ? detail.queue : shown.flatMap((row) => row.holders);
  const ids = rows.map((one) => one.lease).filter(Boolean).slice(0, 300);
  if (!ids.length || document.hidden) return;
  fetch("/show?leases=" + ids.join(",")).catch(() => {});
}
function leaseCell(one, row) {
  if (!one) return cell("Lease");
  if (!one.lease) return cell("Lease", element("small", "no lease: it stays until it is deleted", "bad"));
  const bar = element("span", undefined, "bar");
  bar.ariaHidden = true;  // the text beside it says the same
  bar.append(element("i"));
  const made = cell("Lease", bar, element("small", "…"));
  made.classList.add("lease");
  made.dataset.lease = one.lease;
  made.dataset.ttl = row.ttl || 0;
  drawLease(made);
  return made;
}
function drawLease(made) {
  const known = leases[made.dataset.lease];
  if (!known) return;
  const left = Math.max(0, known[0] - (performance.now() - leasesAt) / 1000);
  const full = Math.max(known[1], Number(made.dataset.ttl), 1), part = Math.min(1, left / full);
  // A holder renews when a third of its lease has passed: below a half it is late, below a third something is wrong.
  const kind = part < 1 / 3 ? "bad" : part < 1 / 2 ? "low" : "";
  const [bar, text] = made.firstChild.children;
  bar.className = "bar " + kind;
  bar.firstChild.style.transform = `scaleX(${part.toFixed(3)})`;
  const words = left <= 0 ? "run out" : span(left) + " left" + (kind === "bad" ? ", not renewed" : "");
  if (text.textContent !== words) text.textContent = words;
  text.className = kind === "bad" ? "bad" : "";
}

// --- all locks ---

function matching() {
  const found = [];
  for (const row of locks.values()) {
    if (!wants[filter](row)) continue;
    if (words && !text(row).includes(words)) continue;
    found.push(row);
  }
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}
function text(row) {
  return [row.name, row.next || "", ...row.holders.map((one) => one.identity)].join("\n").toLowerCase();
}
function asked() {
  refilter();
  say(shown.length ? "Locks " + byId("range").textContent : byId("empty").textContent);
}
function refilter() {
  const found = matching();
  first = Math.max(0, Math.min(first, Math.floor((found.length - 1) / PAGE) * PAGE));
  shown = found.slice(first, first + PAGE);
  patchLines(byId("rows"), shown.map(listRow));
  const number = (n) => n.toLocaleString("en");
  put("range", found.length ? `${number(first + 1)}–${number(first + shown.length)} of ${number(found.length)}` : "");
  byId("previous").hidden = byId("next").hidden = found.length <= PAGE;
  byId("previous").disabled = first === 0;
  byId("next").disabled = first + PAGE >= found.length;
  byId("empty").hidden = found.length > 0;
  put("empty", locks.size ? "No lock is like that." : "There is no lock in this etcd yet.");
  countFilters();
  wantLeases();
}
function countFilters() {
  for (const name of Object.keys(titles)) {
    let count = 0;
    for (const row of locks.values()) if (wants[name](row)) count += 1;
    const place = byId("count-" + name);
    put(place.id, count.toLocaleString("en"));
    place.className = name === "trouble" && count ? "count bad" : "count";
  }
}
function listRow(row) {
  const [namespace, name] = row.name.split("/");
  const link = element("a");
  link.href = "#" + row.name;
  link.append(element("span", namespace + "/", "namespace"), name);
  const one = row.holders[0], note = says(row);
  const waiting = row.waiting ? element("span", String(row.waiting)) : "";
  if (waiting) waiting.append(element("span", " next: " + row.next, "aside"));
  return figures(line(
    "tr", row.name, headCell("Lock", link), holderCell(row, note), leaseCell(one, row), cell("Waiting", waiting),
    cell("Token", one ? one.token : ""), cell("Since", since(row)),
  ), 4, 5);
}
function holderCell(row, note) {
  const parts = [row.holders.map((one) => one.identity || "(no name)").join(", ")];
  const more = (row.holderCount || 0) - row.holders.length;
  if (more > 0) parts.push(` and ${more} more`);
  const yields = row.holders.find((one) => one.yieldTo);
  if (yields) parts.push(element("div", "handing over to " + yields.yieldTo, "low"));
  if (row.holders.some((one) => one.foreign)) parts.push(element("div", "not a sidecar of Leasehold", "aside"));
  if (note) parts.push(element("div", note, needsAttention(row) ? "bad" : "aside"));
  if (row.reason) parts.push(element("div", row.reason, "bad"));
  return cell("Holder", ...parts);
}
function since(row) {
  if (row.holders.length) return time(row.holders[0].since) || "before this page";
  return time(row.vacantSince);
}

// --- the start ---

let etcd = [], root = "";
async function start() {
  for (const [name, title] of Object.entries(titles)) {
    const label = element("label"), input = element("input"), count = element("span", "", "count");
    Object.assign(input, { type: "radio", name: "filter", value: name, id: "filter-" + name, checked: name === "all" });
    input.addEventListener("change", () => { filter = name; first = 0; asked(); });
    count.id = "count-" + name;
    label.append(input, title + " ", count);
    byId("filters").append(label);
  }
  byId("find").addEventListener("submit", (event) => event.preventDefault());
  byId("search").addEventListener("input", () => { words = byId("search").value.trim().toLowerCase(); first = 0; asked(); });
  byId("previous").addEventListener("click", () => { first -= PAGE; asked(); });
  byId("next").addEventListener("click", () => { first += PAGE; asked(); });
  addEventListener("hashchange", follow);
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId(open ? "one-name" : "content").focus(); });
  byId("commands").addEventListener("click", (event) => { if (event.target.tagName === "BUTTON") copy(event.target); });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && event.target.tagName !== "INPUT") {
      event.preventDefault();
      location.hash = "";
      byId("search").focus();
    } else if (event.key === "Escape" && open) location.hash = "";
  });
  document.addEventListener("visibilitychange", wantLeases);
  setInterval(showState, 200);
  setInterval(() => document.querySelectorAll("[data-lease]").forEach(drawLease), 250);
  setInterval(wantLeases, SHOW_AGAIN_MS);
  follow();
  listen();
  const where = await (await fetch("/where")).json();
  etcd = where.etcd;
  root = where.root === "/leasehold" ? "" : " --root " + where.root;
  byId("where").textContent = "etcd " + etcd.join(", ") + (root ? ", root " + where.root : "");
  renderOne();
}
start();
