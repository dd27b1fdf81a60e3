// How late trades arrive: samples by second, and what they say.

const KEPT_SECONDS = 300;
const MOST_SAMPLES = 500; // of one second; further ones are only counted

export function quantile(sorted, q) {
  if (!sorted.length) return null;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

export class LatencyLog {
  #seconds = [];

  /** A trade that arrived at `at` (ms) was `late` ms old. */
  add(at, late) {
    const second = Math.floor(at / 1000);
    let bucket = this.#seconds.at(-1);
    if (!bucket || bucket.second !== second) {
      bucket = { second, count: 0, samples: [] };
      this.#seconds.push(bucket);
      while (this.#seconds[0].second < second - KEPT_SECONDS) this.#seconds.shift();
    }
    bucket.count += 1;
    // A clock that is off by a little must not make a trade arrive before it happened.
    if (bucket.samples.length < MOST_SAMPLES) bucket.samples.push(Math.max(0, late));
  }

  clear() {
    this.#seconds = [];
  }

  /** Median and 95th percentile of each of the last seconds that had trades, oldest first. */
  series(seconds, now) {
    const first = Math.floor(now / 1000) - seconds;
    return this.#seconds
      .filter((bucket) => bucket.second >= first)
      .map((bucket) => {
        const sorted = [...bucket.samples].sort((one, other) => one - other);
        return { second: bucket.second, p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) };
      });
  }

  /** Of the last seconds together. */
  summary(seconds, now) {
    const first = Math.floor(now / 1000) - seconds;
    const buckets = this.#seconds.filter((bucket) => bucket.second >= first);
    const sorted = buckets.flatMap((bucket) => bucket.samples).sort((one, other) => one - other);
    return {
      count: buckets.reduce((sum, bucket) => sum + bucket.count, 0),
      p50: quantile(sorted, 0.5),
      p95: quantile(sorted, 0.95),
      p99: quantile(sorted, 0.99),
      max: sorted.at(-1) ?? null,
    };
  }
}
