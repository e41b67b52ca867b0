"use strict";
// The map of the site, and the way of a person over it. Uses what app.js defines.

let site = { cameras: [], links: [], picture: false, aspect: 2.2 };
const widthOf = (chart) => Math.max(240, chart.clientWidth || 600); // drawn as wide as it is shown, so that text stays readable

function mapGround(chart) {
  const width = widthOf(chart), height = width / site.aspect;
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.classList.toggle("crowded", site.cameras.length > 8);
  chart.replaceChildren();
  if (site.picture) chart.append(draw("image", { href: "api/site/map", width, height }));
  const arrow = draw("marker", { id: `${chart.id}-arrow`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 10, markerHeight: 10, markerUnits: "userSpaceOnUse", orient: "auto" });
  arrow.append(draw("path", { d: "M0 0 8 4 0 8z", fill: "context-stroke" }));
  chart.append(arrow);
  return new Map(site.cameras.map((camera) => [camera.id, { x: camera.x * width, y: camera.y * height }]));
}

// A way between two cameras that bends to its left, so that there and back are two lines.
function mapWay(chart, from, to, attributes, title) {
  const dx = to.x - from.x, dy = to.y - from.y, length = Math.hypot(dx, dy) || 1, gap = Math.min(15, length / 3);
  const start = { x: from.x + dx / length * gap, y: from.y + dy / length * gap }, end = { x: to.x - dx / length * gap, y: to.y - dy / length * gap };
  const middle = { x: (from.x + to.x) / 2 + dy * 0.15, y: (from.y + to.y) / 2 - dx * 0.15 };
  const way = draw("path", { d: `M${start.x} ${start.y}Q${middle.x} ${middle.y} ${end.x} ${end.y}`, fill: "none", "marker-end": `url(#${chart.id}-arrow)`, ...attributes });
  if (title) way.append(draw("title", {}, title));
  chart.append(way);
  // where a word about it stands: outside the bend, so that there and back do not write over each other
  const upright = Math.abs(dy) > Math.abs(dx), side = !upright ? 0 : dy > 0 ? 1 : -1;
  return { x: (start.x + 2 * middle.x + end.x) / 4 + 6 * side, y: (start.y + 2 * middle.y + end.y) / 4, "text-anchor": ["end", "middle", "start"][side + 1] };
}

// The name stands below a camera, or above at the lower border; beside it where the nearest other camera is above or below.
function mapName(chart, id, places) {
  const place = places.get(id), { width, height } = chart.viewBox.baseVal;
  if (chart.classList.contains("crowded")) return { x: place.x, y: place.y + 21, "text-anchor": "middle" };
  const others = [...places].filter(([other]) => other !== id).map(([, other]) => ({ x: Math.abs(other.x - place.x), y: Math.abs(other.y - place.y) }));
  const nearest = others.sort((one, other) => Math.hypot(one.x, one.y) - Math.hypot(other.x, other.y))[0];
  if (nearest && nearest.y > nearest.x) {
    const left = place.x > width / 2;
    return { x: place.x + (left ? -18 : 18), y: place.y + 5, "text-anchor": left ? "end" : "start" };
  }
  return { x: place.x, y: place.y + 28 < height ? place.y + 26 : place.y - 18, "text-anchor": "middle" };
}

// A camera that is not the matter is a mere dot where there are many: its name shows when one points at it.
function mapCamera(chart, id, places, colour, inside, matters = true) {
  const place = places.get(id), dot = !matters && chart.classList.contains("crowded");
  const circle = draw("circle", { cx: place.x, cy: place.y, r: dot ? 5 : chart.classList.contains("crowded") ? 10 : 12, fill: colour, class: "camera" });
  circle.append(draw("title", {}, id));
  chart.append(circle);
  if (dot) return;
  if (inside) chart.append(draw("text", { x: place.x, y: place.y + 4, "text-anchor": "middle", class: "inside" }, inside));
  chart.append(draw("text", { ...mapName(chart, id, places), class: "name" }, id));
}

const linkWords = (link) => `${link.origin} to ${link.destination}: ${Math.max(1, Math.round(link.people))} times, ` +
  (link.seconds ? `half of them within ${lasting(link.seconds)}` : "mostly seen by both at once");

async function refreshSite() {
  site = await ask("api/site");
  const chart = byId("site"), places = mapGround(chart);
  const most = Math.max(1, ...site.links.map((link) => link.people));
  for (const link of site.links) {
    mapWay(chart, places.get(link.origin), places.get(link.destination), { class: "way", "stroke-width": 1 + 4 * link.people / most }, linkWords(link));
  }
  for (const camera of site.cameras) mapCamera(chart, camera.id, places, "var(--accent)", String(present.get(camera.id) || ""));
  byId("ways").replaceChildren(...[...site.links].sort((one, other) => other.people - one.people).slice(0, 8).map((link) => make("li", { textContent: linkWords(link) })));
  byId("site-note").textContent = site.cameras.some((camera) => !camera.placed)
    ? "Laid out by how long people walk between the cameras; a camera's place in the configuration puts it where it is." : "";
}

// Where a person was, in order: passages in one camera that follow each other are one stop.
function stopsOf(history) {
  const stops = [];
  for (const sighting of history.sightings) {
    const last = stops[stops.length - 1];
    if (last && last.camera === sighting.camera) last.ended = Math.max(last.ended, sighting.ended);
    else stops.push({ camera: sighting.camera, started: sighting.started, ended: sighting.ended });
  }
  return stops;
}

function drawPath(history) {
  const chart = byId("path"), places = mapGround(chart), stops = stopsOf(history);
  const between = new Map(); // "a\nb" -> numbers of the steps that went there
  stops.slice(1).forEach((stop, place) => {
    const key = `${stops[place].camera}\n${stop.camera}`;
    between.set(key, [...(between.get(key) || []), place + 1]);
  });
  const labels = [];
  for (const [key, steps] of between) {
    const [from, to] = key.split("\n").map((camera) => places.get(camera));
    if (!from || !to) continue; // a camera that was removed has no place
    const middle = mapWay(chart, from, to, { stroke: history.colour, "stroke-width": 3 }, key.replace("\n", " to "));
    labels.push({ ...middle, text: steps.length > 4 ? `${steps.slice(0, 3).join(", ")} … ${steps[steps.length - 1]}` : steps.join(", ") });
  }
  const visited = new Set(stops.map((stop) => stop.camera));
  for (const camera of site.cameras) mapCamera(chart, camera.id, places, visited.has(camera.id) ? history.colour : "var(--quiet)", "", visited.has(camera.id));
  for (const label of labels) chart.append(draw("text", { x: label.x, y: label.y, "text-anchor": label["text-anchor"], class: "step" }, label.text));
  byId("steps").replaceChildren(...stops.slice(-12).map((stop, place, shown) => {
    const number = stops.length - shown.length + place, before = stops[number - 1];
    const gap = before ? stop.started - before.ended : 0;
    const how = before ? (gap < 0 ? ", seen by both at once" : `, ${lasting(gap)} later`) : "";
    return make("li", {}, `${number ? `${number}. ` : ""}${stop.camera}, `, timeOf(stop.started), how);
  }));
}
