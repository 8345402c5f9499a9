// The state in a word, a shape and a colour; how far the session is.

import { byId, h, refill, say, shape } from "../dom.js";
import { span } from "../format.js";

export function headerPanel(session) {
  const [state, progress] = [byId("state"), byId("progress")];
  say(byId("title"), session.about.subject ? `${session.about.subject} · ${session.name}` : session.name);
  return {
    update() {
      const { standing, state: name } = session;
      byId("bar").dataset.state = name;
      refill(state.querySelector(".shape"), name, () => shape(name));
      say(state.querySelector(".word"), name);
      state.title = standing.why;
      refill(progress, facts(session), () => facts(session).map(([text, value]) => h("span", {}, ` ${text} `, h("b", {}, value), " ")));
      document.title = `${name} · ${session.name}`;
    },
  };
}

function facts(session) {
  const { standing, about } = session;
  const end = standing.state === "ended" ? standing.since : session.now;
  const found = about.evolutions.map((each) => {
    const open = standing.open.find((row) => row.evolution === each.number);
    const generation = open?.generation ?? session.last(each.number)?.generation ?? 0;
    return [about.evolutions.length > 1 ? `${each.name}: gen` : "gen", each.generations ? `${generation}/${each.generations}` : `${generation}`];
  });
  found.push(["trial", `${standing.last_trial}`], ["", span(end - about.created_at)]);
  return found;
}
