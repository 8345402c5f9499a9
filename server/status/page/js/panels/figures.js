// What the pictures of a generation are like, beside every other's: how strong their contrast, how far out their codes.

import { h, refill } from "../dom.js";
import { sparkline } from "../sparkline.js";

const FIGURES = [["contrast", "Contrast (rms)", 3], ["code_norm", "Code norm", 2]];

export function figures(element, generations, generation) {
  const place = generations.findIndex((row) => row.generation === generation);
  refill(element, [generations.length, generation, place], () => FIGURES.map(([name, title, places]) => {
    const known = generations.filter((row) => row[name][0] !== null);
    if (place < 0 || generations[place][name][0] === null) return "";
    const value = generations[place][name][0].toFixed(places);
    const span = `generations ${known[0].generation} to ${known.at(-1).generation}: ${known[0][name][0].toFixed(places)} to ${known.at(-1)[name][0].toFixed(places)}`;
    return h("span", { className: "figure", title: `mean over the images; ${span}` }, h("small", {}, title), h("b", {}, value),
      sparkline(known.map((row) => row[name][0]), { fitted: true, marked: known.indexOf(generations[place]) }), h("span", { className: "note" }, span));
  }));
}
