"use strict";
// Elements, and how they change under a reader: what is the same stays, so that focus and a screen reader's place do.

const byId = (id) => document.getElementById(id);

function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function filled(made, label, parts) {
  const inside = element("div"), given = parts.filter((part) => part !== "");
  made.dataset.label = label;
  if (given.length) {
    inside.append(...given);
    made.append(inside);
  }
  return made;
}
function cell(label, ...parts) { return filled(element("td"), label, parts); }
function headCell(label, ...parts) {
  const made = filled(element("th"), label, parts);
  made.scope = "row";
  return made;
}
function line(tag, key, ...cells) {
  const made = element(tag);
  made.dataset.key = key;
  made.append(...cells);
  return made;
}
function figures(made, ...columns) {
  for (const n of columns) made.children[n].classList.add("figure");
  return made;
}
function put(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

// Said by screen readers: what the reader has asked for, and who leads the lock that is open. Nothing that only goes on.
let saying = 0;
function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => put("said", text), 400);
}

// Make the lines of `place` those of `made`: each has a data-key, by which it is found again.
function patchLines(place, made) {
  const focused = [...place.children].findIndex((one) => one.contains(document.activeElement)), before = new Map();
  for (const one of place.children) before.set(one.dataset.key, [...(before.get(one.dataset.key) || []), one]);
  const lines = made.map((one) => {
    const old = (before.get(one.dataset.key) || []).shift();
    if (old) patch(old, one);
    return old || one;
  });
  for (const gone of before.values()) for (const one of gone) one.remove();
  lines.forEach((one, n) => { if (place.children[n] !== one) place.insertBefore(one, place.children[n] || null); });
  if (focused < 0 || place.contains(document.activeElement)) return;
  const next = place.children[Math.min(focused, place.children.length - 1)];
  (next && next.querySelector("a, button") || byId("content")).focus({ preventScroll: true });
}
function patch(old, made) {
  if (old.isEqualNode(made)) return;
  if (old.nodeName !== made.nodeName) { old.replaceWith(made); return; }
  if (old.nodeType === Node.TEXT_NODE) { old.data = made.data; return; }
  for (const { name } of [...old.attributes]) if (name !== "style" && !made.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of made.attributes) {
    if (name !== "style" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const parts = [...made.childNodes];
  while (old.childNodes.length > parts.length) old.lastChild.remove();
  parts.forEach((part, n) => { if (n < old.childNodes.length) patch(old.childNodes[n], part); else old.append(part); });
}
