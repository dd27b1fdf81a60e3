// What the browser keeps for the page. Where it forbids that, the page remembers it until it is left.

class Storage {
  #kind;
  #own = new Map();

  constructor(kind) {
    this.#kind = kind;
  }

  /** null where nothing is kept at this place. */
  get(place) {
    try {
      return window[this.#kind].getItem(place);
    } catch {
      return this.#own.get(place) ?? null;
    }
  }

  set(place, text) {
    this.#own.set(place, text);
    try {
      window[this.#kind].setItem(place, text);
    } catch {
      // Forbidden, or full.
    }
  }
}

export const ofBrowser = new Storage("localStorage");
export const ofTab = new Storage("sessionStorage");
