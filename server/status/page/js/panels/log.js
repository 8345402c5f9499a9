// Notes, and the log of all that happened: alarms, controls, who came and went.

import { byId, h, refill } from "../dom.js";
import { brief, clock } from "../format.js";
import { act, author, setAuthor } from "../acting.js";

const SHOWN = 150; // lines at once; older ones on demand
const FILTERS = [["all", "All"], ["alarm", "Alarms"], ["note", "Notes and marks"], ["control", "Controls"], ["peer", "Programs"]];
const KINDS = { note: ["note", "mark"], control: ["control", "change", "state"], peer: ["peer", "late"], alarm: ["alarm"] };
const WORDS = { state: "state", alarm: "▲ alarm", control: "control", note: "✎ note", mark: "★ mark", change: "change", peer: "program", late: "late" };

export function logPanel(session) {
  const chosen = { filter: "all", n: SHOWN };
  const list = h("ol", { className: "lines", tabIndex: 0, "aria-label": "Log" });
  const filters = h("div", { className: "filters", role: "group", "aria-label": "Show" });
  const form = noteForm(session);
  byId("log").replaceChildren(form, filters, list);
  const update = () => {
    const every = session.lines().filter((line) => chosen.filter === "all" || KINDS[chosen.filter].includes(line.kind));
    const lines = every.slice(0, chosen.n);
    form.hidden = session.role !== "operator" || session.standing.state === "ended";
    for (const control of form.elements) control.disabled = !session.canAct;
    refill(filters, chosen.filter, () => FILTERS.map(([name, text]) => h("button", { "aria-pressed": String(name === chosen.filter), onclick: () => { chosen.filter = name; update(); } }, text)));
    refill(list, [lines, every.length], () => [...lines.map(line), every.length > chosen.n ? older(every.length, chosen, update) : ""]);
  };
  return { update };
}

function line(each) {
  const over = each.kind === "alarm" ? (each.cleared_at ? `over after ${brief(each.cleared_at - each.at)}` : "still so") : "";
  const text = each.kind === "alarm" ? [each.what, each.consequence, each.do, over].join(" | ") : each.what;
  const about = each.stimulus_id === null ? "" : ` (image ${each.stimulus_id})`;
  return h("li", { "data-kind": each.kind }, h("time", {}, clock(each.at)), h("span", { className: "kind" }, WORDS[each.kind] ?? each.kind),
    h("span", {}, `${each.author ? `${each.author}: ` : ""}${text}${about}`));
}

function older(n, chosen, update) {
  return h("li", {}, h("button", { onclick: () => { chosen.n += SHOWN; update(); } }, `${n - chosen.n} older`));
}

function noteForm(session) {
  const text = h("input", { type: "text", id: "note", maxLength: 2000, placeholder: "drowsy, gave a break", "aria-label": "Note", autocomplete: "off" });
  const who = h("input", { type: "text", id: "author", maxLength: 60, placeholder: "who", "aria-label": "Who you are", value: author(), onchange: () => setAuthor(who.value.trim()) });
  const form = h("form", { className: "note-form" }, text, who, h("button", {}, "Note"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    setAuthor(who.value.trim());
    if (text.value.trim() && (await act(session, { action: "note", text: text.value.trim() }))) text.value = "";
  });
  return form;
}
