// Who wants to hear of what.

export class Emitter {
  #listeners = new Map();

  on(kind, listener) {
    if (!this.#listeners.has(kind)) this.#listeners.set(kind, new Set());
    this.#listeners.get(kind).add(listener);
    return () => this.#listeners.get(kind).delete(listener);
  }

  emit(kind, value) {
    for (const listener of this.#listeners.get(kind) ?? []) listener(value);
  }
}
