// Bid and ask, the day, and the price in the title of the symbol view.

import { byId, setDirection, setPairs, setText } from "../dom.js";
import * as format from "../format.js";

export class QuotePanel {
  #quote = null; // bid and ask: of REST or live, the newer
  #snapshot = null; // of REST: provider, …
  #previousClose = null; // of the day before #day
  #day = null;
  #last = null; // {price, time}

  clear() {
    this.#quote = this.#snapshot = this.#previousClose = this.#day = this.#last = null;
  }

  get price() {
    return this.#last?.price ?? null;
  }

  takeSnapshot(snapshot) {
    this.#snapshot = snapshot;
    // One that was asked for before midnight may come after the first bar of the new day.
    const isOfBefore = this.#day && snapshot.day && snapshot.day.start < this.#day.start;
    if (!isOfBefore) this.#previousClose = snapshot.previous_close;
    if (snapshot.quote_time) this.takeQuote({ ...snapshot, event_time: snapshot.quote_time });
    if (snapshot.day) this.takeDay({ ...snapshot.day, version: -1 });
    if (snapshot.last_price !== null) {
      this.takePrice(snapshot.last_price, snapshot.last_time ? Date.parse(snapshot.last_time) : 0);
    }
  }

  takeQuote(quote) {
    if (this.#quote && this.#quote.event_time > quote.event_time) return;
    this.#quote = quote;
  }

  takeDay(bar) {
    const held = this.#day;
    if (held && (held.start > bar.start || (held.start === bar.start && held.version > bar.version))) return;
    // Another day begins while the page is open: the one before it is over.
    if (held && held.start < bar.start && held.close !== null) this.#previousClose = held.close;
    this.#day = bar;
  }

  /** `time` in ms; an older one changes nothing. */
  takePrice(price, time) {
    if (price === null || (this.#last && this.#last.time > time)) return;
    this.#last = { price, time };
  }

  /** The last trade was taken back: what REST says next is the price. */
  forgetPrice() {
    this.#last = null;
  }

  write(now, decimals) {
    const quote = this.#quote;
    const price = this.price;
    const previous = this.#previousClose;
    const change = price !== null && previous !== null ? price - previous : null;
    const changed = byId("symbol-change");
    setText(byId("symbol-price"), format.price(price, decimals));
    setText(
      changed,
      change === null ? "no previous close" : `${format.signed(change, decimals)}  ${format.percent((change / previous) * 100)}`,
    );
    setDirection(changed, change);
    setText(byId("bid"), format.price(quote?.bid, decimals));
    setText(byId("ask"), format.price(quote?.ask, decimals));
    setText(byId("bid-size"), `× ${format.amount(quote?.bid_size)}`);
    setText(byId("ask-size"), `× ${format.amount(quote?.ask_size)}`);
    const spread = quote ? quote.ask - quote.bid : null;
    setText(byId("spread"), format.price(spread, decimals));
    setDirection(byId("spread"), spread < 0 ? -1 : 0);
    const points = spread === null ? null : (spread / ((quote.ask + quote.bid) / 2)) * 10_000;
    setText(byId("spread-bps"), spread < 0 ? "crossed" : points === null ? "–" : `${points.toFixed(1)} bp`);
    this.#writeDay(decimals, now);
  }

  #writeDay(decimals, now) {
    const day = this.#day;
    const price = (value) => format.price(value, decimals);
    const quotedAt = this.#quote ? Date.parse(this.#quote.event_time) : null;
    const newest = Math.max(quotedAt ?? 0, this.#last?.time ?? 0);
    setPairs(byId("day"), [
      ["Open", price(day?.open)],
      ["Prev. close", price(this.#previousClose)],
      ["High", price(day?.high)],
      ["Low", price(day?.low)],
      ["Volume", format.amount(day?.volume)],
      ["Trades", format.count(day?.trades)],
      ["Day VWAP", price(day?.vwap)],
      ["Age", format.age(newest ? Math.max(0, (now - newest) / 1000) : null)],
      ["Source", this.#snapshot?.source ?? "–"],
      ["Delayed", this.#snapshot?.delayed === true ? "yes" : this.#snapshot?.delayed === false ? "no" : "–"],
    ]);
  }
}
