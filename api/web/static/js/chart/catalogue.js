// Which indicators there are, from the names that the bars carry, and how each is drawn.

const LINE = { kind: "line" };

/** [pattern of the name, group, label of the group, pane, how to draw, colour]. */
const RULES = [
  [/^session_vwap$/, () => ["vwap", "Session VWAP", "price", LINE, "--vwap"]],
  [/^bollinger_(upper|lower)_(\d+)_([\d.]+)$/, (m) => [`bollinger_${m[2]}_${m[3]}`, `Bollinger ${m[2]}, ${m[3]}`, "price", LINE, "--band"]],
  [/^bollinger_middle_(\d+)_([\d.]+)$/, (m) => [`bollinger_${m[1]}_${m[2]}`, `Bollinger ${m[1]}, ${m[2]}`, "price", { kind: "line", dashed: true }, "--band"]],
  [/^sma_(\d+)$/, (m) => [m[0], `SMA ${m[1]}`, "price", LINE, "--average"]],
  [/^ema_(\d+)$/, (m) => [m[0], `EMA ${m[1]}`, "price", LINE, "--average"]],
  [/^rsi_(\d+)$/, (m) => [m[0], `RSI ${m[1]}`, m[0], { kind: "line", zones: [30, 70] }, "--rsi"]],
  [/^macd_histogram_(\d+_\d+_\d+)$/, (m) => [`macd_${m[1]}`, macdLabel(m[1]), `macd_${m[1]}`, { kind: "histogram" }, "--muted"]],
  [/^macd_signal_(\d+_\d+_\d+)$/, (m) => [`macd_${m[1]}`, macdLabel(m[1]), `macd_${m[1]}`, LINE, "--signal"]],
  [/^macd_(\d+_\d+_\d+)$/, (m) => [m[0], macdLabel(m[1]), m[0], LINE, "--macd"]],
  [/^atr_(\d+)$/, (m) => [m[0], `ATR ${m[1]}`, m[0], LINE, "--average"]],
];
const macdLabel = (parameters) => `MACD ${parameters.replaceAll("_", ", ")}`;
const SHOWN_AT_FIRST = /^(vwap|bollinger_|rsi_|macd_)/;
const AVERAGES = ["--average", "--average-2", "--average-3", "--average-4", "--average-5"];

/** What the jobs compute where they are told nothing else, and the number of bars from which on it has a value. */
const USUAL = {
  session_vwap: 1, bollinger_upper_20_2: 20, sma_20: 20, sma_50: 50, sma_200: 200, ema_12: 12, ema_26: 26,
  rsi_14: 15, macd_12_26_9: 34, atr_14: 15,
};

/** One line or histogram: {name, group, label, pane, draw, colour}; null for what we cannot draw. */
function describe(name) {
  for (const [pattern, made] of RULES) {
    const match = pattern.exec(name);
    if (match) {
      const [group, label, pane, draw, colour] = made(match);
      return { name, group, label, pane, draw, colour };
    }
  }
  return null;
}

/** Every indicator that some bar has, in the order in which they are listed and drawn. */
export function catalogue(bars) {
  const names = new Set();
  for (const bar of bars) for (const name in bar.indicators) names.add(name);
  const order = (each) => RULES.findIndex(([pattern]) => pattern.test(each.name));
  const found = [...names].map(describe).filter(Boolean);
  found.sort((one, other) => order(one) - order(other) || one.name.localeCompare(other.name, "en", { numeric: true }));
  // Several averages of one kind must be told apart.
  found.filter((each) => each.colour === "--average" && each.pane === "price").forEach((each, index) => {
    each.colour = AVERAGES[index % AVERAGES.length];
  });
  return found;
}

/** [group, label] of each, without repetitions. */
export const groups = (indicators) => [...new Map(indicators.map(({ group, label }) => [group, label]))];

/** [group, label, bars it needs] of those that are to be expected, but of so few bars have no value yet. */
export function awaited(indicators, bars) {
  const there = new Set(indicators.map(({ group }) => group));
  return Object.entries(USUAL)
    .map(([name, needed]) => ({ ...describe(name), needed }))
    .filter(({ group, needed }) => needed > bars && !there.has(group))
    .map(({ group, label, needed }) => [group, label, needed]);
}

export const isShownAtFirst = (group) => SHOWN_AT_FIRST.test(group);
