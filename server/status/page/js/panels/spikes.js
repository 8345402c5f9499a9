// Histogram and raster of the chosen channel, last generation against the reference images.

import { ask, sessionPath } from "../api.js";
import { byId, h, refill, say, svg } from "../dom.js";
import { digits } from "../format.js";
import { chosenChannel, evolutionOf } from "./channels.js";

const AGAIN_MS = 2000;
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [640, 190, 44, 20];

export function spikesPanel(session) {
  const element = byId("spikes");
  let [known, asked] = ["", 0];
  const update = async () => {
    const [channel, evolution] = [chosenChannel.channel, evolutionOf(session, chosenChannel.channel)];
    const generation = session.last(evolution)?.generation;
    const key = `${channel} ${generation}`;
    const same = known.split(" ")[0] === `${channel}`;
    if (!generation || key === known || (same && Date.now() - asked < AGAIN_MS)) return;
    [known, asked] = [key, Date.now()];
    const found = await ask(`${sessionPath(session.name)}/spikes/${evolution}/${generation}?channel=${channel}`).catch(() => null);
    if (!found || key !== known) return;
    say(byId("spikes-note"), `${session.about.channels[channel] ?? ""}, generation ${generation}`);
    refill(element, found, () => psth(session, found));
  };
  chosenChannel.listeners.clear();
  chosenChannel.listeners.add(update);
  return { update };
}

export function psth(session, found) {
  if (!found.n) return h("p", { className: "note" }, "No showing of it was measured, so there are no spikes to see.");
  if (!found.with_times) return h("p", { className: "note" }, "The recording system gives spike counts, not spike times: no histogram.");
  const end = found.start_s + found.bin_s * found.rates_hz.length;
  const x = (s) => LEFT + ((WIDTH - LEFT - 6) * (s - found.start_s)) / (end - found.start_s);
  const most = Math.max(...found.rates_hz, ...found.reference_hz, 1);
  const y = (rate) => HEIGHT - BOTTOM - ((HEIGHT - BOTTOM - 12) * rate) / most;
  const raster = 4 * found.raster.length + 16;
  const picture = svg("svg", { class: "psth", viewBox: `0 0 ${WIDTH} ${HEIGHT + raster}`, role: "img", "aria-label": describe(found, most) },
    windowOf(session.about.response_window_s, x), bars(found, x, y), outline(found, x, y),
    svg("line", { class: "onset", x1: x(0), x2: x(0), y1: 8, y2: HEIGHT + raster }), ticks(found, x), ...labels(found, end, x, y, most));
  return [picture, h("p", { className: "note" }, `${found.n} ${found.n === 1 ? "presentation" : "presentations"}, ${found.bin_s * 1000} ms bins. Grey: response window. Dashed: reference images. Below: a line a presentation.`)];
}

function describe(found, most) {
  return `Histogram of ${found.n} presentations, peak ${digits(most)} spikes per second`;
}

function windowOf([start, end], x) {
  return svg("rect", { class: "window", x: x(start), width: x(end) - x(start), y: 8, height: HEIGHT - BOTTOM - 8 });
}

function bars(found, x, y) {
  const bar = (rate, place) => `M${x(found.start_s + place * found.bin_s)} ${y(0)}V${y(rate)}H${x(found.start_s + (place + 1) * found.bin_s) - 0.7}V${y(0)}Z`;
  return svg("path", { class: "bars", d: found.rates_hz.map(bar).join("") });
}

function outline(found, x, y) {
  const step = (rate, place) => `${place ? "L" : "M"}${x(found.start_s + place * found.bin_s)} ${y(rate)}H${x(found.start_s + (place + 1) * found.bin_s)}`;
  return svg("path", { class: "ref", d: found.reference_hz.map(step).join("") });
}

function ticks(found, x) {
  const row = (times, place) => times.map((time) => `M${x(time)} ${HEIGHT + 8 + 4 * place}v3`).join("");
  return svg("path", { class: "ticks", d: found.raster.map(row).join("") });
}

function labels(found, end, x, y, most) {
  const text = (at, words, anchor = "middle") => {
    const element = svg("text", { x: at[0], y: at[1], "text-anchor": anchor });
    element.textContent = words;
    return element;
  };
  const marks = [];
  for (let ms = Math.ceil(found.start_s * 10) * 100; ms / 1000 < end - 0.02; ms += 100) marks.push(text([x(ms / 1000), HEIGHT - 5], ms ? `${ms}` : "onset"));
  return [...marks, text([LEFT - 6, y(most) + 4], digits(most), "end"), text([LEFT - 6, y(0)], "0 sp/s", "end")];
}
