"use strict";
// The cameras: their newest pictures and how they are. Uses what app.js defines.

// Each picture is asked for when the one before has been shown, a few at once over all cameras: the browser gets what it
// can take, cameras out of sight are left out, and other requests never wait (browsers open six connections to a host).
const PICTURES_AT_ONCE = 3;
const FRAMES_KEPT = 60;
const cards = new Map();
const inSight = new IntersectionObserver((entries) => {
  for (const entry of entries) for (const card of cards.values()) if (card.image === entry.target) card.visible = entry.isIntersecting;
});
let fetching = 0;

function cameraCard(camera) {
  const image = make("img", { alt: `Live picture of ${camera.id}` });
  const boxes = draw("svg", { "aria-hidden": "true" }); // to click on; the same people are in the list of those in view
  const taken = make("time");
  const state = make("span", { className: "state" });
  const facts = make("summary"), more = make("ul");
  const details = make("details", {}, facts, more);
  const message = make("span", { className: "message" });
  const pause = make("button", { type: "button" });
  pause.dataset.role = "operator";
  const card = { id: camera.id, image, taken, boxes, state, facts, more, details, message, pause, live: true, paused: false, visible: true, busy: false,
    number: -1, next: 0, size: [0, 0], frames: new Map(), processed: [] };
  inSight.observe(image);
  pause.addEventListener("click", async () => {
    try { await send(`api/cameras/${encodeURIComponent(camera.id)}`, { paused: !card.paused }, "PATCH"); refreshCameras(); }
    catch (error) { message.textContent = error.message; }
  });
  const caption = make("figcaption", {}, make("strong", { textContent: camera.id }), state, pause, details, message);
  card.figure = make("figure", {}, make("div", { className: "picture" }, image, boxes, taken), caption);
  return card;
}

// Pictures a second that are processed, over the last answers of the service.
function processedRate(card, camera) {
  card.processed.push([performance.now() / 1000, camera.processed]);
  while (card.processed.length > 6) card.processed.shift();
  const [[since, before], [now, count]] = [card.processed[0], card.processed[card.processed.length - 1]];
  return now - since > 1 && count >= before ? (count - before) / (now - since) : null;
}

function showFacts(card, camera) {
  const rate = processedRate(card, camera), size = camera.size.join(" × ");
  card.details.hidden = !camera.received;
  card.facts.textContent = !card.live ? "so far" :
    `${camera.fps.toFixed(1)} pictures/s${rate === null ? "" : `, ${Math.min(rate, camera.fps).toFixed(1)} processed`} · lag ${camera.lag.toFixed(2)} s`;
  const reasons = Object.entries({ ...camera.lost, ...camera.faults }).map(([reason, count]) => `${reason.replaceAll("_", " ")}: ${count}`);
  const lines = [`${size}, ${camera.codec} decoded on ${camera.decoder}, times of ${camera.clock === "camera" ? "the camera" : "arrival"}`,
    `${camera.received} pictures arrived, ${camera.processed} processed, connected again ${camera.reconnects} times`, reasons.join(", ")];
  const told = lines.filter(Boolean);
  while (card.more.children.length < told.length) card.more.append(make("li"));
  while (card.more.children.length > told.length) card.more.lastChild.remove();
  told.forEach((text, place) => { card.more.children[place].textContent = text; }); // what is marked stays marked
}

async function refreshCameras() {
  const cameras = await ask("api/cameras");
  byId("no-cameras").hidden = cameras.length > 0;
  byId("cameras").className = cameras.length > 9 ? "many" : cameras.length > 4 ? "several" : "";
  for (const [id, card] of cards) if (!cameras.some((camera) => camera.id === id)) { card.figure.remove(); cards.delete(id); }
  for (const camera of cameras) {
    if (!cards.has(camera.id)) { cards.set(camera.id, cameraCard(camera)); byId("cameras").append(cards.get(camera.id).figure); allow(); }
    const card = cards.get(camera.id);
    const live = camera.state === "live";
    card.live = live;
    card.paused = camera.state === "paused";
    card.state.textContent = camera.state;
    card.state.classList.toggle("live", live);
    card.figure.classList.toggle("away", !live);
    if (camera.size[1]) card.figure.style.setProperty("--aspect", String(camera.size[0] / camera.size[1]));
    card.size = camera.size;
    showFacts(card, camera);
    if (!live) card.boxes.replaceChildren();
    card.message.textContent = camera.message;
    card.pause.textContent = card.paused ? "Resume" : "Pause";
    card.pause.setAttribute("aria-label", `${card.pause.textContent} ${camera.id}`);
  }
}

// What the stream tells of a frame, kept until its picture is shown.
function noteFrame(told) {
  const card = cards.get(told.camera);
  if (!card) return;
  card.frames.set(told.frame, told.people);
  for (const number of card.frames.keys()) { if (card.frames.size <= FRAMES_KEPT) break; card.frames.delete(number); }
}

// Whoever is in the picture can be clicked.
function showBoxes(card) {
  card.boxes.setAttribute("viewBox", `0 0 ${card.size[0]} ${card.size[1]}`);
  const people = (card.frames.get(card.number) || []).filter((person) => person.identity > 0);
  card.boxes.replaceChildren(...people.map(({ identity, box: [left, top, right, bottom] }) => {
    const area = draw("rect", { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) });
    area.append(draw("title", {}, `Person ${identity}`));
    area.addEventListener("pointerdown", () => openPerson(identity)); // the box is gone before a slow click ends
    return area;
  }));
}

async function fetchPicture(card) {
  card.busy = true;
  fetching += 1;
  const asked = Date.now();
  let wait = 1; // seconds; where the service is away or refuses, the page says so elsewhere, and tries again
  try {
    const dots = Math.min(Math.max(devicePixelRatio, 1), 2);
    const width = Math.ceil(card.image.clientWidth * dots) || 320;
    const answer = await fetch(`api/cameras/${encodeURIComponent(card.id)}/picture?width=${width}&dots=${Math.round(dots)}&caption=false&after=${card.number}`, { credentials: "same-origin" });
    if (answer.ok) wait = Number(answer.headers.get("Picture-Wait"));
    if (answer.status === 200) {
      const shown = card.image.src;
      card.image.src = URL.createObjectURL(await answer.blob());
      card.number = Number(answer.headers.get("Picture-Number"));
      await card.image.decode().catch(() => undefined); // a damaged picture: the next one comes at once
      if (shown) URL.revokeObjectURL(shown);
      setTime(card.taken, Number(answer.headers.get("Picture-Time")));
      showBoxes(card);
    }
  } catch { /* as above */ }
  card.next = asked + 1000 * wait;
  card.busy = false;
  fetching -= 1;
}

function fetchPictures() {
  if (!document.hidden) {
    const due = [...cards.values()].filter((card) => card.live && card.visible && !card.busy && card.next <= Date.now());
    due.sort((one, other) => one.next - other.next);
    for (const card of due.slice(0, PICTURES_AT_ONCE - fetching)) fetchPicture(card);
  }
  setTimeout(fetchPictures, 30);
}
