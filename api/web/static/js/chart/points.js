// Bars as the chart library wants them. Its times are seconds; a point without a value leaves a hole.

import { isRevised } from "../bars.js";

export const seconds = (bar) => bar.time / 1000;

/** Provisional bars are hollow: only their outline is drawn. */
export function candlePoint(bar, colours) {
  const time = seconds(bar);
  if (bar.close === null || bar.open === null) return { time };
  const point = { time, open: bar.open, high: bar.high, low: bar.low, close: bar.close };
  if (bar.final) return point;
  const colour = bar.close >= bar.open ? colours.up : colours.down;
  return { ...point, color: colours.nothing, borderColor: colour, wickColor: colour };
}

export function volumePoint(bar, colours) {
  const rising = bar.close === null || bar.close >= bar.open;
  const colour = rising ? colours.upVolume : colours.downVolume;
  return { time: seconds(bar), value: bar.volume, color: bar.final ? colour : colours.liveVolume };
}

export function indicatorPoint(bar, { name, draw }, colours) {
  const value = bar.indicators[name];
  const time = seconds(bar);
  if (value === undefined || value === null) return { time };
  if (draw.kind !== "histogram") return { time, value };
  return { time, value, color: value >= 0 ? colours.upVolume : colours.downVolume };
}

export function revisionMarks(bars, colours) {
  return bars
    .filter(isRevised)
    .map((bar) => ({ time: seconds(bar), position: "aboveBar", shape: "circle", size: 0.5, color: colours.revised }));
}
