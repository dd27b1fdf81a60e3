// The bars of one symbol and interval, oldest first; of each start the greatest version.

/** A bar of REST or the WebSocket with its times in milliseconds; the rest as it came. */
export function fromJson(bar) {
  return { ...bar, time: Date.parse(bar.start), endTime: Date.parse(bar.end), indicators: bar.indicators ?? {} };
}

export const isRevised = (bar) => bar.final && (bar.late_trades ?? 0) > 0;

export class Bars {
  #bars = [];

  get all() {
    return this.#bars;
  }

  get size() {
    return this.#bars.length;
  }

  get last() {
    return this.#bars.at(-1) ?? null;
  }

  get first() {
    return this.#bars[0] ?? null;
  }

  at(time) {
    const index = this.#place(time);
    return this.#bars[index]?.time === time ? this.#bars[index] : null;
  }

  /** The change: "appended", "inserted", "replaced", or null where this or a greater version is there already. */
  put(bar) {
    const index = this.#place(bar.time);
    const held = this.#bars[index];
    if (held?.time === bar.time) {
      if (held.version >= bar.version) return null;
      this.#bars[index] = bar;
      return "replaced";
    }
    this.#bars.splice(index, 0, bar);
    return index === this.#bars.length - 1 ? "appended" : "inserted";
  }

  /** A page of bars in any order; whether anything has changed. */
  putAll(bars) {
    const newest = new Map(this.#bars.map((bar) => [bar.time, bar]));
    let changed = false;
    for (const bar of bars) {
      const held = newest.get(bar.time);
      if (held && held.version >= bar.version) continue;
      newest.set(bar.time, bar);
      changed = true;
    }
    if (changed) this.#bars = [...newest.values()].sort((one, other) => one.time - other.time);
    return changed;
  }

  /** Of what is newer than these bars nothing is known to be missing; where they do not meet, they are all. */
  replaceNewest(bars) {
    const oldest = Math.min(...bars.map((bar) => bar.time));
    const meets = this.last !== null && oldest <= this.last.time;
    if (!meets) this.#bars = this.#bars.filter((bar) => bar.time >= oldest);
    this.putAll(bars);
    return meets;
  }

  /** Index of the first bar that does not start before `time`. */
  #place(time) {
    let low = 0;
    let high = this.#bars.length;
    if (high && this.#bars[high - 1].time < time) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#bars[middle].time < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
