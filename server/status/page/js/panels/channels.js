// How every channel does, sortable; the one that is chosen shows its spikes.

import { ask, sessionPath } from "../api.js";
import { byId, h, refill } from "../dom.js";
import { digits, signed } from "../format.js";
import { sparkline } from "../sparkline.js";

const AGAIN_MS = 2000; // at most so often, however fast generations are
const COLUMNS = [["channel", "Channel"], ["rate_hz", "Rate, sp/s"], ["baseline_hz", "Baseline, sp/s"], ["change_hz", "Since gen 1"], ["reliability", "Reliability"]];
export const chosenChannel = { channel: 0, listeners: new Set() };

export function channelsPanel(session) {
  const table = byId("channels");
  const order = { by: "channel", up: true };
  let [channels, known, asked, chosen] = [[], -1, 0, false];
  const draw = () => refill(table, [channels, order, chosenChannel.channel], () => [head(order, draw), h("tbody", {}, sorted(channels, order).map((each) => row(each, draw)))]);
  chosenChannel.channel = first(session);
  return {
    async update() {
      // A page that was opened before the acquisition side had joined did not know the channels yet.
      if (!chosen && session.about.channels.length) [chosen, chosenChannel.channel] = [true, first(session)];
      if (known === session.nScored || Date.now() - asked < AGAIN_MS) return;
      [known, asked] = [session.nScored, Date.now()];
      channels = await everyChannel(session).catch(() => channels);
      draw();
    },
  };
}

// The evolution that scores a channel: what is told of the channel is how it answers to that one's images.
export function evolutionOf(session, channel) {
  const name = session.about.channels[channel];
  return (session.about.evolutions.find((each) => each.channels.includes(name)) ?? session.about.evolutions[0]).number;
}

async function everyChannel(session) {
  const of = {};
  for (const number of new Set(session.about.channels.map((_, channel) => evolutionOf(session, channel))))
    of[number] = await ask(`${sessionPath(session.name)}/channels?evolution=${number}`);
  return session.about.channels.map((_, channel) => of[evolutionOf(session, channel)][channel]);
}

function first(session) {
  const [name] = session.about.evolutions[0].channels;
  return Math.max(0, session.about.channels.indexOf(name));
}

function head(order, draw) {
  const cell = ([by, title]) => h("th", { scope: "col", "aria-sort": order.by === by ? (order.up ? "ascending" : "descending") : "none" },
    h("button", { onclick: () => { Object.assign(order, { by, up: order.by === by ? !order.up : by === "channel" }); draw(); } },
      `${title}${order.by === by ? (order.up ? " ▴" : " ▾") : ""}`));
  return h("thead", {}, h("tr", {}, COLUMNS.map(cell), h("th", { scope: "col" }, "Last generations")));
}

function sorted(channels, { by, up }) {
  return channels.toSorted((a, b) => (up ? 1 : -1) * ((a[by] ?? -Infinity) - (b[by] ?? -Infinity)));
}

function row(each, draw) {
  const choose = () => {
    chosenChannel.channel = each.channel;
    chosenChannel.listeners.forEach((listener) => listener());
    draw();
  };
  const selected = each.channel === chosenChannel.channel;
  const star = each.scored.length ? " ★" : "";
  return h("tr", { "aria-selected": String(selected) },
    h("th", { scope: "row" }, h("button", { "aria-pressed": String(selected), "aria-label": `${each.name}${star ? ", scored" : ""}`, onclick: choose }, each.name + star)),
    h("td", {}, digits(each.rate_hz)), h("td", {}, digits(each.baseline_hz)), h("td", {}, each.change_hz === null ? "–" : signed(each.change_hz)),
    h("td", {}, each.reliability === null ? "–" : each.reliability.toFixed(2)), h("td", {}, sparkline(each.history_hz)));
}
