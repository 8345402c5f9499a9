// What stands here is old: this page hears nothing of its own server. Said above all else, for as long as it lasts.

import { byId, h, refill, say, shape } from "../dom.js";
import { brief, clock } from "../format.js";

export function lostPanel(session) {
  const element = byId("page-alarm");
  delete element.dataset.holds; // it was emptied with the view before
  return {
    update() {
      const { standing } = session;
      const ended = standing?.state === "ended";
      refill(element, [session.lost, ended], () => (session.lost ? banner(session.name, ended) : []));
      const since = element.querySelector(".since");
      if (since) say(since.lastChild, standing ? `${clock(standing.now)}, ${brief(session.now - standing.now)} ago` : "nothing was heard yet");
    },
  };
}

function banner(name, ended) {
  const part = (title, text, className) => h("p", { className }, h("small", {}, title), text);
  const [consequence, todo] = ended
    ? ["the session has ended, and all of it stands here", `nothing; to look at it another time: xdream status ${name}.xdream`]
    : ["what stands here is old; the session itself is not touched by this", "nothing: it comes back by itself. Else start xdream status again."];
  return [h("span", { className: "shape" }, shape("unattended")), part("WHAT", "this page has lost its own server", "what"),
    part("SINCE", " ", "since"), part("CONSEQUENCE", consequence, "consequence"), part("DO", todo, "do")];
}
