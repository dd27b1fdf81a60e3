// The newest trades of a symbol, and what became of them.

import { byId, setAttribute, setDirection, setText } from "../dom.js";
import { el } from "../dom.js";
import * as format from "../format.js";

const ROWS = 40;
const KEPT = 200;
const MOST_WAITING = 2 * KEPT; // a page in the background writes nothing for hours: older ones would not be shown

export class Tape {
  #trades = []; // newest first
  #waiting = []; // those that came since the last write, in their order
  #rows = [];
  #skipped = 0;

  clear() {
    this.#trades = [];
    this.#waiting = [];
    this.#skipped = 0;
  }

  /** A trade as it comes; it is put in its place when the list is written. */
  take(trade) {
    this.#waiting.push(trade);
    if (this.#waiting.length > MOST_WAITING) this.#waiting.splice(0, MOST_WAITING - KEPT);
  }

  /** Trades in any order; those that are there already are left out. */
  add(trades) {
    const known = new Set(this.#trades.map((each) => each.id));
    const news = trades.map(fromJson).filter((each) => !known.has(each.id));
    if (!news.length) return;
    this.#trades = [...news, ...this.#trades].sort((one, other) => other.time - one.time || other.sequence - one.sequence);
    this.#trades.length = Math.min(this.#trades.length, KEPT);
  }

  correct(correction) {
    this.add(this.#waiting.splice(0));
    const id = `${correction.source} ${correction.trade_id}`;
    const found = this.#trades.find((each) => each.id === id);
    if (!found) return;
    found.state = correction.kind === "cancel" ? "cancelled" : "corrected";
    if (correction.kind !== "cancel") {
      found.price = correction.price ?? found.price;
      found.size = correction.size ?? found.size;
    }
  }

  skip(count) {
    this.#skipped += count;
  }

  /** The newest trade that may set a price and was not taken back. */
  get last() {
    return this.#trades.find((each) => each.setsPrice && !each.state) ?? null;
  }

  write(decimals) {
    this.add(this.#waiting.splice(0));
    const body = byId("tape").tBodies[0];
    const shown = this.#trades.slice(0, ROWS);
    while (this.#rows.length < shown.length) {
      const cells = [el("td"), el("td", { class: "n" }), el("td", { class: "n" })];
      const row = el("tr", {}, ...cells);
      body.append(row);
      this.#rows.push({ row, cells });
    }
    this.#rows.forEach(({ row, cells: [time, price, size] }, index) => {
      const trade = shown[index];
      row.hidden = !trade;
      if (!trade) return;
      const before = this.#trades[index + 1];
      setText(time, format.clockTime(trade.time, 3));
      setText(price, format.price(trade.price, decimals));
      setText(size, format.amount(trade.size));
      setDirection(price, before ? trade.price - before.price : 0);
      setAttribute(row, "data-state", trade.state);
      setAttribute(row, "title", trade.state || (trade.conditions.length ? `conditions ${trade.conditions.join(" ")}` : null));
    });
    const none = shown.length ? "" : "none yet";
    setText(byId("tape-hint"), this.#skipped ? `${format.count(this.#skipped)} skipped: they came too fast` : none);
  }
}

function fromJson(trade) {
  return {
    id: `${trade.source} ${trade.trade_id}`,
    time: Date.parse(trade.event_time),
    sequence: trade.sequence,
    price: trade.price,
    size: trade.size,
    setsPrice: trade.updates_open_close,
    conditions: trade.conditions ?? [],
    state: null,
  };
}
