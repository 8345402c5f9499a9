// Making and filling elements. Text goes in as text, never as HTML: what a peer or a person wrote stays words.

export const byId = (id) => document.getElementById(id);

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Replace what an element holds, but only if `signature` says that it would come out differently. Whoever is at one of
// its buttons with the keyboard stays there: at the one that says the same, or else at the one in its place.
export function refill(element, signature, make) {
  const key = JSON.stringify(signature);
  if (element.dataset.holds === key) return;
  element.dataset.holds = key;
  const [before, focused] = [reachable(element), document.activeElement];
  element.replaceChildren(...[make()].flat());
  const place = before.indexOf(focused);
  if (place < 0) return;
  const after = reachable(element);
  (after.find((each) => said(each) === said(focused)) ?? after[place])?.focus({ preventScroll: true });
}

const reachable = (element) => [...element.querySelectorAll("a[href], button, input, select")];
const said = (element) => element.ariaLabel || element.textContent;

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(template) {
  byId("view").replaceChildren(byId(template).content.cloneNode(true));
}

const SHAPES = {
  running: "M5 3 21 12 5 21Z",
  paused: "M4 3h6v18H4ZM14 3h6v18h-6Z",
  suspended: "M12 1 24 22H0ZM11 8v7h2V8Zm0 9v2.5h2V17Z",
  waiting: "M12 2a10 10 0 1 0 .01 0ZM12 5.5a6.5 6.5 0 1 1-.01 0Z",
  ending: "M3 3h18v18H3ZM7 7v10h10V7Z",
  ended: "M3 3h18v18H3Z",
  unknown: "M12 0 24 12 12 24 0 12ZM11 6v8h2V6Zm0 10v2.5h2V16Z",
  unattended: "M12 0 24 12 12 24 0 12ZM11 6v8h2V6Zm0 10v2.5h2V16Z",
};
export const shape = (state) =>
  svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: SHAPES[state] ?? SHAPES.ended, "fill-rule": "evenodd" }));
