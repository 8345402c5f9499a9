// A question that is answered yes or no; Escape is no.

import { byId, h } from "./dom.js";

export function question(text, yes) {
  const dialog = byId("question");
  dialog.returnValue = "";
  dialog.replaceChildren(
    h("p", { id: "question-text" }, text),
    h("form", { method: "dialog", className: "buttons" },
      h("button", { value: "" }, "No"), h("button", { value: "yes", className: "main", autofocus: true }, yes)),
  );
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
