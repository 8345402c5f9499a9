// The trial at the display, and those that wait behind it.

import { byId, h, refill, say } from "../dom.js";
import { imagePath } from "../api.js";
import { openImage } from "../image.js";

const MAX_WAITING = 2;
const NOBODY = { unattended: "Nothing: no server runs this session.", unknown: "Nobody tells this page." };

export function nowPanel(session) {
  const element = byId("now");
  return {
    update() {
      const { state } = session;
      const trials = NOBODY[state] ? [] : session.standing.trials; // what was at the display when somebody still knew
      // Between two trials the last one stays: a page that jumps cannot be read.
      if (!trials.length && state === "running" && element.childElementCount) return;
      say(byId("now-note"), trials.length ? `trial ${trials[0].trial}` : "");
      refill(element, [trials.map((each) => each.trial), state], () =>
        trials.length ? trials.slice(0, 1 + MAX_WAITING).map((trial, place) => strip(session, trial, place)) : h("p", { className: "note" }, empty(state)));
    },
  };
}

function empty(state) {
  return { ...NOBODY, ended: "The session is over.", paused: "Nothing: paused.", suspended: "Nothing: suspended.", waiting: "Nothing yet." }[state] ?? "Between two trials.";
}

function strip(session, trial, place) {
  const images = trial.stimulus_ids.map((stimulus) => thumb(session, stimulus));
  return h("div", { className: place ? "next" : "first" },
    h("h3", {}, place ? `next: trial ${trial.trial}` : "at the display"), h("div", { className: "strip" }, images));
}

// A small picture that opens; what stands below it is its score, or nothing.
export function thumb(session, stimulus, caption = "", loading = "eager") {
  const reference = stimulus < 1e9;
  const name = nameOf(session, stimulus);
  return h("button", {
    className: reference ? "thumb reference" : "thumb", title: name, "aria-label": caption ? `${name}, ${caption}` : name,
    "data-stimulus": String(stimulus), onclick: () => openImage(session, stimulus),
  }, h("img", { src: imagePath(session, stimulus), alt: "", loading, onerror: retry }), caption ? h("span", {}, caption) : null);
}

export function nameOf(session, stimulus) {
  if (stimulus < 1e9) return `reference ${session.about.references.find((each) => each.stimulus_id === stimulus)?.name ?? stimulus}`;
  const [evolution, generation, place] = [Math.floor(stimulus / 1e9), Math.floor(stimulus / 1e4) % 1e5, stimulus % 1e4];
  const several = session.about.evolutions.length > 1;
  return `${several ? `${session.evolutions.get(evolution)?.name}, ` : ""}generation ${generation}, image ${place}`;
}

// An image that was not rendered yet when it was asked for is asked for once more.
function retry(event) {
  const image = event.target;
  if (image.dataset.again) return;
  image.dataset.again = "yes";
  setTimeout(() => (image.src = `${image.src}&again`), 1500);
}
