// What became of every presentation: shown, scored, void and why, still owed; and how the screen kept time.

import { byId, h, refill } from "../dom.js";
import { cause, count } from "../format.js";

export function accountingPanel(session) {
  const element = byId("accounting");
  return {
    update() {
      const { shown, measured, voids, debt, frames } = session.standing;
      refill(element, [shown, measured, voids, debt, frames], () => [totals(shown, measured, voids, debt), causes(voids), screen(frames)]);
    },
  };
}

function totals(shown, measured, voids, debt) {
  const nVoid = Object.values(voids).reduce((sum, n) => sum + n, 0);
  const pair = (title, value) => h("div", {}, h("dt", {}, title), h("dd", {}, count(value)));
  return h("dl", { className: "totals" }, pair("shown", shown), pair("scored", measured), pair("void", nVoid), pair("owed now", debt));
}

function screen({ n, n_long: nLong, longest_s: longestS, n_rewards: nRewards }) {
  const longest = longestS === null ? "" : `, the longest ${(1000 * longestS).toFixed(1)} ms`;
  const rewards = nRewards ? ` ${count(nRewards)} rewards.` : "";
  return h("p", { className: "note" }, `${count(n)} frames on screen, ${count(nLong)} of them long${longest}.${rewards}`);
}

function causes(voids) {
  const found = Object.entries(voids).sort((a, b) => b[1] - a[1]);
  const most = Math.max(...found.map(([, n]) => n));
  if (!found.length) return h("p", { className: "note" }, "None was void.");
  return h("ul", { className: "voids" }, found.map(([name, n]) => {
    const meter = h("i");
    meter.style.width = `${(100 * n) / most}%`;
    return h("li", {}, h("span", {}, cause(name)), h("span", { className: "numbers" }, count(n)), h("span", { className: "meter", "aria-hidden": "true" }, meter));
  }));
}
