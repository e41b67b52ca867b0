"use strict";
// The cameras: their newest pictures and how they are. Uses what app.js defines.

// Each picture is asked for when the one before has been shown, a few at once over all cameras: the browser gets what it
// can take, cameras out of sight are left out, and other requests never wait (browsers open six connections to a host).
const PICTURES_AT_ONCE = 3;
const cards = new Map();
const inSight = new IntersectionObserver((entries) => {
  for (const entry of entries) for (const card of cards.values()) if (card.image === entry.target) card.visible = entry.isIntersecting;
});
let fetching = 0;

function cameraCard(camera) {
  const image = make("img", { alt: `Live picture of ${camera.id}` });
  const state = make("span", { className: "state" });
  const facts = make("span", { className: "quiet" });
  const message = make("span", { className: "message" });
  const pause = make("button", { type: "button" });
  const card = { id: camera.id, image, state, facts, message, pause, live: true, paused: false, visible: true, busy: false, number: -1, next: 0 };
  inSight.observe(image);
  pause.addEventListener("click", async () => {
    try { await send(`api/cameras/${encodeURIComponent(camera.id)}`, { paused: !card.paused }, "PATCH"); refreshCameras(); }
    catch (error) { message.textContent = error.message; }
  });
  const caption = make("figcaption", {}, make("strong", { textContent: camera.id }), state, pause, facts, message);
  card.figure = make("figure", {}, make("div", { className: "picture" }, image), caption);
  return card;
}

async function refreshCameras() {
  const cameras = await ask("api/cameras");
  for (const [id, card] of cards) if (!cameras.some((camera) => camera.id === id)) { card.figure.remove(); cards.delete(id); }
  for (const camera of cameras) {
    if (!cards.has(camera.id)) { cards.set(camera.id, cameraCard(camera)); byId("cameras").append(cards.get(camera.id).figure); }
    const card = cards.get(camera.id);
    const live = camera.state === "live";
    card.live = live;
    card.paused = camera.state === "paused";
    card.state.textContent = camera.state;
    card.state.classList.toggle("live", live);
    const lost = Object.values(camera.lost).reduce((sum, count) => sum + count, 0);
    card.figure.classList.toggle("away", !live);
    card.facts.textContent = !live ? "" : `${camera.fps.toFixed(1)} /s · lag ${camera.lag.toFixed(2)} s · ${lost} not processed`;
    const decoded = camera.decoder ? [`${camera.codec} ${camera.size.join(" × ")}, decoded on ${camera.decoder}`] : [];
    card.facts.title = [...decoded, ...Object.entries({ ...camera.lost, ...camera.faults }).map(([reason, count]) => `${reason}: ${count}`)].join("\n");
    card.message.textContent = live ? "" : camera.message;
    card.pause.textContent = card.paused ? "Resume" : "Pause";
    card.pause.setAttribute("aria-label", `${card.pause.textContent} ${camera.id}`);
  }
}

async function fetchPicture(card) {
  card.busy = true;
  fetching += 1;
  const asked = Date.now();
  let wait = 1; // seconds; where the service is away or refuses, the page says so elsewhere, and tries again
  try {
    const width = Math.ceil(card.image.clientWidth * Math.min(devicePixelRatio, 2)) || 320;
    const answer = await fetch(`api/cameras/${encodeURIComponent(card.id)}/picture?width=${width}&after=${card.number}`, { credentials: "same-origin" });
    if (answer.ok) wait = Number(answer.headers.get("Picture-Wait"));
    if (answer.status === 200) {
      const shown = card.image.src;
      card.image.src = URL.createObjectURL(await answer.blob());
      card.number = Number(answer.headers.get("Picture-Number"));
      await card.image.decode().catch(() => undefined); // a damaged picture: the next one comes at once
      if (shown) URL.revokeObjectURL(shown);
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
