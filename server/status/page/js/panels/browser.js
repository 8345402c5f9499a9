// Every generation's images on demand, and the way there: the best image of each as a film.

import { ask, sessionPath } from "../api.js";
import { byId, h, refill } from "../dom.js";
import { score, UNITS } from "../format.js";
import { figures } from "./figures.js";
import { thumb } from "./now.js";

const FILM = 40; // pictures in the film; a longer session is sampled

export function browserPanel(session) {
  const chosen = { evolution: session.about.evolutions[0].number, generation: 0, follow: true, sort: "score" };
  const parts = layout(session, chosen, () => update());
  byId("browser").replaceChildren(...Object.values(parts.rows));
  let shown = "";

  async function update() {
    const { generations } = session.evolutions.get(chosen.evolution);
    const open = session.standing.open.find((row) => row.evolution === chosen.evolution);
    const newest = generations.at(-1)?.generation ?? open?.generation ?? 0;
    const most = Math.max(newest, open?.generation ?? 0, 1);
    if (chosen.follow) chosen.generation = newest;
    parts.slider.max = most;
    parts.slider.value = chosen.generation;
    parts.follow.setAttribute("aria-pressed", String(chosen.follow));
    parts.label.textContent = `generation ${chosen.generation} of ${most}`;
    film(session, parts.rows.film, generations, chosen, (generation) => go(generation));
    figures(parts.rows.figures, generations, chosen.generation);
    const scored = generations.some((row) => row.generation === chosen.generation);
    const key = `${chosen.evolution} ${chosen.generation} ${chosen.sort} ${scored} ${scored || (open?.shown ?? 0)}`;
    if (key === shown || !chosen.generation) return;
    shown = key;
    const images = await ask(`${sessionPath(session.name)}/generations/${chosen.evolution}/${chosen.generation}`).catch(() => null);
    if (images && shown === key) gallery(session, parts.rows.gallery, images, chosen);
  }

  function go(generation) {
    Object.assign(chosen, { generation, follow: false });
    update();
  }

  return { update, chosen };
}

function layout(session, chosen, update) {
  const set = (changes) => {
    Object.assign(chosen, changes);
    update();
  };
  const slider = h("input", { type: "range", min: 1, max: 1, value: 1, id: "generation-slider", "aria-label": "Generation",
    oninput: (event) => set({ generation: Number(event.target.value), follow: false }) });
  const label = h("output", { htmlFor: "generation-slider" });
  const follow = h("button", { "aria-pressed": "true", onclick: () => set({ follow: !chosen.follow }) }, "Follow the newest");
  const option = (value, text) => h("option", { value }, text);
  const sort = h("select", { "aria-label": "Order", onchange: (event) => set({ sort: event.target.value }) }, option("score", "best first"), option("place", "as numbered"));
  const which = h("select", { "aria-label": "Evolution", onchange: (event) => set({ evolution: Number(event.target.value), follow: true }) },
    session.about.evolutions.map((each) => option(each.number, each.name)));
  const several = session.about.evolutions.length > 1;
  const chooser = h("div", { className: "chooser" }, several ? which : null, label, slider, sort, follow);
  const filmStrip = h("div", { className: "film", role: "group", "aria-label": "Best image of each generation" });
  return { slider, label, follow, rows: { film: filmStrip, chooser, figures: h("div", { className: "figures" }), gallery: h("div", { className: "gallery", id: "gallery" }) } };
}

function film(session, element, generations, chosen, go) {
  const { unit } = session.evolutions.get(chosen.evolution);
  const every = Math.ceil(generations.length / FILM) || 1;
  const frames = generations.filter((row, place) => row.best !== null && (generations.length - 1 - place) % every === 0);
  refill(element, [frames.map((row) => row.best), chosen.generation], () => frames.map((row) => {
    const frame = thumb(session, row.best, `${row.generation}`, "lazy");
    const fresh = frame.cloneNode(true);
    fresh.setAttribute("aria-label", `Go to generation ${row.generation}`);
    fresh.title = `best of generation ${row.generation}: ${score(Math.max(...row.scores.filter((each) => each !== null)), unit)}${UNITS[unit] ?? ""}`;
    if (row.generation === chosen.generation) fresh.setAttribute("aria-current", "true");
    fresh.addEventListener("click", () => go(row.generation));
    return fresh;
  }));
  if (chosen.follow) element.scrollLeft = element.scrollWidth;
}

function gallery(session, element, images, { evolution, sort }) {
  const { unit } = session.evolutions.get(evolution);
  const value = (each) => (sort === "place" ? -each.place : (each.score ?? -Infinity));
  const ordered = images.toSorted((a, b) => value(b) - value(a)).filter((each) => each.rendered);
  const caption = (each) => (each.score === null ? "not scored" : score(each.score, unit));
  refill(element, ordered.map((each) => [each.stimulus_id, each.score]), () => ordered.map((each) => thumb(session, each.stimulus_id, caption(each), "lazy")));
}
