// What time it is for the server: our clock may be off by seconds, and latency is counted in milliseconds.

const KEPT = 8;

export class ServerClock {
  #measured = [];
  #outdated = false;

  /** The next answer counts alone: a computer that slept has another offset. */
  renew() {
    this.#outdated = true;
  }

  /** A question sent at `sent` (our clock, ms) was answered at `received` with the server's `time` (ms). */
  add(sent, received, time) {
    if (this.#outdated) this.#measured = [];
    this.#outdated = false;
    this.#measured.push({ roundTrip: received - sent, offset: time - (sent + received) / 2 });
    if (this.#measured.length > KEPT) this.#measured.shift();
  }

  /** The quickest of the last answers says most about the offset. */
  get #best() {
    return this.#measured.reduce((best, each) => (best && best.roundTrip <= each.roundTrip ? best : each), null);
  }

  /** Milliseconds by which the server's clock is ahead of ours; 0 until it has been asked. */
  get offset() {
    return this.#best?.offset ?? 0;
  }

  get roundTrip() {
    return this.#best?.roundTrip ?? null;
  }

  get known() {
    return this.#measured.length > 0;
  }

  /** Milliseconds since 1970, with fractions, by the server's clock. */
  now() {
    return performance.timeOrigin + performance.now() + this.offset;
  }
}

/** The same by our own clock. */
export const ownNow = () => performance.timeOrigin + performance.now();
