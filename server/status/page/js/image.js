// One image: its picture, what it scored, every showing of it, its spikes.

import { act } from "./acting.js";
import { ask, imagePath, sessionPath } from "./api.js";
import { byId, h } from "./dom.js";
import { cause, digits, score, UNITS } from "./format.js";
import { chosenChannel } from "./panels/channels.js";
import { nameOf } from "./panels/now.js";
import { psth } from "./panels/spikes.js";

const SHOWINGS = 60;

export async function openImage(session, stimulus) {
  const dialog = byId("image-dialog");
  const found = await ask(`${sessionPath(session.name)}/stimuli/${stimulus}`).catch((error) => sayWhyNot(dialog, error));
  if (!found) return;
  const name = nameOf(session, stimulus);
  dialog.setAttribute("aria-label", name);
  dialog.replaceChildren(
    h("div", { className: "image-detail" },
      h("img", { src: imagePath(session, stimulus), alt: name }),
      h("div", {}, h("h2", {}, name), facts(session, found), spikesPlace(session, found))),
    showings(session, found),
    h("form", { method: "dialog", className: "buttons" },
      session.canAct ? h("button", { type: "button", "data-action": "mark", onclick: (event) => mark(session, stimulus, event.target) }, "★ Mark") : null,
      h("button", { className: "main", autofocus: true }, "Close")));
  if (!dialog.open) dialog.showModal();
}

function sayWhyNot(dialog, error) {
  dialog.replaceChildren(
    h("p", { role: "alert" }, `This image cannot be looked at: ${error.message}`),
    h("form", { method: "dialog", className: "buttons" }, h("button", { className: "main", autofocus: true }, "Close")));
  if (!dialog.open) dialog.showModal();
}

async function mark(session, stimulus, button) {
  button.disabled = true;
  button.textContent = (await act(session, { action: "mark", stimulus_id: stimulus })) ? "★ Marked" : "Not marked";
}

function facts(session, found) {
  const list = [
    ...(found.evolution ? [["score", withUnit(found.scores[0]?.[2], session.evolutions.get(found.evolution))]] : session.about.evolutions.map((each) => meanScore(session, found, each))),
    ["shown", `${found.shown} times, ${found.scored} scored`],
    ["contrast (rms)", found.rms_contrast?.toFixed(3)],
    ["code norm", found.code_norm?.toFixed(2)],
    ["id", `${found.stimulus_id}`],
    ["pixels", found.sha256 ? `sha256 ${found.sha256.slice(0, 12)}…` : null],
    ["marks", found.marks.join("; ") || null],
  ];
  return h("dl", { className: "facts-list" }, list.filter(([, value]) => value).flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
}

// What a reference image scored in one evolution: each has channels and a scorer of its own.
function meanScore(session, found, each) {
  const { number, name } = each;
  const scores = found.scores.filter(([evolution, , score]) => evolution === number && score !== null).map(([, , score]) => score);
  const mean = scores.length ? scores.reduce((a, b) => a + b, 0) / scores.length : null;
  return [session.about.evolutions.length > 1 ? `score, ${name}` : "score", `${withUnit(mean, each)}, mean of ${scores.length} generations`];
}

const withUnit = (value, { unit }) => (value === null || value === undefined ? "–" : `${score(value, unit)}${UNITS[unit] ?? ""}`);

function spikesPlace(session, found) {
  const place = h("div");
  const last = found.presentations.find((each) => each.measured) ?? found.presentations[0];
  const evolution = found.evolution || (last ? Math.floor(last.presentation_id / 1e12) : 0);
  if (!evolution) return place;
  const query = `channel=${chosenChannel.channel}&stimulus_id=${found.stimulus_id}`;
  ask(`${sessionPath(session.name)}/spikes/${evolution}/${last?.generation ?? found.generation}?${query}`)
    .then((spikes) => place.replaceChildren(...[psth(session, spikes)].flat()), () => {});
  return place;
}

function showings(session, found) {
  const name = session.about.channels[chosenChannel.channel] ?? "";
  const cells = (each) => [
    h("td", {}, each.onset_s === null ? "–" : `${each.onset_s.toFixed(3)} s`),
    h("td", {}, each.frames_expected === null ? "–" : `${each.frames_shown} of ${each.frames_expected}`),
    h("td", {}, each.void ? cause(each.void) : each.measured ? "scored" : "on its way"),
    h("td", {}, digits(each.rates_hz[chosenChannel.channel])), h("td", {}, digits(each.baseline_hz[chosenChannel.channel])),
  ];
  const row = (each) => h("tr", {}, h("th", { scope: "row" }, `trial ${each.trial}, gen ${each.generation}`), cells(each));
  const titles = ["Showing", "Onset", "Frames", "Counts?", `Rate ${name}, sp/s`, "Baseline, sp/s"];
  return h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Showings" }, h("table", {},
    h("thead", {}, h("tr", {}, titles.map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, found.presentations.slice(0, SHOWINGS).map(row))));
}
