// A fire drill, in dry runs alone: something goes wrong now, and what the server does is what it would do on a rig.

import { act } from "./acting.js";
import { byId, h } from "./dom.js";

export function drillDialog(session) {
  const dialog = byId("question");
  dialog.returnValue = "";
  const form = h("form", { method: "dialog", className: "change drill" },
    h("label", {}, "What", h("select", { name: "what" }, Object.entries(session.about.drills).map(([what, text]) => h("option", { value: what }, text)))),
    h("label", {}, "Seconds", h("input", { type: "text", inputMode: "decimal", name: "seconds", value: "5", autocomplete: "off" })),
    h("div", { className: "buttons" }, h("button", { value: "", formNoValidate: true }, "Cancel"), h("button", { value: "yes", className: "main" }, "Let it happen")));
  form.addEventListener("submit", (event) => {
    const said = new FormData(form);
    if (event.submitter.value === "yes") act(session, { action: "drill", what: said.get("what"), seconds: Math.min(Math.max(Number(said.get("seconds")) || 5, 0), 3600) });
  });
  dialog.replaceChildren(h("h2", { id: "question-text" }, "Fire drill"), form);
  dialog.showModal();
}
