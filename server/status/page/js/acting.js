// What this page asks for, and what became of it. Each wish has an id of its own: said twice, it is done once.

import { Refusal, send, sessionPath } from "./api.js";
import { byId, say } from "./dom.js";
import { clock } from "./format.js";

const KEY = "xdream-author";
const page = crypto.getRandomValues(new Uint32Array(2)).reduce((text, n) => text + n.toString(36), "p");
const TRIES = 3;
const DONE = { pause: "paused", pause_now: "paused", resume: "running", stop: "ended", end: "ended" };
const NAMES = { pause: "Pause at the end of the trial", pause_now: "Pause now", resume: "Resume", stop: "Stop after this generation", end: "End now", note: "Note", mark: "Mark", change: "Change from the next generation on", drill: "Fire drill" };
let sequence = 0;

export const author = () => localStorage.getItem(KEY) ?? "";
export const setAuthor = (name) => localStorage.setItem(KEY, name);

class Wishes {
  #last = null;

  begin(asked) {
    this.#last = { ...asked, at: Date.now() / 1000, stage: "asked" };
    this.#say();
  }

  stage(id, stage) {
    if (this.#last?.control_id !== id) return;
    this.#last.stage = stage;
    this.#say();
  }

  pending(action) {
    return this.#last?.action === action && ["asked", "on record", "passed on"].includes(this.#last.stage);
  }

  // What the loop did is what counts: the line of the log, then the state that was asked for.
  settle(session) {
    const last = this.#last;
    if (!last || /^(not )?done/.test(last.stage)) return;
    if (session.log.has(`control-${last.control_id}`) && ["asked", "passed on"].includes(last.stage)) this.stage(last.control_id, "on record");
    const { state } = session.standing;
    if (last.action === "change") return this.#settleChange(session, last);
    const troubled = ["waiting", "suspended"].includes(state) && ["pause", "pause_now", "resume"].includes(last.action);
    const done = troubled ? session.standing.paused === (DONE[last.action] === "paused") : state === DONE[last.action];
    if (last.stage === "on record" && (!DONE[last.action] || done)) this.stage(last.control_id, "done");
  }

  // A change is done when it holds, which is from the next generation on, or not done when it was refused.
  #settleChange(session, { control_id: id }) {
    const became = session.log.get(`changed-${id}`)?.what;
    if (became) this.stage(id, `${became.includes("refused") ? "not done" : "done"}: ${became}`);
  }

  #say() {
    const { action, at, stage } = this.#last;
    say(byId("asked") ?? document.body.appendChild(document.createElement("p")), `${NAMES[action]}: asked at ${clock(at)}, ${stage}.`);
  }
}

export const wishes = new Wishes();

// Ask for something, again if the page server does not answer; return whether it was taken.
export async function act(session, wish) {
  sequence += 1;
  const asked = { control_id: `${page}-${sequence}`.padEnd(8, "0"), sequence, author: author(), ...wish };
  wishes.begin(asked);
  for (let tries = 1; ; tries += 1) {
    try {
      const { state } = await send(`${sessionPath(session.name)}/controls`, asked);
      wishes.stage(asked.control_id, state);
      return true;
    } catch (error) {
      if (!(error instanceof Refusal) && tries < TRIES) continue;
      wishes.stage(asked.control_id, `not done: ${error.message.replace(/\.$/, "")}`);
      return false;
    }
  }
}
