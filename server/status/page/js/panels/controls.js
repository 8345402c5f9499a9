// The buttons of an operator. A press is a wish: it is asked, on record, and done when the loop says so.

import { byId, h, refill } from "../dom.js";
import { act, wishes } from "../acting.js";
import { changeDialog } from "../change.js";
import { drillDialog } from "../drill.js";
import { question } from "../question.js";

const ASKING = {
  stop: "Stop after this generation? It is finished and scored first; the session can be resumed later.",
  end: "End now? What was shown is still measured; the session can be resumed later, inside this generation.",
};

export function controlsPanel(session) {
  const element = byId("controls");
  const press = (action) => async () => {
    if (action === "change") return changeDialog(session);
    if (action === "drill") return drillDialog(session);
    if (action === "pause" && wishes.pending("pause")) action = "pause_now";
    if (ASKING[action] && !(await question(ASKING[action], action === "stop" ? "Stop" : "End now"))) return;
    await act(session, { action });
  };
  return {
    update() {
      const found = buttons(session);
      refill(element, found, () => found.map(([action, text, off, kind]) =>
        h("button", { className: kind, disabled: off, "data-action": action, title: action === "drill" ? "let something go wrong" : `key ${action[0]}`, onclick: press(action) }, text)));
      wishes.settle(session);
    },
  };
}

function buttons(session) {
  const { standing, canAct } = session;
  if (session.role !== "operator" || standing.state === "ended") return [];
  const held = standing.alarms.some((alarm) => alarm.do.startsWith("press Resume"));
  // A session that waits for its peers, or is suspended, may be paused as well: then it is for somebody to let it go on.
  const paused = standing.state === "paused" || held || (standing.paused && ["waiting", "suspended"].includes(standing.state));
  const over = ["ending", "ended"].includes(standing.state);
  const off = !canAct || over;
  const begun = standing.last_trial > 0;
  const main = paused
    ? ["resume", begun || held ? "▶ Resume" : "▶ Start", off, "main"]
    : ["pause", wishes.pending("pause") ? "Pause now" : "❚❚ Pause", off, "main"];
  const drill = session.about.rehearsal ? [["drill", "Drill…", off, ""]] : [];
  return [main, ["stop", "■ Stop", off, ""], ["end", "End now", off, "grave"], ["change", "Change…", off, ""], ...drill];
}
