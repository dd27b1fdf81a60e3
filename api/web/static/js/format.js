// Numbers and times as they are shown. Unknown is a dash, never 0. Times are UTC.

const DASH = "–";
const LEAST_DECIMALS = 2;
const MOST_DECIMALS = 8;
const groups = new Map();
const small = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });

function grouped(decimals) {
  if (!groups.has(decimals)) {
    groups.set(
      decimals,
      new Intl.NumberFormat("en-US", {
        minimumFractionDigits: decimals, maximumFractionDigits: decimals, signDisplay: "negative", // no "-0.00"
      }),
    );
  }
  return groups.get(decimals);
}

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** How many decimals the prices of one symbol are shown with, all of them alike: as many as any of them has. */
export class Precision {
  decimals = LEAST_DECIMALS;

  see(...prices) {
    for (const each of prices.filter(known)) {
      while (this.decimals < MOST_DECIMALS && !fits(each, this.decimals)) this.decimals += 1;
    }
  }
}

/** Whether so many decimals say all of it, but for what binary fractions add, of 64 bits or, as Yahoo's, of 32. */
function fits(value, decimals) {
  const rounded = Number(value.toFixed(decimals));
  return Math.fround(rounded) === value || Math.abs(rounded - value) <= 1e-12 * Math.abs(value);
}

export function price(value, decimals = LEAST_DECIMALS) {
  return known(value) ? grouped(decimals).format(value).replace("-", "−") : DASH;
}

export function signed(value, decimals = 2) {
  const text = price(value, decimals);
  return known(value) && !text.startsWith("−") ? `+${text}` : text;
}

export const percent = (value, decimals = 2) => (known(value) ? `${signed(value, decimals)}%` : DASH);

/** 1234567 as 1.23M; amounts below 10,000 in full, and below 1 whatever their first digit is: 0.00001. */
export function amount(value) {
  if (!known(value)) return DASH;
  const size = Math.abs(value);
  // A unit begins where the one before it would be rounded to 1,000.
  if (size >= 999.995e6) return `${grouped(2).format(value / 1e9)}B`;
  if (size >= 999.95e3) return `${grouped(2).format(value / 1e6)}M`;
  if (size >= 1e4) return `${grouped(1).format(value / 1e3)}K`;
  if (size < 1) return small.format(value);
  return grouped(Number.isInteger(value) ? 0 : size >= 100 ? 1 : 4).format(value);
}

export const count = (value) => (known(value) ? grouped(0).format(value) : DASH);

/** A share of 1 as a percentage: 0.985 as 98.5%. */
export function share(value) {
  if (!known(value)) return DASH;
  return value === 1 ? "100%" : `${(Math.floor(value * 1000) / 10).toFixed(1)}%`;
}

export function milliseconds(value) {
  if (!known(value)) return DASH;
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

export function age(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds < 1) return "now";
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

const iso = (time) => new Date(time).toISOString();

/** 14:31:12.250, or with `fraction` 0 14:31:12. */
export function clockTime(time, fraction = 0) {
  return time ? iso(time).slice(11, fraction ? 20 + fraction : 19) : DASH;
}

/** 14:31:12 today, 2026-01-05 14:31:12 otherwise. */
export function moment(time, now = Date.now()) {
  if (!time) return DASH;
  const text = iso(time);
  return text.slice(0, 10) === iso(now).slice(0, 10) ? text.slice(11, 19) : `${text.slice(0, 10)} ${text.slice(11, 19)}`;
}

/** The start of a bar: with the time of day where the interval is shorter than a day. */
export function barStart(time, interval) {
  const text = iso(time);
  return interval === "1d" ? text.slice(0, 10) : text.slice(5, 16).replace("T", " ");
}
