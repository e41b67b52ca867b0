"use strict";
// One page over the service's own interface. Text from the service is only ever set as text, never as markup.

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const LINE_COLOURS = ["#1d52de", "#ee7746", "#17a27b", "#a91e76", "#7e5d07", "#2795ac"];
const cameraColour = (place) => LINE_COLOURS[place] || `hsl(${(137.5 * place) % 360} 60% ${place % 2 ? 62 : 42}%)`;
let colours = []; // of the identities 1, 2, ...; then they begin again
let lastEvent = 0;

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// A square of a colour, with another one within where there is one.
function swatch(colour, second) {
  const picture = draw("svg", { class: "chip-colour", viewBox: "0 0 10 10", "aria-hidden": "true" });
  picture.append(draw("rect", { width: 10, height: 10, rx: 2, fill: colour }));
  if (second) picture.append(draw("rect", { x: 2.5, y: 2.5, width: 5, height: 5, rx: 1, fill: second }));
  return picture;
}

function swatchOf(identity) {
  const { colour, second_colour: second } = colours[(identity - 1) % colours.length];
  return swatch(colour, second);
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.status === 401) { showLogin(); throw new Error("a token is needed"); }
  if (!answer.ok) {
    let detail = answer.statusText;
    try { const body = await answer.json(); detail = typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail); }
    catch { /* an answer without a body: its status says enough */ }
    throw new Error(detail);
  }
  return answer.status === 204 ? null : answer.json();
}

const send = (path, body, method = "POST") =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// ---- access

const ROLES = ["viewer", "operator", "admin"];
let role = "viewer";

// What needs more than the visitor's role is not shown.
function allow() {
  for (const element of document.querySelectorAll("[data-role]")) element.hidden = ROLES.indexOf(element.dataset.role) > ROLES.indexOf(role);
}

function showLogin() {
  byId("login").hidden = false;
  byId("main").hidden = true;
  say("a token is needed", true);
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("api/session", { method: "POST", headers: { Authorization: `Bearer ${byId("token").value}` } });
  byId("token").value = "";
  if (!answer.ok) { byId("login-problem").textContent = "This token is not known."; return; }
  byId("login").hidden = true;
  start();
});

function say(text, bad = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("bad", bad);
}

// ---- people

const present = new Map(); // camera -> people in view now
const strip = new Map();

const CROWD = 16; // people in view from which the strip shows them smaller, and anew less often

async function refreshPeople() {
  const people = await ask("api/people");
  byId("nobody").hidden = people.length > 0;
  byId("people").classList.toggle("crowd", people.length > CROWD);
  present.clear();
  for (const person of people) for (const camera of new Set(person.places.map((place) => place.camera))) present.set(camera, (present.get(camera) || 0) + 1);
  for (const [identity, entry] of strip) if (!people.some((person) => person.identity === identity)) { entry.item.remove(); strip.delete(identity); }
  for (const person of people) {
    if (!strip.has(person.identity)) {
      const image = make("img", { alt: "" });
      const places = make("small", { className: "quiet" });
      const label = make("span", { className: "name" }, swatchOf(person.identity), ` ${person.identity}`);
      const button = make("button", { type: "button", className: "person" }, image, label, places);
      button.addEventListener("click", () => openPerson(person.identity));
      const item = make("li", {}, button);
      strip.set(person.identity, { item, image, places, button });
      byId("people").append(item);
    }
    const entry = strip.get(person.identity);
    const cameras = [...new Set(person.places.map((place) => place.camera))].join(", ");
    entry.places.textContent = cameras;
    entry.button.setAttribute("aria-label", `Person ${person.identity}, in ${cameras}`);
    entry.image.src = `api/identities/${person.identity}/picture?${Math.floor(Date.now() / (people.length > CROWD ? 6000 : 2000))}`;
  }
}

function personButton(identity, left, right) {
  const button = make("button", { type: "button" }, swatchOf(identity), make("span", {}, ...left), make("span", {}, ...right));
  button.addEventListener("click", () => openPerson(identity));
  return button;
}

const recent = new Map(); // identity -> line of the list, kept so that nobody loses the place where the keyboard is

function showRecent(people) {
  for (const identity of recent.keys()) if (!people.some((person) => person.identity === identity)) recent.delete(identity);
  for (const person of people) {
    if (!recent.has(person.identity)) {
      const where = make("span"), when = make("time");
      recent.set(person.identity, { where, when, item: make("li", {}, personButton(person.identity, [where], [when])) });
    }
    const { where, when } = recent.get(person.identity);
    where.textContent = `${person.identity} · ${person.cameras.join(", ")}`;
    setTime(when, person.last_seen);
  }
  const focused = document.activeElement, list = byId("recent");
  list.replaceChildren(...people.map((person) => recent.get(person.identity).item));
  if (list.contains(focused)) focused.focus({ preventScroll: true });
}

async function refreshRecent() {
  const [people, counts] = await Promise.all([ask("api/identities?limit=40"), ask(`api/counts?hours=${countedHours()}`)]);
  showRecent(people);
  byId("known").replaceChildren(...people.map((person) => make("option", { value: String(person.identity) })));
  drawCounts(counts);
}

const countedHours = () => Number(byId("hours").value);
byId("hours").addEventListener("change", () => refreshRecent().catch((error) => say(error.message, true)));

