// Dark, light, or as the system has it.

import { byId, setAttribute } from "./dom.js";
import { Emitter } from "./emitter.js";
import { ofBrowser } from "./storage.js";

const PLACE = "tickstream.theme";
const NEXT = { system: "dark", dark: "light", light: "system" };
const NAMES = { system: "as the system", dark: "dark", light: "light" };

export class Theme extends Emitter {
  #probe = document.createElement("span");

  constructor() {
    super();
    this.#probe.hidden = true;
    document.body.append(this.#probe);
    byId("theme").addEventListener("click", () => this.toggle());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.emit("change"));
    this.#name();
  }

  get chosen() {
    return document.documentElement.dataset.theme ?? "system";
  }

  toggle() {
    const next = NEXT[this.chosen];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    ofBrowser.set(PLACE, next);
    this.#name();
    this.emit("change");
  }

  /** What a custom property of the style sheet is now, as canvases want it: rgb(…). */
  colour(name) {
    this.#probe.style.color = `var(${name})`;
    return getComputedStyle(this.#probe).color;
  }

  /** The same, see-through. */
  shade(name, alpha) {
    const [red, green, blue] = this.colour(name).match(/[\d.]+/g);
    return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
  }

  #name() {
    setAttribute(byId("theme"), "aria-label", `Colours: ${NAMES[this.chosen]}`);
    byId("theme").title = `Colours: ${NAMES[this.chosen]} (t)`;
  }
}
