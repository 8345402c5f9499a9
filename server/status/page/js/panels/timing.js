// Where the time of each generation goes, and how long the display had to wait between two of them.

import { byId, h, refill, say } from "../dom.js";
import { brief } from "../format.js";

const ROWS = 7;
const PARTS = [
  ["images", "images made, its turn awaited"], ["present", "presented"], ["acquire", "last spikes awaited"], ["score", "scored"],
];

export function timingPanel(session) {
  const element = byId("timing");
  return {
    update() {
      const all = [...session.evolutions.values()].flatMap((each) => each.generations.slice(-200));
      const rows = all.toSorted((a, b) => b.scored_at - a.scored_at).slice(0, ROWS);
      refill(element, rows.map((row) => [row.evolution, row.generation]), () => (rows.length ? draw(session, rows) : h("p", { className: "note" }, "None is finished yet.")));
      say(byId("timing-note"), dead(session));
    },
  };
}

function parts(row) {
  const steps = [row.proposed_at, row.first_sent_at, row.last_reported_at, row.last_received_at, row.scored_at];
  return steps.slice(1).map((at, place) => Math.max(0, (at ?? steps[place]) - steps[place]));
}

function draw(session, rows) {
  // The first generation waits for the peers to join, as long as that takes: it sets no scale.
  const later = rows.filter((row) => row.generation > 1);
  const longest = Math.max(...(later.length ? later : rows).map((row) => parts(row).reduce((a, b) => a + b, 0)), 1e-9);
  const several = session.about.evolutions.length > 1;
  const line = (row) => {
    const bars = parts(row).map((seconds, place) => {
      const bar = h("span", { className: `part-${PARTS[place][0]}`, title: `${PARTS[place][1]}: ${brief(seconds)}` });
      bar.style.width = `${(100 * seconds) / longest}%`;
      return bar;
    });
    const total = parts(row).reduce((a, b) => a + b, 0);
    const stored = row.stored_s === null ? "" : `, of it ${brief(row.stored_s)} on disk commits`;
    const name = several ? `${session.evolutions.get(row.evolution).name} ${row.generation}` : `gen ${row.generation}`;
    return h("div", { className: "row", title: `${brief(total)}${stored}` }, h("span", {}, name), h("span", { className: "bar-of" }, bars), h("span", {}, brief(total)));
  };
  const key = ([name, text]) => h("li", {}, h("span", { className: `key part-${name}` }), text);
  return h("div", { className: "times" }, h("ul", { className: "legend" }, PARTS.map(key)), rows.map(line), h("p", { className: "note" }, stored(rows)));
}

function stored(rows) {
  const known = rows.map((row) => row.stored_s).filter((each) => each !== null).sort((a, b) => a - b);
  return known.length ? `Commits to disk, inside these times: ${brief(known[Math.floor(known.length / 2)])} a generation (median).` : "";
}

// From the last response of a generation to the first trial of the next: what the animal might notice.
function dead(session) {
  if (session.evolutions.size > 1) return ""; // the trials of one fill the gaps of another
  const gaps = [...session.evolutions.values()].flatMap(({ generations }) =>
    generations.slice(1).map((row, place) => row.first_sent_at - generations[place].last_received_at).filter((gap) => Number.isFinite(gap)));
  if (!gaps.length) return "";
  const sorted = gaps.toSorted((a, b) => a - b);
  const at = (share) => brief(Math.max(0, sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]));
  return `last response to next trial: median ${at(0.5)}, p99 ${at(0.99)}`;
}
