// A line the height of a word: how a number went over time.

import { svg } from "./dom.js";

const [WIDTH, HEIGHT, MARGIN] = [80, 22, 2];

// From 0 up, unless `fitted`: then from the least to the most that there was.
export function sparkline(history, { fitted = false, marked = -1 } = {}) {
  const values = history.map((value) => value ?? 0);
  const least = fitted ? Math.min(...values) : 0;
  const span = Math.max(...values) - least || 1;
  const x = (place) => (WIDTH * place) / Math.max(1, values.length - 1);
  const y = (value) => HEIGHT - MARGIN - ((HEIGHT - 2 * MARGIN) * Math.max(0, value - least)) / span;
  const line = svg("polyline", { points: values.map((value, place) => `${x(place)},${y(value)}`).join(" ") });
  const mark = marked >= 0 ? [svg("line", { x1: x(marked), x2: x(marked), y1: 0, y2: HEIGHT })] : [];
  return svg("svg", { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", preserveAspectRatio: "none" }, line, ...mark);
}
