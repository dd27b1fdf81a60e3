// What is wanted of the live feed, as keys, and the messages that get from one set of keys to another.

const SEPARATOR = "\n";
const MOST_SYMBOLS = 500;
const LONGEST_MS = 1000;

/** channel, symbol and, for candles, interval. */
export const keyOf = (...parts) => parts.join(SEPARATOR);

/** Subscribe or unsubscribe messages for these keys: as few as their combinations allow. */
export function messages(type, keys) {
  const groups = new Map(); // "channel intervals" -> symbols
  const intervals = new Map(); // candles: symbol -> intervals
  for (const key of keys) {
    const [channel, symbol, interval] = key.split(SEPARATOR);
    if (interval === undefined) add(groups, channel, symbol);
    else add(intervals, symbol, interval);
  }
  for (const [symbol, names] of intervals) add(groups, `candles ${[...names].sort().join(",")}`, symbol);
  const made = [];
  for (const [name, symbols] of groups) {
    const [channel, listed] = name.split(" ");
    const all = [...symbols];
    for (let first = 0; first < all.length; first += MOST_SYMBOLS) {
      const message = { type, channels: [channel], symbols: all.slice(first, first + MOST_SYMBOLS) };
      if (listed) message.intervals = listed.split(",");
      made.push(message);
    }
  }
  return made;
}

function add(groups, name, member) {
  if (!groups.has(name)) groups.set(name, new Set());
  groups.get(name).add(member);
}

/** The same keys with another name for a symbol. */
export function renamed(keys, from, to) {
  const rename = ([channel, symbol, ...rest]) => keyOf(channel, symbol === from ? to : symbol, ...rest);
  return new Set([...keys].map((key) => rename(key.split(SEPARATOR))));
}

/** What several owners want together. */
export class Wishes {
  #owners = new Map();

  set(owner, keys, intervalMs) {
    this.#owners.set(owner, { keys: new Set(keys), intervalMs });
  }

  clear(owner) {
    this.#owners.delete(owner);
  }

  rename(from, to) {
    for (const wish of this.#owners.values()) wish.keys = renamed(wish.keys, from, to);
  }

  get keys() {
    return new Set([...this.#owners.values()].flatMap((each) => [...each.keys]));
  }

  /** The most impatient of them decides how long messages are gathered. */
  get intervalMs() {
    const all = [...this.#owners.values()].map((each) => each.intervalMs);
    return Math.min(LONGEST_MS, ...all);
  }
}
