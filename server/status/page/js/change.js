// A change from the next generation on: which channels are scored, how the optimizer searches.

import { act } from "./acting.js";
import { byId, h } from "./dom.js";

const OTHER = "\\s*(\\w+)\\s*=\\s*(\\S+)\\s*"; // the browser holds the form back where something else stands

export function changeDialog(session) {
  const dialog = byId("question");
  dialog.returnValue = "";
  const form = h("form", { method: "dialog", className: "change" });
  const fill = (number) => form.replaceChildren(...fields(session, session.evolutions.get(Number(number)), fill));
  fill(session.about.evolutions[0].number);
  form.addEventListener("submit", (event) => event.submitter.value === "yes" && ask(session, new FormData(form)));
  dialog.replaceChildren(h("h2", { id: "question-text" }, "Change from the next generation on"), form);
  dialog.showModal();
}

function fields(session, evolution, fill) {
  const which = h("select", { name: "evolution", onchange: (event) => fill(event.target.value) },
    session.about.evolutions.map((each) => h("option", { value: each.number, selected: each.number === evolution.number }, each.name)));
  const input = (name, value, needed) => h("input", { type: "text", name, value, autocomplete: "off", required: needed, pattern: ".*\\S.*" });
  const numbers = Object.entries(evolution.parameters).filter(([, value]) => ["number", "boolean"].includes(typeof value));
  return [
    h("label", {}, "Evolution", which),
    h("label", {}, "Scored channels", input("channels", evolution.channels.join(", "), evolution.channels.length > 0)),
    ...numbers.map(([name, value]) => h("label", {}, `${evolution.optimizer}: ${name}`, input(`parameter ${name}`, String(value), true))),
    h("label", {}, `Another of ${evolution.optimizer}`, h("input", { type: "text", name: "other", placeholder: "name = number", autocomplete: "off", pattern: OTHER, title: "name = number" })),
    h("div", { className: "buttons" }, h("button", { value: "", formNoValidate: true }, "Cancel"), h("button", { value: "yes", className: "main" }, "Change")),
  ];
}

function ask(session, said) {
  const evolution = session.evolutions.get(Number(said.get("evolution")));
  const channels = said.get("channels").split(",").map((name) => name.trim()).filter(Boolean);
  const parameters = {};
  for (const [name, value] of Object.entries(evolution.parameters)) {
    const wanted = said.get(`parameter ${name}`);
    if (wanted !== null && wanted !== String(value)) parameters[name] = plain(wanted);
  }
  const [, name, value] = new RegExp(`^${OTHER}$`).exec(said.get("other")) ?? [];
  if (name) parameters[name] = plain(value);
  const wish = { action: "change", evolution: evolution.number, parameters };
  if (channels.join() !== evolution.channels.join()) wish.channels = channels;
  if (wish.channels || Object.keys(parameters).length) act(session, wish);
}

const plain = (text) => (text === "true" ? true : text === "false" ? false : Number.isNaN(Number(text)) ? text : Number(text));
