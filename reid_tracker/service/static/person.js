"use strict";
// One person's history with its corrections, and the search by picture. Uses what app.js defines.

// Of one person, the latest: somebody who comes every day has thousands.
const SIGHTINGS_SHOWN = 60, REASONS_SHOWN = 100;
let shownPerson = null;

// What went wrong, or (well) what was done.
function tell(id, text, well = false) {
  byId(id).textContent = text;
  byId(id).classList.toggle("well", well);
}

// ---- one person

async function openPerson(identity) {
  shownPerson = identity;
  tell("person-problem", "");
  const dialog = byId("person");
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0; // where the one before was left
  await showPerson();
  byId("person-title").focus();
}

const latestOf = (list, most) => (list.length > most ? ` (the latest ${most} of ${list.length})` : "");

async function showPerson() {
  byId("person-title").textContent = `Person ${shownPerson}`;
  const asked = shownPerson;
  let history;
  try { history = await ask(`api/identities/${asked}`); }
  catch (error) { tell("person-problem", error.message); return; }
  if (asked !== shownPerson) return; // somebody else was opened meanwhile
  byId("person-title").replaceChildren(swatchOf(history.identity), ` Person ${history.identity}${history.present ? ", in view now" : ""}`);
  const image = byId("person-picture");
  image.hidden = !history.present;
  if (history.present) { image.alt = `Person ${history.identity} as seen now`; image.src = `api/identities/${history.identity}/picture?${Date.now()}`; }
  byId("sightings-title").textContent = `Seen${latestOf(history.sightings, SIGHTINGS_SHOWN)}`;
  byId("reasons-title").textContent = `Why${latestOf(history.events, REASONS_SHOWN)}`;
  byId("sightings").replaceChildren(...history.sightings.slice(-SIGHTINGS_SHOWN).map((sighting) => {
    const box = make("input", { type: "checkbox", value: String(sighting.tracklet) });
    return make("li", {}, make("label", {}, box, make("span", {}, `${sighting.camera}, `, timeOf(sighting.started), `, ${lasting(sighting.ended - sighting.started)}`)),
      ...sighting.crops.map((crop) => make("img", { alt: `In ${sighting.camera}`, loading: "lazy", src: `api/crops/${crop}` })));
  }));
  drawTimeline(history);
  drawPath(history);
  byId("reasons").replaceChildren(...history.events.slice(-REASONS_SHOWN).map((event) => eventLine(event)));
}

function drawTimeline(history) {
  const chart = byId("timeline");
  const cameras = [...new Set(history.sightings.map((sighting) => sighting.camera))];
  const start = Math.min(...history.sightings.map((sighting) => sighting.started));
  const end = Math.max(start + 1, ...history.sightings.map((sighting) => sighting.ended));
  const height = 24 * cameras.length + 22;
  const right = widthOf(chart) - 2;
  const left = Math.min(right / 2, 14 + 6.2 * Math.max(0, ...cameras.map((camera) => camera.length))); // room for their names
  chart.setAttribute("viewBox", `0 0 ${right + 2} ${height}`);
  const x = (time) => left + ((time - start) / (end - start)) * (right - left - 8);
  chart.replaceChildren();
  if (!cameras.length) return;
  const path = history.sightings.flatMap((sighting) => {
    const y = 24 * cameras.indexOf(sighting.camera) + 12;
    return [`${x(sighting.started)},${y}`, `${x(sighting.ended)},${y}`];
  });
  chart.append(draw("polyline", { points: path.join(" "), fill: "none", stroke: history.colour, "stroke-opacity": 0.5, "stroke-dasharray": "3 3" }));
  cameras.forEach((camera, place) => chart.append(draw("text", { x: 0, y: 24 * place + 16 }, camera)));
  for (const sighting of history.sightings) {
    const bar = draw("rect", { x: x(sighting.started), y: 24 * cameras.indexOf(sighting.camera) + 5, rx: 3, height: 14,
      width: Math.max(3, x(sighting.ended) - x(sighting.started)), fill: history.colour });
    bar.append(draw("title", {}, `${sighting.camera}, ${both(sighting.started)}`));
    chart.append(bar);
  }
  chart.append(draw("text", { x: left, y: height - 4 }, clock(start)), draw("text", { x: right, y: height - 4, "text-anchor": "end" }, clock(end)));
}

async function correct(body, done) {
  tell("person-problem", "");
  try {
    const answer = await send("api/corrections", body);
    shownPerson = answer.identity;
    await new Promise((resolve) => { setTimeout(resolve, 800); }); // the memory is written twice a second
    await showPerson();
    tell("person-problem", done, true);
  } catch (error) { tell("person-problem", error.message); }
}

byId("close").addEventListener("click", () => byId("person").close());
function correctBoth(kind, done) {
  const second = Number(byId("other").value);
  if (second >= 1) correct({ kind, first: shownPerson, second }, done);
  else { tell("person-problem", "Say which other person: type the number."); byId("other").focus(); }
}

byId("merge").addEventListener("click", () => correctBoth("merge", "Merged."));
byId("never").addEventListener("click", () => correctBoth("never", "They will be kept apart."));
byId("split").addEventListener("click", () => {
  const tracklets = [...byId("sightings").querySelectorAll("input:checked")].map((tick) => Number(tick.value));
  if (!tracklets.length) tell("person-problem", "Tick the sightings that show somebody else first.");
  else correct({ kind: "split", identity: shownPerson, tracklets }, "Split; this is the new person.");
});
byId("erase").addEventListener("click", async () => {
  const button = byId("erase");
  if (button.dataset.sure !== String(shownPerson)) { button.dataset.sure = String(shownPerson); button.textContent = `Erase ${shownPerson} for good?`; return; }
  button.dataset.sure = ""; button.textContent = "Erase this person";
  try { await ask(`api/identities/${shownPerson}`, { method: "DELETE" }); byId("person").close(); refreshRecent(); }
  catch (error) { tell("person-problem", error.message); }
});
byId("person").addEventListener("close", () => { byId("erase").dataset.sure = ""; byId("erase").textContent = "Erase this person"; });

// ---- search

async function search(path, options) {
  tell("search-problem", "searching …", true);
  byId("matches").replaceChildren();
  try {
    const answer = await ask(path, { method: "POST", ...options });
    tell("search-problem", answer.matches.length ? "" : `nobody alike among ${answer.searched} sightings`);
    byId("matches").replaceChildren(...answer.matches.map(({ sighting, distance }) => {
      const button = personButton(sighting.identity, [`${sighting.identity} · ${sighting.camera}, `, timeOf(sighting.started)], [`distance ${distance.toFixed(3)}`]);
      if (sighting.crops.length) button.prepend(make("img", { alt: "", src: `api/crops/${sighting.crops[0]}` }));
      return make("li", {}, button);
    }));
  } catch (error) { tell("search-problem", error.message); }
}

byId("picture").addEventListener("change", () => {
  const file = byId("picture").files[0];
  if (file) search("api/search", { headers: { "Content-Type": file.type }, body: file });
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.querySelector(".drop").addEventListener(kind, (event) => {
    event.preventDefault();
    event.currentTarget.classList.toggle("over", kind === "dragover");
    const file = kind === "drop" && event.dataTransfer.files[0];
    if (file) search("api/search", { headers: { "Content-Type": file.type }, body: file });
  });
}
byId("alike").addEventListener("click", async () => {
  byId("person").close();
  await search(`api/identities/${shownPerson}/search`, {});
  byId("search-title").focus(); // scrolls there too
});
