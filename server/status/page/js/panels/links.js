// What the session hangs on: a word, a figure and an age for each.

import { byId, h, refill } from "../dom.js";
import { brief } from "../format.js";

const WORDS = { ok: "● OK", lost: "▲ LOST", absent: "○ absent", unknown: "◇ unknown" };
const OWN = { acquisition: { lost: "▲ NO DATA" }, disk: { ok: "● OK", lost: "▲ FULL" }, clock: { ok: "● OK", lost: "▲ GUESSED", absent: "○ none yet" } };

export function linksPanel(session) {
  const element = byId("links");
  return {
    update() {
      const links = session.standing.links.map((each) => [each.role, each.name, session.lost ? "unknown" : each.state, words(each, session)]);
      refill(element, links, () => links.map(([role, name, state, said]) => link(role, name, state, said)));
    },
  };
}

function words(each, session) {
  const age = each.heard_at === null ? Infinity : session.now - each.heard_at;
  const ended = session.standing.state === "ended";
  const heard = Number.isFinite(age) && !ended ? `${brief(age)} ago` : "";
  return [each.detail, heard].filter(Boolean).join(" · ");
}

function link(role, name, state, said) {
  const title = { display: "Display", acquisition: "Spikes", disk: "Disk", clock: "Onsets", server: "Server" }[role];
  const word = OWN[role]?.[state] ?? WORDS[state];
  const who = ["display", "acquisition"].includes(role) && name !== role ? name : "";
  return h("div", { className: "link", "data-link": state },
    h("strong", {}, title), h("span", { className: "mark" }, word), h("span", { className: "value" }, [who, said].filter(Boolean).join(" · ")));
}
