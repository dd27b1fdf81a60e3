// The newest alerts of a symbol, or of all, as a short list that keeps itself up to date.

import { ApiError } from "../api.js";
import { setChildren } from "../dom.js";
import { alertItem } from "./alert_parts.js";

export class AlertList {
  #list;
  #api;
  #most;
  #symbol = null; // null: all
  #signal = null; // not null: the list is looked at
  #alerts = new Map();
  #items = new WeakMap(); // alert -> its item: one that stays keeps the focus

  constructor(list, api, socket, most) {
    this.#list = list;
    this.#api = api;
    this.#most = most;
    socket.on("alert", ({ data }) => this.#take([data]));
    socket.on("resync", () => this.#signal && this.#load());
  }

  /** Shows the alerts of `symbol` until `signal` aborts. */
  open(symbol, signal) {
    if (symbol !== this.#symbol) this.#alerts.clear();
    this.#symbol = symbol;
    this.#signal = signal;
    this.#write();
    this.#load();
  }

  async #load() {
    const signal = this.#signal;
    try {
      const parameters = { symbol: this.#symbol, limit: this.#most };
      const { alerts } = await this.#api.getPatiently("/alerts", parameters, signal);
      this.#take(alerts);
    } catch (error) {
      // The view around this list says what is wrong with the server.
      if (!(error instanceof ApiError) && error.name !== "AbortError") throw error;
    }
  }

  #take(alerts) {
    if (!this.#signal || this.#signal.aborted) return;
    let changed = false;
    for (const alert of alerts) {
      if (this.#symbol !== null && alert.symbol !== this.#symbol) continue;
      const held = this.#alerts.get(alert.alert_id);
      if (held && held.revision >= alert.revision) continue;
      this.#alerts.set(alert.alert_id, alert);
      changed = true;
    }
    if (changed) this.#write();
  }

  #write() {
    const newest = [...this.#alerts.values()].sort((one, other) => (one.event_time < other.event_time ? 1 : -1));
    newest.length = Math.min(newest.length, this.#most);
    this.#alerts = new Map(newest.map((alert) => [alert.alert_id, alert]));
    for (const alert of newest) if (!this.#items.has(alert)) this.#items.set(alert, alertItem(alert));
    setChildren(this.#list, newest.map((alert) => this.#items.get(alert)));
  }
}
