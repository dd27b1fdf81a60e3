// The line above the chart: the bar under the pointer, or the newest.

import { byId, el, setAttribute, setText } from "../dom.js";
import * as format from "../format.js";
import { stateOf } from "./bar_table.js";

export class Legend {
  #theme;
  #parts = new Map();

  constructor(theme) {
    this.#theme = theme;
  }

  write(bar, interval, indicators, decimals, isLost) {
    const box = byId("legend");
    box.hidden = !bar;
    if (!bar) return;
    const price = (value) => format.price(value, decimals);
    const state = stateOf(bar, isLost);
    const shown = [
      ["start", "", `${format.barStart(bar.time, interval)}${interval === "1d" ? "" : " UTC"}`],
      ["state", "", state],
      ["O", "O", price(bar.open)],
      ["H", "H", price(bar.high)],
      ["L", "L", price(bar.low)],
      ["C", "C", price(bar.close)],
      ["V", "V", format.amount(bar.volume)],
    ];
    if ((bar.observed ?? 1) < 1) shown.push(["observed", "observed", format.share(bar.observed)]);
    // A group of lines in one entry: what lies over the candles, then what has a pane of its own.
    for (const [group, lines] of entries(indicators)) {
      const [{ label, colour, pane }] = lines;
      const known = lines.filter(({ name }) => bar.indicators[name] !== undefined);
      const values = known.map((line) => written(bar.indicators[line.name], line, decimals));
      if (values.length) shown.push([group, label, values.join(pane === "price" ? " – " : " / "), colour, pane]);
    }
    for (const [id, part] of this.#parts) {
      if (!shown.some(([name]) => name === id)) {
        part.remove();
        this.#parts.delete(id);
      }
    }
    for (const [id, label, text, colour, pane] of shown) {
      this.#write(box, id, label, text, colour);
      setAttribute(this.#parts.get(id), "data-below", pane !== undefined && pane !== "price");
    }
    setAttribute(this.#parts.get("state"), "data-state", state);
  }

  #write(box, id, label, text, colour) {
    let part = this.#parts.get(id);
    if (!part) {
      part = el("span", {}, el("i", { text: label }), el("b"));
      this.#parts.set(id, part);
      box.append(part);
    }
    if (colour) part.firstChild.style.color = this.#theme.colour(colour);
    setText(part.lastChild, text);
  }
}

/** By group: without the middle of a band and the difference of two lines, which the others tell. */
function entries(indicators) {
  const groups = new Map();
  for (const each of indicators) {
    if (each.draw.dashed || each.draw.kind === "histogram") continue;
    if (!groups.has(each.group)) groups.set(each.group, []);
    groups.get(each.group).push(each);
  }
  for (const lines of groups.values()) lines.sort((one, other) => one.name.localeCompare(other.name));
  return groups;
}

/** A value as the axis of its pane has it. */
function written(value, { pane, draw }, decimals) {
  if (draw.zones) return value.toFixed(1);
  return format.price(value, pane === "price" ? decimals : decimals + 1);
}