function drawCounts(counts) {
  const chart = byId("counts"), span = countedHours() * 3600, right = widthOf(chart) - 5;
  chart.setAttribute("viewBox", `0 0 ${right + 5} 150`);
  const cameras = [...new Set(counts.map((row) => row.camera))].sort();
  const heights = new Map(); // time -> people so far, camera upon camera
  for (const row of counts) heights.set(row.time, (heights.get(row.time) || 0) + row.people);
  const most = Math.max(4, ...heights.values());
  heights.clear();
  const end = Date.now() / 1000, start = end - span;
  const x = (time) => 25 + ((Math.max(time, start) - start) / span) * (right - 25);
  const y = (people) => 125 - (people / most) * 110;
  chart.replaceChildren(
    draw("line", { x1: 25, y1: 125, x2: right, y2: 125, stroke: "currentColor", "stroke-opacity": 0.3 }),
    draw("text", { x: 2, y: 22 }, String(most)), draw("text", { x: 2, y: 128 }, "0"),
    draw("text", { x: 25, y: 143 }, tick(start, span)), draw("text", { x: right, y: 143, "text-anchor": "end" }, tick(end, span)));
  const width = Math.max(1, (right - 25) / 60 - 0.5);
  for (const [place, camera] of cameras.entries()) for (const row of counts.filter((each) => each.camera === camera)) {
    const below = heights.get(row.time) || 0;
    heights.set(row.time, below + row.people);
    const bar = draw("rect", { x: x(row.time), y: y(below + row.people), width, height: y(below) - y(below + row.people), fill: cameraColour(place) });
    bar.append(draw("title", {}, `${row.camera}, ${both(row.time)}: ${row.people}`));
    chart.append(bar);
  }
  byId("legend").replaceChildren(...cameras.map((camera, place) => make("li", {}, swatch(cameraColour(place)), camera)));
}

// ---- events

function whatHappened(event) {
  return {
    started: `${event.identity} is somebody new in ${event.camera}`,
    linked: `seen in ${event.camera} and taken for ${event.identity}`,
    merged: `${(event.supersedes || []).join(", ")} and ${event.identity} are one person: ${event.identity}`,
    split: `part of ${(event.supersedes || []).join(", ")} is ${event.identity}`,
    ended: `${event.identity} is no longer looked for`,
  }[event.type] || event.type;
}

function whyItDid(event) {
  const evidence = event.evidence || {};
  const why = [evidence.rule];
  if (typeof evidence.probability === "number") why.push(`probability ${evidence.probability.toFixed(2)}`);
  if (typeof evidence.global_distance === "number") why.push(`looks ${evidence.global_distance.toFixed(2)} apart`);
  if (typeof evidence.aligned_distance === "number") why.push(`parts ${evidence.aligned_distance.toFixed(2)} apart`);
  if (typeof evidence.time_gap === "number") why.push(`${lasting(Math.max(0, evidence.time_gap))} unseen`);
  if (evidence.runner_up) why.push(`next best: ${evidence.runner_up.identity ?? "somebody new"} (${(evidence.runner_up.probability ?? 0).toFixed(2)})`);
  return why.filter(Boolean).join(", ");
}

function eventLine(event) {
  return make("li", {},
    make("span", { className: "event" }, timeOf(event.time), swatchOf(event.identity), make("span", { textContent: whatHappened(event) })),
    make("span", { className: "why", textContent: whyItDid(event) }));
}

function addEvent(event) {
  if (event.event_id <= lastEvent) return;
  lastEvent = event.event_id;
  byId("events").prepend(eventLine(event));
  while (byId("events").children.length > 60) byId("events").lastChild.remove();
}

function listen() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const base = location.pathname.replace(/[^/]*$/, "");
  const socket = new WebSocket(`${scheme}://${location.host}${base}api/stream`);
  socket.addEventListener("open", () => say("live"));
  socket.addEventListener("message", (message) => {
    const told = JSON.parse(message.data);
    if (told.kind === "event") addEvent(told);
    else { noteFrame(told); told.events.forEach(addEvent); }
  });
  socket.addEventListener("close", () => { say("connection lost, trying again …", true); setTimeout(listen, 2000); });
}

// ---- going

function repeat(task, seconds) {
  const go = async () => {
    if (!document.hidden) { try { await task(); } catch (error) { say(error.message, true); } }
    setTimeout(go, seconds * 1000);
  };
  go();
}

async function refreshTotals() {
  const health = await ask("api/health");
  const cameras = Object.entries(health.cameras);
  const down = cameras.filter(([, state]) => !["live", "paused", "ended"].includes(state)).map(([camera]) => camera);
  const failing = [health.store_failure, health.outbound_failure, ...Object.entries(health.outbound).map(([name, each]) => each.failure && `${name}: ${each.failure}`)].filter(Boolean);
  const trouble = [...failing];
  if (down.length) trouble.unshift(`no picture from ${down.slice(0, 3).join(", ")}${down.length > 3 ? ` and ${down.length - 3} more` : ""}`);
  byId("in-view").textContent = `${strip.size} in view`;
  byId("state").textContent = ` · ${cameras.length} ${cameras.length === 1 ? "camera" : "cameras"} · ${health.status}`;
  byId("trouble").textContent = trouble.map((each) => ` · ${each}`).join("");
}

async function start() {
  const me = await ask("api/me");
  if (me.needs_token) { showLogin(); return; }
  role = me.role;
  allow();
  byId("main").hidden = false;
  byId("zone").textContent = `times in ${zone()}`;
  ask("api/cluster").then((cluster) => { byId("elsewhere").hidden = !cluster.associators.length; });
  colours = await ask("api/colours");
  const past = await ask("api/events?limit=1000");
  past.events.slice(-40).forEach(addEvent);
  repeat(refreshCameras, 2);
  repeat(refreshPeople, 1);
  repeat(refreshRecent, 5);
  repeat(refreshTotals, 2);
  repeat(refreshSite, 5);
  fetchPictures();
  listen();
}

start().catch((error) => say(error.message, true));
