// The best images so far beside the best reference images, with what they scored.

import { byId, h, refill } from "../dom.js";
import { score, UNITS } from "../format.js";
import { thumb } from "./now.js";

export function bestPanel(session) {
  const element = byId("best");
  return {
    update() {
      const { best, best_references: references } = session.standing;
      refill(element, [best, references], () => session.about.evolutions.flatMap((each) => rows(session, each, best[each.number], references[each.number])));
    },
  };
}

function rows(session, evolution, best, references) {
  const unit = evolution.unit ? `, ${UNITS[evolution.unit].trim()}` : "";
  const several = session.about.evolutions.length > 1 ? `${evolution.name}: ` : "";
  const row = (title, images) => [
    h("h3", {}, several + title),
    images?.length ? h("div", { className: "row" }, images.map((each) => thumb(session, each.stimulus_id, score(each.score, evolution.unit)))) : h("p", { className: "note" }, "none scored yet"),
  ];
  return [
    ...row(`evolved, best of different generations${unit}`, best),
    ...(best?.length ? [h("p", { className: "note" }, "As measured: the highest scores are partly luck. What the search recommends is another picture: xdream recommend.")] : []),
    ...(session.about.references.length ? row(`reference images, mean of all generations${unit}`, references) : []),
  ];
}
