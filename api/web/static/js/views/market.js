// The market overview: a row for each symbol, from one request and then from its live 1m bars.

import { byId, el, setAttribute, setChildren, setDirection, setText } from "../dom.js";
import * as format from "../format.js";
import { batched } from "../frame.js";
import { symbolAddress } from "../router.js";
import { drawSparkline, makeSparkline } from "../sparkline.js";
import { keyOf } from "../subscription.js";
import { AlertList } from "./alert_list.js";

const REFRESH_MS = 10_000;
const GATHER_MS = 250;
const WRITE_MS = 200;
const UNSEEN_ROWS = 25; // rows out of sight that are written in one frame
const MINUTE_MS = 60_000;
const SUMMARY_LAG_MS = 2_000; // what REST says may be older than its answer by so much
const POINTS = 60;
const ALERTS = 8;
const SORTED = `Sorts by it. Rows do not jump with every price: their order is made anew every ${REFRESH_MS / 1000} s.`;

/** [id, heading, what it is sorted by, classes]. */
const COLUMNS = [
  ["symbol", "Symbol", (row) => row.symbol, ""],
  ["price", "Price", (row) => row.price, "n"],
  ["change", "Change", (row) => row.change, "n wide"],
  ["percent", "Change %", (row) => row.percent, "n"],
  ["spark", "Last hour", null, "spark-cell"],
  ["low", "Low", (row) => row.low, "n wide"],
  ["high", "High", (row) => row.high, "n wide"],
  ["volume", "Volume", (row) => row.volume, "n middle"],
  ["quality", "Quality", (row) => row.quality, "n wide"],
  ["age", "Age", (row) => (row.time ? -row.time : null), "n middle"],
];

export class MarketView {
  #api;
  #socket;
  #onSymbols;
  #rows = new Map(); // symbol -> Row
  #order = [];
  #sort = { column: "symbol", descending: false };
  #dirty = new Set();
  #visible = new Set();
  #stop = null;
  #alerts;
  #perSecond = null;
  #write = batched(() => this.#flush(), WRITE_MS);
  #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "200px" });

