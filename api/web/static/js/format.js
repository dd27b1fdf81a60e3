// Numbers and times as they are shown. Unknown is a dash, never 0. Times are UTC.

const DASH = "–";
const groups = new Map();

function grouped(decimals) {
  if (!groups.has(decimals)) {
    groups.set(
      decimals,
      new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }),
    );
  }
  return groups.get(decimals);
}

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** Decimals that a price of this size is shown with. */
export function priceDecimals(price) {
  const size = Math.abs(price ?? 1);
  if (size >= 1) return 2;
  if (size >= 0.01) return 4;
  return size > 0 ? 8 : 2;
}

export function price(value, decimals = priceDecimals(value)) {
  return known(value) ? grouped(decimals).format(value) : DASH;
}

export function signed(value, decimals = 2) {
  if (!known(value)) return DASH;
  const text = grouped(decimals).format(Math.abs(value));
  return value < 0 ? `−${text}` : `+${text}`;
}

export const percent = (value, decimals = 2) => (known(value) ? `${signed(value, decimals)}%` : DASH);

/** 1234567 as 1.23M; amounts below 10,000 in full. */
export function amount(value) {
  if (!known(value)) return DASH;
  const size = Math.abs(value);
  if (size >= 1e9) return `${grouped(2).format(value / 1e9)}B`;
  if (size >= 1e6) return `${grouped(2).format(value / 1e6)}M`;
  if (size >= 1e4) return `${grouped(1).format(value / 1e3)}K`;
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
