// The search box: type, choose with the arrows, Enter opens.

import { byId, el, setAttribute } from "./dom.js";
import { go, symbolAddress } from "./router.js";

const MOST = 12;

export class SymbolSearch {
  #symbols = [];
  #found = [];
  #at = 0;
  #input = byId("search");
  #list = byId("search-list");

  constructor() {
    this.#input.addEventListener("input", () => this.#find());
    this.#input.addEventListener("focus", () => {
      this.#input.select();
      this.#find();
    });
    this.#input.addEventListener("blur", () => this.#close());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    // Before the box loses the focus, or the list would be gone when the click comes.
    this.#list.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const option = event.target.closest("[role=option]");
      if (option) this.#open(option.dataset.symbol);
    });
  }

  set symbols(names) {
    if (names.join() === this.#symbols.join()) return;
    this.#symbols = names;
    byId("symbol-names").replaceChildren(...names.map((name) => el("option", { value: name })));
  }

  get symbols() {
    return this.#symbols;
  }

  focus() {
    this.#input.focus();
  }

  #find() {
    const text = this.#input.value.trim().toUpperCase();
    const begins = this.#symbols.filter((name) => name.startsWith(text));
    const contains = this.#symbols.filter((name) => !name.startsWith(text) && name.includes(text));
    this.#found = [...begins, ...contains].slice(0, MOST);
    this.#at = 0;
    this.#show();
  }

  #show() {
    this.#list.replaceChildren(
      ...this.#found.map((name, index) =>
        el("li", { role: "option", id: `found-${index}`, "data-symbol": name, "aria-selected": String(index === this.#at), text: name }),
      ),
    );
    const open = this.#found.length > 0;
    this.#list.hidden = !open;
    setAttribute(this.#input, "aria-expanded", String(open));
    setAttribute(this.#input, "aria-activedescendant", open ? `found-${this.#at}` : null);
  }

  #close() {
    this.#list.hidden = true;
    setAttribute(this.#input, "aria-expanded", "false");
    setAttribute(this.#input, "aria-activedescendant", null);
  }

  #key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && this.#found.length) {
      this.#at = (this.#at + steps[event.key] + this.#found.length) % this.#found.length;
      this.#show();
      event.preventDefault();
    } else if (event.key === "Enter") {
      const name = this.#found[this.#at] ?? this.#input.value.trim().toUpperCase();
      if (name) this.#open(name);
    } else if (event.key === "Escape") {
      this.#input.value = "";
      this.#input.blur();
    }
  }

  #open(name) {
    this.#input.value = "";
    this.#input.blur();
    go(symbolAddress(name));
  }
}
