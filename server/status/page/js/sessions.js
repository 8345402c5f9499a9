// The list of sessions: sortable, with the best image of each.

import { ask, imagePath } from "./api.js";
import { h, refill, shape, show } from "./dom.js";
import { brief, count, date, digits } from "./format.js";

const COLUMNS = [
  ["name", "Session"], ["subject", "Subject"], ["state", "State"], ["created_at", "Begun"],
  ["generations", "Generations"], ["measured", "Scored"], ["score", "Best mean score"],
];
const AGAIN_MS = 3000;
const order = { by: "created_at", up: false };

export async function openSessions() {
  document.title = "XDream sessions";
  let sessions = await ask("/api/sessions");
  show("sessions-view");
  const table = document.querySelector(".sessions");
  const draw = () => refill(table, [sessions, order], () => [head(draw), h("tbody", {}, sorted(sessions).map(row))]);
  draw();
  const timer = setInterval(async () => {
    sessions = await ask("/api/sessions").catch(() => sessions);
    draw();
  }, AGAIN_MS);
  return () => clearInterval(timer);
}

function head(draw) {
  const choose = (by) => () => {
    Object.assign(order, { by, up: order.by === by ? !order.up : by === "name" });
    draw();
  };
  const sort = (by) => (order.by === by ? (order.up ? "ascending" : "descending") : "none");
  const cell = ([by, title]) => h("th", { scope: "col", "aria-sort": sort(by) },
    h("button", { onclick: choose(by) }, `${title}${order.by === by ? (order.up ? " ▴" : " ▾") : ""}`));
  return h("thead", {}, h("tr", {}, COLUMNS.map(cell), h("th", { scope: "col" }, "Best images")));
}

function sorted(sessions) {
  const value = (each) => each[order.by] ?? -Infinity;
  const compare = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
  return sessions.toSorted((a, b) => (order.up ? compare(a, b) : compare(b, a)));
}

function row(each) {
  if (each.problem) return h("tr", {}, h("th", { scope: "row" }, each.name), h("td", { colSpan: 7 }, each.problem));
  const state = each.state === "ended" || each.attended ? each.state : "unattended";
  const of = { name: each.name, about: each };
  return h("tr", {},
    h("th", { scope: "row" }, h("a", { href: `#/${encodeURIComponent(each.name)}` }, each.name)),
    h("td", {}, each.subject || "–"),
    h("td", {}, h("span", { className: "tag", "data-state": state }, h("span", { className: "shape" }, shape(state)), state)),
    h("td", {}, date(each.created_at), " ", h("span", { className: "note" }, `for ${brief(each.changed_at - each.created_at)}`)),
    h("td", {}, count(each.generations)),
    h("td", {}, count(each.measured)),
    h("td", {}, digits(each.score)),
    h("td", {}, each.best.map((stimulus) => h("img", { src: imagePath(of, stimulus), alt: "", loading: "lazy" }))),
  );
}
