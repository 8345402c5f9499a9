// The evolution curves: mean score of each generation with its 95 % interval, every image's score, the references.

import uPlot from "../../vendor/uPlot.js";
import { byId, h, refill, say } from "../dom.js";
import { score, signedScore, UNITS } from "../format.js";
import { colour, onTheme } from "../theme.js";

const MAX_DOTS = 20000; // more are thinned out: nobody tells them apart
const LEGEND = [
  ["", "key-evolved", "evolved, mean"], ["band", "key-evolved", "95 % interval of the mean"], ["dot", "key-evolved", "each image"],
  ["dashed", "key-reference", "reference images, mean and interval"],
];
const CORRECTED = ["dashed", "key-corrected", "evolved, drift taken off"];

export function curvesPanel(session) {
  const element = byId("curves");
  const curves = session.about.evolutions.map((each) => new Curve(session, each));
  element.replaceChildren(...curves.map((curve) => curve.element));
  const redraw = () => curves.forEach((curve) => curve.make());
  onTheme.addEventListener("change", redraw);
  return {
    update: () => curves.forEach((curve) => curve.update()),
    close: () => {
      onTheme.removeEventListener("change", redraw);
      curves.forEach((curve) => curve.close());
    },
  };
}

class Curve {
  constructor(session, evolution) {
    this.session = session;
    this.evolution = evolution;
    this.plot = null;
    this.drawn = "";
    this.effect = h("p", { className: "effect" });
    this.place = h("div", { className: "plot", role: "img" });
    const item = ([kind, key, text]) => h("li", { className: `${kind} ${key}` }, h("i"), text);
    this.correctedItem = item(CORRECTED);
    this.parts = h("span", { className: "note" });
    this.element = h("div", { className: "curve" },
      h("h2", {}, evolution.name, " ", this.parts),
      this.effect, this.place, h("ul", { className: "legend" }, LEGEND.map(item), this.correctedItem));
    this.size = new ResizeObserver(() => this.plot?.setSize(this.#size()));
    this.size.observe(this.place);
  }

  get rows() {
    return this.session.evolutions.get(this.evolution.number).generations;
  }

  update() {
    const { channels, optimizer, generator } = this.session.evolutions.get(this.evolution.number); // channels may be changed
    say(this.parts, `${channels.length ? channels.join(", ") : "all channels"} · ${optimizer}, ${generator}`);
    const key = `${this.rows.length} ${this.rows.at(-1)?.generation}`;
    if (key === this.drawn) return;
    this.drawn = key;
    this.#sayEffect();
    if (this.plot && this.rows.length > 1) this.plot.setData(this.#data());
    else this.make();
  }

  make() {
    this.plot?.destroy();
    this.plot = null;
    if (this.rows.length) this.plot = new uPlot(this.#options(), this.#data(), this.place);
  }

  close() {
    this.size.disconnect();
    this.plot?.destroy();
  }

  #size() {
    return { width: Math.max(200, this.place.clientWidth), height: Math.max(220, this.place.clientHeight) };
  }

  #data() {
    const pick = (name, place) => this.rows.map((row) => row[name][place]);
    const of = (name) => [pick(name, 0), pick(name, 1), pick(name, 2)];
    return [this.rows.map((row) => row.generation), ...of("reference"), ...of("evolved"), this.#corrected()];
  }

  // The mean of each generation as the first one would have drawn it; null where nothing is known of the drift.
  #corrected() {
    const { gains } = this.session.evolutions.get(this.evolution.number);
    return this.rows.map((row, place) => (row.evolved[0] === null || !gains[place] ? null : row.evolved[0] / gains[place]));
  }

  #sayEffect() {
    const found = this.session.standing.effects.find((each) => each.evolution === this.evolution.number);
    const { unit } = this.evolution;
    const interval = found?.low_hz === null ? "" : `95 % interval ${signedScore(found?.low_hz ?? 0, unit)} to ${signedScore(found?.high_hz ?? 0, unit)}`;
    refill(this.effect, found ?? null, () => found
      ? unit === "rank" ? [h("small", {}, "Ranks within a generation: generations cannot be compared.")]
      : [`${signedScore(found.evolved_hz - found.reference_hz, unit)}${UNITS[unit] ?? ""} `, h("small", {}, interval),
        h("small", { className: "line" }, `last generation ${score(found.evolved_hz, unit)}, best reference image ${score(found.reference_hz, unit)}`)]
      : [h("small", {}, "No generation is scored yet.")]);
    const last = this.rows.at(-1);
    const corrected = this.#corrected().at(-1) ?? null;
    this.correctedItem.hidden = corrected === null;
    const drift = corrected === null ? "" : ` With the drift taken off, the last is ${score(corrected, unit)}.`;
    this.place.setAttribute("aria-label", last
      ? `Scores of ${this.evolution.name} over ${this.rows.length} generations: from ${score(this.rows[0].evolved[0], unit)} to ${score(last.evolved[0], unit)}${UNITS[unit] ?? ""}; reference images ${score(last.reference[0], unit)}.${drift}`
      : `Scores of ${this.evolution.name}: none yet.`);
  }

  #options() {
    const [soft, line, evolved, reference] = ["soft", "line", "evolved", "reference"].map(colour);
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    const font = `${13 * rem}px system-ui, 'DejaVu Sans', sans-serif`;
    const axis = { stroke: soft, font, labelFont: font, labelSize: 30 * rem, size: 50 * rem, gap: 5 * rem, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    const mean = (stroke, width, dash) => ({ stroke, width, dash, points: { show: (plot) => plot.data[0].length < 3, size: 8, fill: stroke } });
    return {
      ...this.#size(),
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, points: { show: false } },
      scales: { x: { time: false, range: (_, low, high) => [low - 0.5, Math.max(high, low + 4) + 0.5] }, y: { range: (_, low, high) => this.#range(low, high) } },
      axes: [{ ...axis, label: "generation", incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }, { ...axis, label: { Hz: "score, spikes per second", rank: "score, a rank within its generation" }[this.evolution.unit] ?? "score", size: 56 * rem }],
      series: [{}, mean(reference, 2, [6, 4]), edge, edge, mean(evolved, 3), edge, edge, mean(colour("text"), 1.5, [5, 4])],
      bands: [{ series: [3, 2], fill: `${reference}38` }, { series: [6, 5], fill: `${evolved}48` }],
      hooks: { drawAxes: [(plot) => this.#dots(plot, evolved)] },
    };
  }

  #range(low, high) {
    const scores = this.rows.flatMap((row) => row.scores).filter((score) => score !== null);
    const top = scores.reduce((a, b) => Math.max(a, b), high ?? 1);
    const bottom = scores.reduce((a, b) => Math.min(a, b), Math.min(0, low ?? 0));
    return [bottom, top + 0.05 * (top - bottom || 1)];
  }

  #dots(plot, stroke) {
    const { ctx } = plot;
    const n = this.rows.reduce((sum, row) => sum + row.scores.length, 0);
    const every = Math.ceil(n / MAX_DOTS);
    const radius = 1.6 * devicePixelRatio;
    ctx.save();
    ctx.fillStyle = stroke;
    ctx.globalAlpha = 0.45;
    let place = 0;
    for (const row of this.rows) {
      const x = plot.valToPos(row.generation, "x", true);
      for (const score of row.scores) {
        if (score === null || place++ % every) continue;
        ctx.beginPath();
        ctx.arc(x, plot.valToPos(score, "y", true), radius, 0, 2 * Math.PI);
        ctx.fill();
      }
    }
    ctx.restore();
  }
}
