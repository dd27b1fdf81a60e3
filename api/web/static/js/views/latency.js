// The latency graph: how late trades are when this page has them.

import { byId, setPairs, setText } from "../dom.js";
import * as format from "../format.js";
import { LatencyLog } from "../latency.js";
import { keyOf } from "../subscription.js";

const GRAPH_SECONDS = 300;
const SMALL_SECONDS = 60;
const LAST_SECONDS = 60;
const GATHER_MS = 250;
const FRESH_MS = 60_000; // older trades come from a replay or a gap: they say nothing of the way

export class LatencyView {
  #socket;
  #theme;
  #log = new LatencyLog();
  #symbol = null;
  #gathered = null; // for how many ms the server gathers what is measured
  #shown = false;

  constructor(socket, theme) {
    this.#socket = socket;
    this.#theme = theme;
    socket.on("trade", ({ data }) => this.#trade(data));
    socket.on("ack", (ack) => this.#begin(ack));
    socket.on("state", () => this.#write());
    setInterval(() => this.#write(), 1000);
    addEventListener("resize", () => this.#write());
    theme.on("change", () => this.#write());
  }

  get title() {
    return "Latency";
  }

  /** The symbol whose trades are measured: the one that is looked at, or else the first there is. */
  measure(symbol) {
    if (!symbol || symbol === this.#symbol) return;
    this.#symbol = symbol;
    this.#log.clear();
    this.#subscribe();
    setText(byId("latency-symbol"), symbol);
  }

  get symbol() {
    return this.#symbol;
  }

  /** While it is looked at, nothing is gathered: the way alone is measured. */
  #subscribe() {
    if (this.#symbol) this.#socket.want("latency", [keyOf("trades", this.#symbol)], this.#shown ? 0 : GATHER_MS);
  }

  show() {
    this.#shown = true;
    this.#subscribe();
    this.#write();
  }

  hide() {
    this.#shown = false;
    this.#subscribe();
  }

  /** Trades after this answer are gathered as it says: where that is new, those before it measured something else. */
  #begin({ by_interval_ms: kinds }) {
    const found = Object.entries(kinds).find(([, channels]) => channels.trades);
    if (!found || Number(found[0]) === this.#gathered) return;
    this.#gathered = Number(found[0]);
    this.#log.clear();
    this.#write();
  }

  #trade(trade) {
    if (trade.symbol !== this.#symbol || !this.#socket.clock.known) return;
    const now = this.#socket.clock.now();
    const late = now - Date.parse(trade.event_time);
    if (late < FRESH_MS) this.#log.add(now, late);
  }

  #write() {
    const now = this.#socket.clock.now();
    const { p50, p95, p99, max, count } = this.#log.summary(LAST_SECONDS, now);
    const link = byId("latency-now");
    setText(byId("latency-median"), format.milliseconds(p50));
    setText(byId("latency-how"), p50 !== null && this.#gathered ? "incl. gathering" : "");
    const gathering = `, which the server sends after up to ${this.#gathered} ms in this view, and at once in Latency`;
    link.title = `Median of the last minute, from the time of a trade to this page${this.#gathered ? gathering : ""}`;
    this.#draw(link.querySelector("canvas"), SMALL_SECONDS, now, false);
    if (!this.#shown) return;
    this.#draw(byId("latency-graph"), GRAPH_SECONDS, now, true);
    const { clock, counts, state, epoch, seq } = this.#socket;
    setPairs(byId("latency-facts"), [
      ["Median", format.milliseconds(p50)],
      ["95th percentile", format.milliseconds(p95)],
      ["99th percentile", format.milliseconds(p99)],
      ["Greatest", format.milliseconds(max)],
      ["Trades", format.count(count)],
      ["Gathered by the server for", this.#gathered ? `up to ${this.#gathered} ms, included` : "nothing"],
    ]);
    setPairs(byId("connection-facts"), [
      ["State", state.detail ? `${state.name}: ${state.detail}` : state.name],
      ["Round trip", format.milliseconds(clock.roundTrip)],
      ["Server's clock", clock.known ? `${format.signed(clock.offset, 1)} ms against ours, taken out` : "–"],
      ["Connections so far", format.count(counts.connections)],
      ["Events replayed", format.count(counts.replayed)],
      ["Read anew by REST", format.count(counts.resyncs)],
      ["Trades and quotes skipped", format.count(counts.skipped)],
      ["Server run, event", epoch ? `${epoch.slice(0, 8)}, ${format.count(seq)}` : "–"],
    ]);
  }

  #draw(canvas, seconds, now, labelled) {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const points = this.#log.series(seconds, now);
    const left = labelled ? 56 : 1;
    const [top, bottom] = labelled ? [12, height - 24] : [2, height - 2];
    const most = niceLimit(Math.max(10, ...points.map((point) => point.p95)));
    const last = Math.floor(now / 1000);
    const x = (second) => left + ((second - (last - seconds)) / seconds) * (width - left - 1);
    const y = (value) => bottom - (Math.min(value, most) / most) * (bottom - top);
    if (labelled) this.#scale(context, { width, left, bottom, most, y, x, last, seconds });
    const line = (name) => {
      context.beginPath();
      points.forEach((point, index) => {
        const joins = (other) => other !== undefined && Math.abs(point.second - other.second) <= 2;
        const [at, height] = [x(point.second), y(point[name])];
        if (joins(points[index - 1])) context.lineTo(at, height);
        else {
          context.moveTo(at, height);
          // A second by itself, as quiet symbols have them, would be no line at all: a dot.
          if (!joins(points[index + 1])) context.lineTo(at + 1.5, height);
        }
      });
      context.stroke();
    };
    context.lineJoin = context.lineCap = "round";
    if (labelled) {
      context.strokeStyle = this.#theme.shade("--accent", 0.45);
      context.lineWidth = 1;
      line("p95");
    }
    context.strokeStyle = this.#theme.colour("--accent");
    context.lineWidth = labelled ? 2 : 1.5;
    line("p50");
  }

  #scale(context, { width, left, bottom, most, y, x, last, seconds }) {
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.fillStyle = this.#theme.colour("--muted");
    context.strokeStyle = this.#theme.colour("--line");
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const height = Math.round(y(most * part)) + 0.5;
      context.beginPath();
      context.moveTo(left, height);
      context.lineTo(width, height);
      context.stroke();
      context.fillText(format.milliseconds(most * part).replace(".0", ""), left - 8, height);
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    const step = x(last) - x(last - 60) < 60 ? 120 : 60; // seconds between two texts that both have room
    for (let ago = seconds - 60; ago > 0; ago -= step) context.fillText(`−${ago / 60} min`, x(last - ago), bottom + 8);
    context.textAlign = "right";
    context.fillText("now", width - 2, bottom + 8);
    context.fillText("median thick, 95th percentile thin", width - 2, 0);
  }
}

/** 1, 2 or 5 times a power of ten, not below the value. */
function niceLimit(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((limit) => limit >= value);
}
