// What the keyboard does: one letter an action, never while somebody types.

import { byId, h } from "./dom.js";
import { toggleTheme } from "./theme.js";

const KEYS = [
  ["p", "Pause at the end of the trial; again while it is asked: now", () => press("pause")],
  ["r", "Resume", () => press("resume")],
  ["s", "Stop after this generation", () => press("stop")],
  ["e", "End now", () => press("end")],
  ["n", "Write a note", () => byId("note")?.focus()],
  ["g", "Go to the generations", () => byId("generation-slider")?.focus()],
  ["d", "Dark or light", toggleTheme],
  ["?", "These keys", help],
];

function press(action) {
  const button = document.querySelector(`#controls [data-action="${action}"]:not(:disabled)`);
  button?.focus();
  button?.click();
}

export function help() {
  const dialog = byId("question");
  dialog.replaceChildren(
    h("h2", { id: "question-text" }, "Keys"),
    h("dl", { className: "facts-list" }, KEYS.flatMap(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)])),
    h("form", { method: "dialog", className: "buttons" }, h("button", { className: "main", autofocus: true }, "Close")),
  );
  dialog.showModal();
}

export function listen() {
  const hear = (event) => {
    const typing = event.target.closest("input:not([type=range]), textarea, select, dialog");
    // A key that is held down is one press: p twice means at once.
    if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = KEYS.find(([letter]) => letter === event.key.toLowerCase());
    if (!key) return;
    event.preventDefault();
    key[2]();
  };
  const click = (event) => event.target.closest("[data-act=help]") && help();
  document.addEventListener("keydown", hear);
  document.addEventListener("click", click);
  return () => {
    document.removeEventListener("keydown", hear);
    document.removeEventListener("click", click);
  };
}
