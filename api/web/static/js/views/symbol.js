// One symbol: chart, bars, quote, trades and its alerts.

import { ApiError } from "../api.js";
import { Bars, fromJson } from "../bars.js";
import { awaited, catalogue, groups, isShownAtFirst } from "../chart/catalogue.js";
import { PriceChart } from "../chart/price_chart.js";
import { byId, el, setAttribute, setText } from "../dom.js";
import { Precision } from "../format.js";
import { batched } from "../frame.js";
import { alertsAddress, stay, symbolAddress } from "../router.js";
import { ofBrowser } from "../storage.js";
import { keyOf } from "../subscription.js";
import { AlertList } from "./alert_list.js";
import { BarTable } from "./bar_table.js";
import { Legend } from "./legend.js";
import { QuotePanel } from "./quote_panel.js";
import { Tape } from "./tape.js";

export const INTERVALS = ["1m", "5m", "15m", "1h", "4h", "1d"];
const FIRST_PAGE = 300;
const NEXT_PAGE = 500;
const MOST_BARS = 20_000;
const TRADES = 50;
const ALERTS = 5;
const GATHER_MS = 50;
const TABLES_MS = 250;
const STALE_SECONDS = 30;
const PROVIDER_MS = 15_000; // bars of a provider come by REST alone
const QUOTE_MS = 30_000; // what of a quote does not come live: its provider, whether it is delayed
const CORRECTED_MS = 3_600_000; // longer than any horizon that makes sense
const MOST_CORRECTIONS = 1000;
const RECHECK_MS = 1500; // after a correction, until the storage has it
const PLACE = "tickstream.indicators";
const INTERVAL_PLACE = "tickstream.interval";
const NO_BARS = "No bars yet: the first one appears as soon as there is a trade.";
const NO_LIBRARY =
  "The chart library is missing on the server: pip install litecharts, then start the API again. The numbers below need no chart.";

export class SymbolView {
  symbol = null;
  interval = "1m";
  #api;
  #socket;
  #theme;
  #onName;
  #chart;
  #bars = new Bars();
  #precision = new Precision(); // of whatever price of the symbol has been seen
  #tape = new Tape();
  #quote = new QuotePanel();
  #table = new BarTable();
  #legend;
  #alerts;
  #indicators = []; // all there are
  #names = new Set(); // of everything that the bars carry, also what cannot be drawn
  #offered = ""; // what the menu has, as JSON
  #choices = readChoices();
  #hovered = null;
  #stop = null; // of the symbol
  #stopBars = null; // of the symbol and interval
  #older = { cursor: null, loading: false };
  #changed = new Map(); // bars that the chart has not been given yet, by their time
  #wrong = new Map(); // path -> why the request failed
  #waits = ""; // why there are no bars
  #recheck = null;
  #loadedAt = 0;
  #quotedAt = 0;
  #ages = null;
  #draw = batched(() => this.#drawChart());
  #write = batched(() => this.#writeTables(), TABLES_MS);

