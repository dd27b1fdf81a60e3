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

  write(bar, interval, indicators) {
    const box = byId("legend");
    box.hidden = !bar;
    if (!bar) return;
    const decimals = format.priceDecimals(bar.close);
    const price = (value) => format.price(value, decimals);
    const state = stateOf(bar);
    const shown = [
      ["start", "", format.barStart(bar.time, interval)],
      ["state", "", state],
      ["O", "O", price(bar.open)],
      ["H", "H", price(bar.high)],
      ["L", "L", price(bar.low)],
      ["C", "C", price(bar.close)],
      ["V", "V", format.amount(bar.volume)],
    ];
    if ((bar.observed ?? 1) < 1) shown.push(["observed", "observed", format.share(bar.observed)]);
    // What lies over the candles, a group of lines in one entry; the panes below name theirs.
    for (const [group, lines] of overlays(indicators)) {
      const values = lines.map(({ name }) => bar.indicators[name]).filter((value) => value !== undefined);
      if (values.length) shown.push([group, lines[0].label, values.map(price).join(" – "), lines[0].colour]);
    }
    for (const [id, part] of this.#parts) {
      if (!shown.some(([name]) => name === id)) {
        part.remove();
        this.#parts.delete(id);
      }
    }
    for (const [id, label, text, colour] of shown) this.#write(box, id, label, text, colour);
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

function overlays(indicators) {
  const groups = new Map();
  for (const each of indicators) {
    if (each.pane !== "price" || each.draw.dashed) continue;
    if (!groups.has(each.group)) groups.set(each.group, []);
    groups.get(each.group).push(each);
  }
  for (const lines of groups.values()) lines.sort((one, other) => one.name.localeCompare(other.name));
  return groups;
}
