"use strict";
// Moments as the page shows them: on the visitor's own clock, whose zone the head of the page names; in UTC where one
// points at them. Times of the service are seconds since 1970 (UTC).

const HOUR = { hour: "2-digit", minute: "2-digit" };
const dateOf = (seconds) => new Date(seconds * 1000);
const lasting = (seconds) => (seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`);
const inUtc = (seconds) => `${dateOf(seconds).toISOString().slice(0, 19).replace("T", " ")} UTC`;

// With the date where it is not today's.
function clock(seconds) {
  const date = dateOf(seconds);
  const day = date.toDateString() === new Date().toDateString() ? "" : `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, `;
  return day + date.toLocaleTimeString([], { ...HOUR, second: "2-digit" });
}

const tick = (seconds, span) => (span <= 86400 ? dateOf(seconds).toLocaleTimeString([], HOUR) : dateOf(seconds).toLocaleString([], { weekday: "short", ...HOUR }));
const both = (seconds) => `${clock(seconds)} (${inUtc(seconds)})`; // for what is pointed at itself

function setTime(element, seconds) {
  element.dateTime = dateOf(seconds).toISOString();
  element.title = inUtc(seconds);
  element.textContent = clock(seconds);
  return element;
}

const timeOf = (seconds) => setTime(document.createElement("time"), seconds);

function zone() {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const offset = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(new Date()).find((part) => part.type === "timeZoneName").value.replace("GMT", "UTC");
  return timeZone === "UTC" ? timeZone : `${timeZone}, ${offset}`;
}
