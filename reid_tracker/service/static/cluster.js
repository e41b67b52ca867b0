"use strict";
// Which group of cameras is behind, and why: one table, the worst first. Text is only ever set as text.

const byId = (id) => document.getElementById(id);
const EVERY = 2000; // milliseconds
const seconds = (value) => (value < 0.1 ? `${(1000 * value).toFixed(0)}\u00a0ms` : `${value.toFixed(1)}\u00a0s`);
const NAMED = 3; // groups in the line at the top

function row(cells, condition) {
  const line = document.createElement("tr");
  if (condition) line.className = condition;
  cells.forEach((text, place) => {
    const cell = document.createElement(place ? "td" : "th");
    if (!place) cell.scope = "row";
    cell.textContent = text;
    line.append(cell);
  });
  return line;
}

function fill(id, rows) {
  byId(id).hidden = !rows.length;
  byId(id).tBodies[0].replaceChildren(...rows);
}

const ofGroup = (group) => row([
  group.name, group.condition, group.why, seconds(group.lag), `${Math.round(100 * group.busy)} %`,
  `${group.processed.toFixed(1)} of ${group.arriving.toFixed(1)}`, group.skipped + group.undelivered,
  seconds(group.lost), group.restarts, group.node, group.associator, group.cameras.join(", "),
], group.condition);

const ofAssociator = (one) => row([
  one.name, one.waiting, seconds(one.step_seconds), one.steps, one.restarts,
  one.failures ? `${one.failures}: ${one.last_failure}` : 0, one.node, one.cameras, `${seconds(one.silent)} ago`,
], one.waiting || one.silent > 5 ? "behind" : "well");

function inShort(bad, count) {
  if (!bad.length) return `all ${count} groups are well`;
  const names = bad.slice(0, NAMED).map((group) => `${group.name} (${group.condition})`).join(", ");
  const more = bad.length > NAMED ? ` and ${bad.length - NAMED} more` : "";
  return `${bad.length} of ${count} groups ${bad.length > 1 ? "need" : "needs"} a look: ${names}${more}`;
}

async function refresh() {
  const status = byId("status");
  try {
    const answer = await fetch("api/cluster", { credentials: "same-origin" });
    if (answer.status === 401) throw new Error("a token is needed: open People and cameras first");
    if (!answer.ok) throw new Error(answer.statusText);
    const { groups, associators } = await answer.json();
    byId("none").hidden = associators.length > 0;
    fill("groups", groups.map(ofGroup));
    fill("associators", associators.map(ofAssociator));
    const bad = groups.filter((group) => group.condition !== "well");
    status.textContent = associators.length ? inShort(bad, groups.length) : "";
    status.classList.toggle("bad", bad.length > 0);
  } catch (error) {
    status.textContent = error.message;
    status.classList.add("bad");
  }
  setTimeout(refresh, EVERY);
}

refresh();