  constructor(api, socket, onSymbols) {
    this.#api = api;
    this.#socket = socket;
    this.#onSymbols = onSymbols;
    this.#alerts = new AlertList(byId("market-alert-list"), api, socket, ALERTS);
    this.#makeHead();
    socket.on("candle", ({ data }) => this.#bar(data, true));
    socket.on("snapshot", ({ data }) => data.candles?.forEach((bar) => this.#bar(bar, false)));
    socket.on("resync", () => this.#stop && this.#load());
    socket.on("hello", () => this.#stop && this.#subscribe());
  }

  show() {
    this.#stop = new AbortController();
    this.#load();
    this.#alerts.open(null, this.#stop.signal);
    const timer = setInterval(() => this.#load(), REFRESH_MS);
    const ages = setInterval(() => this.#age(), 1000);
    this.#stop.signal.addEventListener("abort", () => {
      clearInterval(timer);
      clearInterval(ages);
    });
    this.#subscribe();
  }

  hide() {
    this.#stop?.abort();
    this.#stop = null;
    this.#socket.unwant("market");
  }

  get title() {
    return "Market";
  }

  /** Moves the focus from row to row. */
  move(step) {
    const links = [...byId("market").tBodies[0].querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step));
    links[next]?.focus();
  }

  async #load() {
    const { signal } = this.#stop;
    const { clock } = this.#socket;
    let asked = clock.now();
    const told = (error) => {
      asked = clock.now();
      this.#tell(error);
    };
    try {
      const summary = await this.#api.getPatiently("/market-summary", {}, signal, told);
      this.#take(summary, asked - SUMMARY_LAG_MS);
    } catch (error) {
      if (error.name !== "AbortError") this.#tell(error);
    }
  }

  #tell(error) {
    const note = byId("market-empty");
    note.hidden = !error || this.#rows.size > 0;
    setText(note, error ? `No market data: ${error.message}` : "");
  }

  /** `since`: what came live after that (ms) is newer than the summary. */
  #take(summary, since) {
    this.#tell(null);
    this.#perSecond = summary.totals?.trades_per_second ?? null;
    const minute = Math.floor(Date.parse(summary.time) / MINUTE_MS);
    for (const each of summary.symbols) {
      let row = this.#rows.get(each.symbol);
      if (!row) {
        row = new Row(each.symbol);
        this.#rows.set(each.symbol, row);
        this.#observer.observe(row.node);
      }
      row.take(each, minute, since);
      this.#dirty.add(row);
    }
    const names = new Set(summary.symbols.map((each) => each.symbol));
    for (const [symbol, row] of this.#rows) {
      if (names.has(symbol)) continue;
      this.#observer.unobserve(row.node);
      this.#rows.delete(symbol);
    }
    byId("market-empty").hidden = this.#rows.size > 0;
    byId("market-note").hidden = !this.#rows.size || [...this.#rows.values()].some((row) => row.change !== null);
    if (!this.#rows.size) setText(byId("market-empty"), "No symbol has a trade yet: as soon as one comes, it is here.");
    this.#onSymbols([...names].sort());
    this.#arrange();
    this.#subscribe();
    this.#write();
  }

  /** Live bars of every symbol, as far as one connection may have them; the rest is read every few seconds. */
  #subscribe() {
    if (!this.#stop) return;
    const symbols = this.#order.slice(0, this.#socket.maxSymbols - 1).map((row) => row.symbol).sort();
    this.#socket.want("market", symbols.map((symbol) => keyOf("candles", symbol, "1m")), GATHER_MS);
  }

  #bar(bar, isNews) {
    if (!this.#stop || bar.interval !== "1m") return;
    const row = this.#rows.get(bar.symbol);
    if (!row?.live(bar, this.#socket.clock.now(), isNews)) return;
    this.#dirty.add(row);
    this.#write();
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.#rows.get(target.dataset.symbol);
      if (!row) continue;
      if (isIntersecting) this.#visible.add(row);
      else this.#visible.delete(row);
    }
    this.#write();
  }

  /** What can be seen is written at once, the rest bit by bit. */
  #flush() {
    const now = this.#socket.clock.now();
    let unseen = 0;
    for (const row of this.#dirty) {
      if (!this.#visible.has(row) && (unseen += 1) > UNSEEN_ROWS) continue;
      row.write(now);
      this.#dirty.delete(row);
    }
    if (this.#dirty.size) this.#write();
    const rows = [...this.#rows.values()];
    const [up, down, stale] = [
      rows.filter((row) => row.change > 0).length,
      rows.filter((row) => row.change < 0).length,
      rows.filter((row) => row.stale).length,
    ];
    const beyond = rows.length - Math.min(rows.length, this.#socket.maxSymbols - 1);
    const facts = [`${rows.length} symbols`, `${up} up`, `${down} down`, `${stale} stale`];
    if (this.#perSecond !== null) facts.push(`${format.count(Math.round(this.#perSecond))} trades/s`);
    if (beyond) facts.push(`${beyond} of them every ${REFRESH_MS / 1000} s only`);
    setText(byId("market-facts"), rows.length ? facts.join(" · ") : "");
  }

  #age() {
    for (const row of this.#visible) this.#dirty.add(row);
    this.#write();
  }

  #makeHead() {
    const cells = COLUMNS.map(([id, heading, value, classes]) => {
      if (!value) return el("th", { scope: "col", class: classes, text: heading });
      const button = el("button", { type: "button", text: heading, title: SORTED, onclick: () => this.#sortBy(id) });
      return el("th", { scope: "col", class: classes, "data-column": id }, button);
    });
    byId("market").tHead.rows[0].replaceChildren(...cells);
    this.#nameSort();
  }

  #sortBy(column) {
    const same = this.#sort.column === column;
    this.#sort = { column, descending: same ? !this.#sort.descending : column !== "symbol" };
    this.#nameSort();
    this.#arrange();
  }

  #nameSort() {
    for (const cell of byId("market").tHead.rows[0].cells) {
      const sorted = cell.dataset.column === this.#sort.column;
      setAttribute(cell, "aria-sort", sorted ? (this.#sort.descending ? "descending" : "ascending") : null);
    }
  }

  #arrange() {
    const value = COLUMNS.find(([id]) => id === this.#sort.column)[2];
    const sign = this.#sort.descending ? -1 : 1;
    const unknown = (each) => each === null || each === undefined;
    this.#order = [...this.#rows.values()].sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (unknown(a) || unknown(b)) return unknown(a) - unknown(b) || one.symbol.localeCompare(other.symbol);
      return sign * (a < b ? -1 : a > b ? 1 : 0) || one.symbol.localeCompare(other.symbol);
    });
    setChildren(byId("market").tBodies[0], this.#order.map((row) => row.node));
  }
}

class Row {
  price = null;
  change = null;
  percent = null;
  stale = false;
  #previousClose = null;
  #precision = new format.Precision();
  #points = [];
  #minute = 0; // of the last point
  #version = -1; // of the newest bar
  #start = "";
  #trades = 0; // of that bar
  #heardAt = -Infinity; // when a version of it came live
  #shown = null;
  #tick = 0;

  constructor(symbol) {
    this.symbol = symbol;
    this.cells = Object.fromEntries(COLUMNS.map(([id, , , classes]) => [id, el(id === "symbol" ? "th" : "td", { class: classes })]));
    this.cells.symbol.scope = "row";
    this.tag = el("span", { class: "tag warn", text: "stale", hidden: true });
    this.cells.symbol.append(el("a", { href: symbolAddress(symbol), text: symbol }), this.tag);
    this.spark = makeSparkline();
    this.cells.spark.append(this.spark);
    this.node = el("tr", { "data-symbol": symbol }, ...Object.values(this.cells));
    this.node.addEventListener("click", ({ target }) => {
      if (!target.closest("a")) location.hash = symbolAddress(symbol);
    });
  }

  /** What /market-summary says, but for what a bar that came live after `since` has said already. */
  take(each, minute, since) {
    this.#previousClose = each.previous_close;
    this.high = each.high;
    this.low = each.low;
    this.volume = each.volume;
    this.quality = each.quality;
    if (this.#heardAt < since) {
      this.stale = each.stale;
      this.time = each.time ? Date.parse(each.time) : null; // of its last trade
      this.#become(each.price);
    } else this.#become(this.price);
    if (minute >= this.#minute) {
      this.#points = [...(each.sparkline ?? [])];
      this.#minute = minute;
    }
  }

  /** A version of its 1m bar: false where there is a newer one already. A snapshot is no news of a trade. */
  live(bar, now, isNews) {
    if (bar.start < this.#start || (bar.start === this.#start && bar.version <= this.#version)) return false;
    const before = bar.start === this.#start ? this.#trades : 0;
    this.#start = bar.start;
    this.#version = bar.version;
    this.#trades = bar.trades;
    if (bar.close === null) return false;
    if (isNews) this.#heardAt = now;
    // A bar that ends, or is corrected, has no new trade; and when the trades were that came with its end, REST knows.
    if (isNews && !bar.final && bar.trades > before) {
      this.time = Math.max(this.time ?? 0, Math.min(now, Date.parse(bar.end) - 1));
      this.stale = false;
    }
    this.quality = bar.quality;
    if (this.high !== null && bar.high > this.high) this.high = bar.high;
    if (this.low !== null && bar.low < this.low) this.low = bar.low;
    this.#become(bar.close);
    const minute = Math.floor(Date.parse(bar.start) / MINUTE_MS);
    if (minute > this.#minute) {
      this.#points.push(bar.close);
      if (this.#points.length > POINTS) this.#points.shift();
      this.#minute = minute;
    } else if (minute === this.#minute && this.#points.length) this.#points[this.#points.length - 1] = bar.close;
    return true;
  }

  #become(price) {
    this.price = price;
    const known = price !== null && this.#previousClose !== null && this.#previousClose !== undefined;
    this.change = known ? price - this.#previousClose : null;
    this.percent = known && this.#previousClose ? (this.change / this.#previousClose) * 100 : null;
  }

  write(now) {
    const { cells } = this;
    this.#precision.see(this.price, this.high, this.low, this.#previousClose, ...this.#points);
    const { decimals } = this.#precision;
    if (this.#shown !== null && this.price !== this.#shown) {
      this.#tick = 1 - this.#tick; // another name: the animation begins anew
      setAttribute(cells.price, "data-tick", `${this.price > this.#shown ? "up" : "down"}${this.#tick}`);
    }
    this.#shown = this.price;
    setText(cells.price, format.price(this.price, decimals));
    setText(cells.change, format.signed(this.change, decimals));
    setText(cells.percent, format.percent(this.percent));
    for (const id of ["change", "percent"]) setDirection(cells[id], this.change);
    setDirection(cells.spark, this.price - this.#points[0]);
    setText(cells.low, format.price(this.low, decimals));
    setText(cells.high, format.price(this.high, decimals));
    setText(cells.volume, format.amount(this.volume));
    setText(cells.quality, format.share(this.quality));
    setAttribute(cells.quality, "data-poor", this.quality !== null && this.quality < 0.98);
    setText(cells.age, format.age(this.time === null ? null : Math.max(0, (now - this.time) / 1000)));
    this.tag.hidden = !this.stale;
    setAttribute(this.node, "data-stale", this.stale);
    setAttribute(this.node, "data-bar", this.#start);
    setAttribute(this.node, "data-version", this.#version);
    drawSparkline(this.spark, this.#points, POINTS);
  }
}
