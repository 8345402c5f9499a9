// One session: its panels, each filled anew when something was told that it shows.

import { ask, sessionPath } from "./api.js";
import { show } from "./dom.js";
import { listen } from "./keys.js";
import { Live } from "./live.js";
import { Session } from "./session.js";
import { watchAlarms } from "./sound.js";
import { accountingPanel } from "./panels/accounting.js";
import { alarmsPanel } from "./panels/alarms.js";
import { bestPanel } from "./panels/best.js";
import { browserPanel } from "./panels/browser.js";
import { channelsPanel } from "./panels/channels.js";
import { controlsPanel } from "./panels/controls.js";
import { curvesPanel } from "./panels/curves.js";
import { headerPanel } from "./panels/header.js";
import { linksPanel } from "./panels/links.js";
import { logPanel } from "./panels/log.js";
import { lostPanel } from "./panels/lost.js";
import { nowPanel } from "./panels/now.js";
import { spikesPanel } from "./panels/spikes.js";
import { timingPanel } from "./panels/timing.js";

const AGES_MS = 500; // ages grow although nothing is told
const PANELS = [
  headerPanel, controlsPanel, linksPanel, alarmsPanel, curvesPanel, nowPanel, bestPanel, accountingPanel, timingPanel,
  browserPanel, spikesPanel, channelsPanel, logPanel,
];

export async function openSession(name, role) {
  const path = sessionPath(name);
  const session = new Session(await ask(path), role);
  document.title = session.name;
  show("session-view");
  const panels = PANELS.map((panel) => panel(session));
  const lost = lostPanel(session);
  let asked = 0;
  const draw = () => {
    asked = 0;
    lost.update();
    if (session.standing) for (const panel of panels) panel.update();
  };
  const soon = () => (asked ||= requestAnimationFrame(draw));
  const sounds = watchAlarms();
  const live = new Live(path, {
    event: async (event) => {
      session.lost = false;
      session.take(event);
      sounds(session);
      soon();
      const changed = event.log.some((line) => line.key.startsWith("changed-"));
      if (changed || !session.about.channels.length) session.describe(await ask(path).catch(() => session.about));
    },
    lost: () => {
      session.lost = true;
      soon();
    },
    back: () => {
      session.lost = false;
      soon();
    },
  });
  const timer = setInterval(soon, AGES_MS);
  const deaf = listen(session);
  return () => {
    live.close();
    clearInterval(timer);
    deaf();
    for (const panel of panels) panel.close?.();
  };
}
