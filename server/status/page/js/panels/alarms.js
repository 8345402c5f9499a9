// What is wrong at this moment: WHAT - SINCE - CONSEQUENCE - DO.

import { byId, h, refill, say, shape } from "../dom.js";
import { brief, clock } from "../format.js";

export function alarmsPanel(session) {
  const element = byId("alarms");
  return {
    update() {
      const alarms = [...session.standing.alarms, ...unattended(session)];
      refill(element, alarms, () => alarms.map(banner));
      for (const [place, since] of element.querySelectorAll(".since").entries())
        say(since.lastChild, `${clock(alarms[place].at)}, ${brief(session.now - alarms[place].at)} ago`);
    },
  };
}

function banner(alarm) {
  const part = (title, name, text) => h("p", { className: name }, h("small", {}, title), text);
  return h("div", { className: alarm.stops === false ? "alarm warning" : "alarm", "data-key": alarm.key },
    h("span", { className: "shape" }, shape("suspended")),
    part("WHAT", "what", alarm.what),
    part("SINCE", "since", " "),
    part("CONSEQUENCE", "consequence", alarm.consequence),
    part("DO", "do", alarm.do));
}

function unattended(session) {
  if (session.state !== "unattended") return [];
  return [{
    key: "unattended",
    at: session.standing.changed_at,
    what: "no server runs this session, or none that this page can reach",
    consequence: "nothing is shown and nobody here can pause; all that was measured is in the file",
    do: `look at the server's terminal; go on with: xdream resume ${session.name}.xdream`,
  }];
}
