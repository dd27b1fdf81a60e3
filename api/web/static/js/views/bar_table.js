// The newest bars in numbers: for those who cannot see the chart, and for those who want to know exactly.

import { isRevised } from "../bars.js";
import { byId, el, setAttribute, setText } from "../dom.js";
import * as format from "../format.js";

const ROWS = 30;
const CLASSES = ["", "", "n", "n", "n", "n", "n", "n wide", "n wide", "n wide", "n wide"];

/** live, final or revised, in words; what grows is not live while the connection is lost. */
export function stateOf(bar, isLost) {
  if (!bar.final) return isLost ? "not live" : "live";
  return isRevised(bar) ? "revised" : "final";
}

export class BarTable {
  #rows = [];

  write(bars, interval, decimals, isLost) {
    const body = byId("bars").tBodies[0];
    const shown = bars.slice(-ROWS).reverse();
    while (this.#rows.length < shown.length) {
      const cells = CLASSES.map((name) => el("td", { class: name }));
      const row = el("tr", {}, ...cells);
      body.append(row);
      this.#rows.push({ row, cells });
    }
    this.#rows.forEach(({ row, cells }, index) => {
      const bar = shown[index];
      row.hidden = !bar;
      if (!bar) return;
      const state = stateOf(bar, isLost);
      const price = (value) => format.price(value, decimals);
      const texts = [
        format.barStart(bar.time, interval), state, price(bar.open), price(bar.high), price(bar.low), price(bar.close),
        format.amount(bar.volume), price(bar.vwap), format.count(bar.trades), format.share(bar.quality), String(bar.version),
      ];
      cells.forEach((cell, column) => setText(cell, texts[column]));
      setAttribute(row, "data-state", state);
      setAttribute(row, "data-start", bar.start);
      setAttribute(row, "title", isRevised(bar) ? `${bar.late_trades} of its trades came when it was final already` : null);
    });
  }
}
