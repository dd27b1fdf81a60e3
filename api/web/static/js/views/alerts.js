// Alerts: a page of REST at a time, and the new ones as they come. The filters are part of the address.

import { ApiError } from "../api.js";
import { byId, el, setChildren, setText } from "../dom.js";
import * as format from "../format.js";
import { batched } from "../frame.js";
import { alertsAddress, stay } from "../router.js";
import { keyOf } from "../subscription.js";
import { severityTag, symbolLink, typeName } from "./alert_parts.js";

const PAGE = 100;
const MOST_ROWS = 2000;
const ANNOUNCE_MS = 5000;
const GATHER_MS = 1000;
const LOUD = new Set(["high", "critical"]);
const TYPES = [
  "price_spike", "volume_anomaly", "rsi_overbought", "rsi_oversold", "stale_feed", "price_outlier",
  "crossed_quote", "clock_skew", "latency",
];

export class AlertsView {
  #api;
  #socket;
  #alerts = new Map(); // alert_id -> newest revision
  #rows = new Map(); // alert_id -> {revision, node}
  #cursor = null;
  #stop = null;
  #filter = {};
  #unseen = new Set();
  #toAnnounce = [];
  #write = batched(() => this.#writeRows(), 200);

  constructor(api, socket) {
    this.#api = api;
    this.#socket = socket;
    const form = byId("alert-filters");
    TYPES.forEach((type) => this.#offerType(type));
    // A symbol is typed letter by letter: it counts when it is one, or when the field is left.
    form.addEventListener("input", ({ target }) => {
      if (target.name !== "symbol" || !target.value || isKnown(target.value)) this.#choose();
    });
    form.addEventListener("change", () => this.#choose());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => this.#choose()));
    byId("alerts-more").addEventListener("click", () => this.#load());
    socket.on("alert", ({ data }) => this.#live(data));
    socket.on("resync", () => this.#stop && this.#open());
    socket.want("alerts", [keyOf("alerts", "*")], GATHER_MS);
    setInterval(() => this.#announce(), ANNOUNCE_MS);
  }

  get title() {
    return "Alerts";
  }

  show({ parameters }) {
    const form = byId("alert-filters");
    form.elements.symbol.value = parameters.get("symbol") ?? "";
    const type = parameters.get("type") ?? "";
    if (type) this.#offerType(type);
    form.elements.type.value = type;
    form.elements.status.value = parameters.get("status") ?? "";
    const severities = (parameters.get("severity") ?? "").split(",");
    for (const box of form.elements.severity) box.checked = severities.includes(box.value);
    this.#unseen.clear();
    this.#countUnseen();
    this.#filter = this.#read();
    this.#open();
  }

  hide() {
    this.#stop?.abort();
    this.#stop = null;
  }

  #read() {
    const form = byId("alert-filters").elements;
    const filter = {
      symbol: form.symbol.value.trim().toUpperCase(),
      type: form.type.value,
      severity: [...form.severity].filter((box) => box.checked).map((box) => box.value).join(","),
      status: form.status.value,
    };
    return Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
  }

  #choose() {
    const filter = this.#read();
    if (JSON.stringify(filter) === JSON.stringify(this.#filter)) return;
    this.#filter = filter;
    stay(alertsAddress(filter));
    this.#open();
  }

  #open() {
    this.#stop?.abort();
    this.#stop = new AbortController();
    this.#alerts.clear();
    this.#cursor = null;
    this.#load();
  }

  async #load() {
    const { signal } = this.#stop;
    const parameters = { ...this.#filter, limit: PAGE, cursor: this.#cursor };
    const told = (error) => error && this.#tell(error.message);
    try {
      const { alerts, next_cursor: cursor } = await this.#api.getPatiently("/alerts", parameters, signal, told);
      this.#cursor = cursor;
      alerts.forEach((alert) => this.#keep(alert));
      byId("alerts-more").hidden = cursor === null;
      this.#tell("");
      this.#write();
    } catch (error) {
      if (error instanceof ApiError) {
        this.#alerts.clear();
        this.#writeRows();
        this.#tell(error.message);
      } else if (error.name !== "AbortError") throw error;
    }
  }

  #live(alert) {
    this.#offerType(alert.type);
    if (alert.status === "raised" && alert.revision === 0) {
      if (!this.#stop) this.#unseen.add(alert.alert_id);
      this.#countUnseen();
      if (LOUD.has(alert.severity)) this.#toAnnounce.push(alert);
    }
    if (!this.#stop) return;
    // A revision may take an alert out of what the filters leave.
    if (this.#passes(alert)) this.#keep(alert);
    else if (this.#alerts.get(alert.alert_id)?.revision < alert.revision) this.#alerts.delete(alert.alert_id);
    this.#write();
  }

  #keep(alert) {
    const held = this.#alerts.get(alert.alert_id);
    if (!held || held.revision < alert.revision) this.#alerts.set(alert.alert_id, alert);
  }

  #passes(alert) {
    const { symbol, type, severity, status } = this.#filter;
    return (
      (!symbol || alert.symbol === symbol) &&
      (!type || alert.type === type) &&
      (!severity || severity.split(",").includes(alert.severity)) &&
      (!status || alert.status === status)
    );
  }

  #writeRows() {
    if (!this.#stop) return;
    const alerts = [...this.#alerts.values()]
      .sort((one, other) => (one.event_time < other.event_time ? 1 : one.event_time > other.event_time ? -1 : 0))
      .slice(0, MOST_ROWS);
    const body = byId("alerts").tBodies[0];
    const nodes = alerts.map((alert) => {
      let row = this.#rows.get(alert.alert_id);
      if (!row || row.revision !== alert.revision) {
        row = { revision: alert.revision, node: makeRow(alert) };
        this.#rows.set(alert.alert_id, row);
      }
      return row.node;
    });
    setChildren(body, nodes);
    const shown = new Set(alerts.map((alert) => alert.alert_id));
    for (const id of this.#rows.keys()) if (!shown.has(id)) this.#rows.delete(id);
    const raised = alerts.filter((alert) => alert.status === "raised").length;
    setText(byId("alerts-facts"), alerts.length ? `${format.count(alerts.length)} shown · ${format.count(raised)} raised` : "");
    if (!alerts.length) this.#tell(Object.keys(this.#filter).length ? "Nothing that these filters leave." : "No alerts: nothing out of the ordinary.");
    else this.#tell("");
  }

  #tell(text) {
    const note = byId("alerts-empty");
    note.hidden = !text;
    setText(note, text);
  }

  #offerType(type) {
    const select = byId("alert-filters").elements.type;
    if ([...select.options].some((option) => option.value === type)) return;
    select.append(el("option", { value: type, text: typeName(type) }));
  }

  #countUnseen() {
    const badge = byId("unseen");
    badge.hidden = this.#unseen.size === 0;
    setText(badge, this.#unseen.size > 99 ? "99+" : String(this.#unseen.size));
  }

  /** For screen readers: what matters, and not too often. */
  #announce() {
    const alerts = this.#toAnnounce.splice(0);
    if (!alerts.length) return;
    const [first] = alerts;
    const rest = alerts.length > 1 ? `, and ${alerts.length - 1} more alerts` : "";
    setText(byId("announce"), `Alert, ${first.severity}: ${first.message}${rest}`);
  }
}

const isKnown = (symbol) =>
  [...byId("symbol-names").options].some((option) => option.value === symbol.trim().toUpperCase());

function makeRow(alert) {
  const moment = Date.parse(alert.event_time);
  return el(
    "tr",
    { "data-status": alert.status, "data-alert": alert.alert_id },
    el("td", {}, el("time", { datetime: alert.event_time, text: format.moment(moment) })),
    el("td", {}, severityTag(alert)),
    el("td", {}, symbolLink(alert)),
    el("td", { class: "wide", text: typeName(alert.type) }),
    el("td", { class: "message", text: alert.message }),
    el("td", { class: "middle", text: alert.status }),
  );
}