  /** `onName` hears by which name the symbol is known that was asked for. */
  constructor(api, socket, theme, onName) {
    this.#onName = onName;
    this.#api = api;
    this.#socket = socket;
    this.#theme = theme;
    this.#legend = new Legend(theme);
    this.#alerts = new AlertList(byId("symbol-alert-list"), api, socket, ALERTS);
    this.#chart = new PriceChart(byId("chart"), theme, {
      onHistory: () => this.#loadOlder(),
      onHover: (time) => {
        this.#hovered = time;
        this.#writeLegend();
      },
      onAway: (away) => {
        byId("to-now").hidden = !away;
      },
    });
    this.#makeIntervals();
    byId("to-now").addEventListener("click", () => this.toNow());
    document.addEventListener("pointerdown", ({ target }) => {
      if (!byId("indicator-menu").contains(target)) byId("indicator-menu").open = false;
    });
    theme.on("change", () => this.symbol && this.#rebuildChart({ keepRange: true }));
    socket.on("trade", ({ data }) => this.#trade(data));
    socket.on("correction", ({ data }) => this.#correction(data));
    socket.on("quote", ({ data }) => this.#takeQuote(data));
    socket.on("candle", ({ data }) => this.#bar(data));
    socket.on("snapshot", ({ symbol, data }) => this.#snapshot(symbol, data));
    socket.on("gap", ({ skipped }) => this.#gap(skipped));
    socket.on("resync", () => this.#resync());
    socket.on("state", () => {
      if (!this.symbol) return;
      this.#writeLegend();
      this.#write();
    });
  }

  get title() {
    const price = byId("symbol-price").textContent;
    return `${price === "–" ? "" : `${price} `}${this.symbol}`;
  }

  show({ symbol, parameters }) {
    const asked = parameters.get("interval");
    const interval = INTERVALS.includes(asked) ? asked : ofBrowser.get(INTERVAL_PLACE) ?? this.interval;
    const sameSymbol = symbol === this.symbol;
    this.symbol = symbol;
    this.interval = INTERVALS.includes(interval) ? interval : "1m";
    ofBrowser.set(INTERVAL_PLACE, this.interval);
    for (const input of byId("intervals").elements) if (input.name) input.checked = input.value === this.interval;
    this.#subscribe();
    if (!sameSymbol) this.#openSymbol();
    this.#openBars();
    this.#ages ??= setInterval(() => this.#age(), 1000);
  }

  hide() {
    this.#stop?.abort();
    this.#stopBars?.abort();
    clearInterval(this.#ages);
    this.#ages = null;
    this.#socket.unwant("symbol");
    this.#chart.clear();
    this.symbol = null;
  }

  chooseInterval(interval) {
    stay(symbolAddress(this.symbol, interval));
    this.show({ symbol: this.symbol, parameters: new URLSearchParams({ interval }) });
  }

  toNow() {
    this.#chart.toNow();
  }

  /** Towards older bars (-1) or newer ones (1), by half of what is seen. */
  scroll(direction) {
    this.#chart.scroll(direction / 2);
  }

  /** Whether there was one to close. */
  closeMenu() {
    const menu = byId("indicator-menu");
    if (!menu.open) return false;
    menu.open = false;
    menu.firstElementChild.focus();
    return true;
  }

  #age() {
    if (Date.now() - this.#quotedAt > QUOTE_MS) this.#loadQuote();
    this.#write();
  }

  #subscribe() {
    const { symbol, interval } = this;
    const intervals = new Set([interval, "1d"]);
    this.#socket.want(
      "symbol",
      [
        keyOf("trades", symbol),
        keyOf("quotes", symbol),
        ...[...intervals].map((each) => keyOf("candles", symbol, each)),
      ],
      GATHER_MS,
    );
  }

  #openSymbol() {
    this.#stop?.abort();
    this.#stop = new AbortController();
    this.#tape.clear();
    this.#quote.clear();
    this.#precision = new Precision();
    this.#wrong.clear();
    this.#writeName();
    this.#loadQuote();
    this.#loadTrades();
    this.#alerts.open(this.symbol, this.#stop.signal);
    this.#write();
  }

  #openBars() {
    this.#stopBars?.abort();
    this.#stopBars = new AbortController();
    this.#bars = new Bars();
    this.#chart.clear();
    this.#older = { cursor: null, loading: false };
    this.#changed.clear();
    this.#hovered = null;
    byId("to-now").hidden = true;
    this.#waits = "Loading …";
    this.#note();
    this.#loadNewest({ fresh: true });
  }

  /** What is read by REST while live messages come in: versions decide, so their order does not matter. */
  async #load(path, parameters, signal, take) {
    try {
      const answer = await this.#api.getPatiently(path, parameters, signal, (error) => this.#tell(path, error));
      if (signal.aborted) return;
      this.#tell(path, null);
      this.#call(answer.symbol);
      take(answer);
    } catch (error) {
      if (error instanceof ApiError) this.#tell(path, error);
      else if (error.name !== "AbortError") throw error;
    }
  }

  /** What is wrong with a request, until it succeeds; of several the last one is shown. */
  #tell(path, error) {
    const isNone = error?.code === "unknown_symbol" || error?.code === "invalid_symbol";
    this.#wrong.delete(path);
    if (error) this.#wrong.set(path, isNone ? `There is no symbol ${this.symbol} here.` : error.message);
    this.#note();
  }

  /** By the name that REST answers with, which live events have, too: BRK-B is BRK.B. */
  #call(name) {
    if (name === this.symbol) return;
    this.#socket.rename(this.symbol, name);
    this.symbol = name;
    stay(symbolAddress(name, this.interval));
    this.#writeName();
    this.#alerts.open(name, this.#stop.signal);
    this.#onName(name);
  }

  #writeName() {
    setText(byId("symbol-name"), this.symbol);
    byId("symbol-alerts").href = alertsAddress({ symbol: this.symbol });
  }

  #see(...prices) {
    this.#precision.see(...prices);
    this.#chart.decimals = this.#precision.decimals;
  }

  #seeBars(bars) {
    for (const bar of bars) this.#see(bar.open, bar.high, bar.low, bar.close);
  }

  #path(kind) {
    return `/${kind}/${encodeURIComponent(this.symbol)}`;
  }

  #loadNewest({ fresh }) {
    this.#loadedAt = Date.now();
    const parameters = { interval: this.interval, limit: FIRST_PAGE, include: "indicators" };
    return this.#load(this.#path("candles"), parameters, this.#stopBars.signal, ({ candles, next_cursor: cursor }) => {
      const bars = candles.map(fromJson);
      this.#seeBars(bars);
      const meets = bars.length ? this.#bars.replaceNewest(bars) : true;
      if (fresh || !meets) this.#older.cursor = cursor;
      this.#waits = NO_BARS;
      this.#note();
      this.#rebuildChart({ keepRange: !fresh });
      this.#write();
    });
  }

  async #loadOlder() {
    const older = this.#older;
    if (!older.cursor || older.loading || this.#bars.size >= MOST_BARS) return;
    older.loading = true;
    const parameters = { interval: this.interval, limit: NEXT_PAGE, include: "indicators", cursor: older.cursor };
    await this.#load(this.#path("candles"), parameters, this.#stopBars.signal, ({ candles, next_cursor: cursor }) => {
      older.cursor = cursor;
      this.#seeBars(candles);
      if (this.#bars.putAll(candles.map(fromJson))) {
        this.#changed.clear();
        this.#chart.set(this.#bars.all);
      }
    });
    older.loading = false;
  }

  #loadQuote() {
    this.#quotedAt = Date.now();
    this.#load(this.#path("quotes"), {}, this.#stop.signal, (quote) => {
      this.#see(quote.last_price, quote.bid, quote.ask, quote.previous_close);
      if (quote.day) this.#seeBars([quote.day]);
      this.#quote.takeSnapshot(quote);
      this.#write();
    });
  }

  #loadTrades() {
    this.#load(this.#path("trades"), { limit: TRADES }, this.#stop.signal, ({ trades }) => {
      this.#see(...trades.map((trade) => trade.price));
      this.#tape.add(trades);
      this.#write();
      if (trades.length) this.#loadCorrections(trades[trades.length - 1], trades[0]);
    });
  }

  /** What became of trades, which the storage has as they were first reported. */
  #loadCorrections(oldest, newest) {
    const to = new Date(Date.parse(newest.event_time) + CORRECTED_MS).toISOString();
    const parameters = { from: oldest.event_time, to, limit: MOST_CORRECTIONS };
    this.#load(this.#path("corrections"), parameters, this.#stop.signal, ({ corrections }) => {
      this.#see(...corrections.map((correction) => correction.price));
      corrections.reverse().forEach((correction) => this.#tape.correct(correction)); // the latest one counts
      this.#write();
    });
  }

  #snapshot(symbol, { trade, quote, candles }) {
    if (symbol !== this.symbol) return;
    if (trade) this.#trade(trade);
    if (quote) this.#takeQuote(quote);
    candles?.forEach((bar) => this.#bar(bar));
  }

  #trade(trade) {
    if (trade.symbol !== this.symbol) return;
    this.#see(trade.price);
    this.#tape.take(trade);
    if (trade.updates_open_close) this.#quote.takePrice(trade.price, Date.parse(trade.event_time));
    this.#write();
  }

  #correction(correction) {
    if (correction.symbol !== this.symbol) return;
    this.#see(correction.price);
    this.#tape.correct(correction);
    clearTimeout(this.#recheck);
    this.#recheck = setTimeout(() => {
      this.#quote.forgetPrice();
      this.#loadQuote();
    }, RECHECK_MS);
    this.#write();
  }

  #takeQuote(quote) {
    if (quote.symbol !== this.symbol) return;
    this.#see(quote.bid, quote.ask);
    this.#quote.takeQuote(quote);
    this.#write();
  }

  #bar(json) {
    if (json.symbol !== this.symbol) return;
    this.#seeBars([json]);
    if (json.interval === "1d") this.#quote.takeDay(json);
    if (json.interval === this.interval && this.#provider) {
      this.#openBars(); // the first bar of ours: never beside those of a provider
    } else if (json.interval === this.interval) {
      const bar = fromJson(json);
      const older = this.#bars.first && bar.time < this.#bars.first.time;
      const change = older ? null : this.#bars.put(bar);
      if (change) this.#changed.set(bar.time, bar);
      this.#draw();
    }
    this.#write();
  }

  #gap(skipped) {
    if (!this.symbol) return;
    this.#tape.skip(skipped.trades ?? 0);
    this.#write();
  }

  #resync() {
    if (!this.symbol) return;
    this.#loadQuote();
    this.#loadTrades();
    this.#loadNewest({ fresh: false });
  }

  /** Whose bars these are; nobody's but ours: null. */
  get #provider() {
    return this.#bars.last?.provider_bar ?? null;
  }

  #shownIndicators() {
    return this.#indicators.filter(({ group }) => this.#choices[group] ?? isShownAtFirst(group));
  }

  #rebuildChart(how) {
    this.#indicators = catalogue(this.#bars.all);
    this.#names = new Set(this.#bars.all.flatMap((bar) => Object.keys(bar.indicators)));
    this.#makeChoices();
    this.#changed.clear();
    this.#chart.build(this.#bars.all, this.#shownIndicators(), { ...how, dates: this.interval === "1d" });
    this.#writeLegend();
  }

  /** What has changed since the last frame, however many messages that were. */
  #drawChart() {
    if (!this.symbol) return;
    const bars = [...this.#changed.values()];
    this.#changed.clear();
    const news = bars.some((bar) => Object.keys(bar.indicators).some((name) => !this.#names.has(name)));
    if (news) this.#rebuildChart({ keepRange: true });
    else this.#chart.update(bars.sort((one, other) => one.time - other.time), this.#bars.all);
    this.#note();
    this.#writeLegend();
  }

  #writeTables() {
    if (!this.symbol) return;
    const { decimals } = this.#precision;
    this.#tape.write(decimals);
    const now = this.#socket.clock.now();
    this.#quote.write(now, decimals);
    this.#table.write(this.#bars.all, this.interval, decimals, this.#socket.isLost);
    const last = this.#tape.last;
    byId("symbol-stale").hidden = !last || now - last.time < STALE_SECONDS * 1000;
    this.#writeProvider();
  }

  #writeProvider() {
    const provider = this.#provider;
    const tag = byId("symbol-provider");
    tag.hidden = !provider;
    setText(tag, provider ? `bars of ${provider}` : "");
    if (provider && Date.now() - this.#loadedAt > PROVIDER_MS) this.#loadNewest({ fresh: false });
  }

  #writeLegend() {
    const bar = (this.#hovered !== null && this.#bars.at(this.#hovered)) || this.#bars.last;
    const { decimals } = this.#precision;
    this.#legend.write(bar, this.interval, this.#shownIndicators(), decimals, this.#socket.isLost);
  }

  /** Said where the chart is. */
  #note() {
    const wrong = [...this.#wrong.values()].at(-1);
    const text = wrong ?? (this.#bars.size ? (PriceChart.isThere ? "" : NO_LIBRARY) : this.#waits);
    const note = byId("chart-note");
    note.hidden = !text;
    setText(note, text);
  }

  #makeIntervals() {
    const box = byId("intervals");
    INTERVALS.forEach((interval, index) => {
      const input = el("input", { type: "radio", name: "interval", value: interval });
      input.addEventListener("change", () => this.chooseInterval(interval));
      box.append(el("label", { title: `${interval} (${index + 1})` }, input, el("span", { text: interval })));
    });
  }

  #makeChoices() {
    const box = byId("indicators");
    // Bars of a provider come without any, however many there are.
    const missing = this.#provider ? [] : awaited(this.#indicators, this.#bars.size);
    const all = [...groups(this.#indicators), ...missing];
    if (JSON.stringify(all) === this.#offered) return;
    this.#offered = JSON.stringify(all);
    box.replaceChildren(
      ...all.map(([group, label, needed]) => {
        const input = el("input", { type: "checkbox", value: group, disabled: needed !== undefined });
        input.checked = this.#choices[group] ?? isShownAtFirst(group);
        input.addEventListener("change", () => {
          this.#choices[group] = input.checked;
          ofBrowser.set(PLACE, JSON.stringify(this.#choices));
          this.#rebuildChart({ keepRange: true });
        });
        const why = needed && el("span", { class: "hint", text: `needs ${needed} ${needed === 1 ? "bar" : "bars"}` });
        return el("label", {}, input, el("span", { text: label }), why ?? "");
      }),
    );
    setAttribute(byId("indicator-menu"), "data-empty", all.length === 0);
  }
}

function readChoices() {
  try {
    return JSON.parse(ofBrowser.get(PLACE)) ?? {};
  } catch {
    return {};
  }
}
