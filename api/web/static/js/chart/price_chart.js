// The chart of one symbol and interval: candles with volume and overlays, and a pane for each oscillator.
//
// The library is a classic script, so it is a global; where it is missing there is no chart, and `isThere` says so.

import { Names } from "./names.js";
import { candlePoint, indicatorPoint, revisionMarks, seconds, volumePoint } from "./points.js";
import { Zone } from "./zone.js";

const HISTORY_AHEAD = 60; // bars left of what is seen, below which older ones are asked for
const RIGHT_OFFSET = 4; // bars of room right of the newest
const FIRST_BARS = { wide: 140, narrow: 60 };
const FEWEST_BARS = 30; // that there is room for at first: fewer would be broad as bricks
const FONT_SIZE = 11;

export class PriceChart {
  #box;
  #theme;
  #onHistory;
  #onHover;
  #onAway;
  #chart = null;
  #colours = {};
  #candles = null;
  #volume = null;
  #marks = null;
  #now = null; // the line of the newest close
  #lines = []; // {indicator, pane, series}
  #lastTime = -Infinity;
  #decimals = 2;

  /** `onHistory` is called when older bars should be loaded, `onHover` with the time (ms) under the pointer, or null,
   * `onAway` with whether the newest bar is out of sight. */
  constructor(box, theme, { onHistory, onHover, onAway }) {
    this.#box = box;
    this.#theme = theme;
    this.#onHistory = onHistory;
    this.#onHover = onHover;
    this.#onAway = onAway;
  }

  static get isThere() {
    return typeof window.LightweightCharts !== "undefined";
  }

  /** Those of every price, on the axis, too. */
  set decimals(decimals) {
    if (decimals === this.#decimals) return;
    this.#decimals = decimals;
    if (!this.#chart) return;
    this.#candles.applyOptions({ priceFormat: this.#format(0) });
    for (const { indicator, series, pane } of this.#lines) {
      if (!indicator.draw.zones) series.applyOptions({ priceFormat: this.#format(pane) });
    }
  }

  /** Draws everything anew: another symbol or interval, other indicators, other colours. `dates`: bars of days. */
  build(bars, indicators, { keepRange = false, dates = false } = {}) {
    if (!PriceChart.isThere) return;
    const range = keepRange ? this.#chart?.timeScale().getVisibleLogicalRange() : null;
    this.#chart?.remove();
    this.#readColours();
    this.#chart = this.#makeChart(dates);
    this.#makeSeries(indicators);
    this.set(bars);
    this.#layOut();
    const scale = this.#chart.timeScale();
    if (range) scale.setVisibleLogicalRange(range);
    else {
      const most = this.#box.clientWidth > 700 ? FIRST_BARS.wide : FIRST_BARS.narrow;
      const shown = Math.max(FEWEST_BARS, Math.min(most, bars.length));
      scale.setVisibleLogicalRange({ from: bars.length - shown, to: bars.length + RIGHT_OFFSET });
    }
    scale.subscribeVisibleLogicalRangeChange((seen) => {
      if (!seen) return;
      if (seen.from < HISTORY_AHEAD) this.#onHistory();
      this.#sayWhere();
    });
    this.#chart.subscribeCrosshairMove(({ time }) => this.#onHover(time === undefined ? null : time * 1000));
  }

  /** All bars: at first, and when older ones have come. What is seen stays where it is. */
  set(bars) {
    if (!this.#chart) return;
    this.#candles.setData(bars.map((bar) => candlePoint(bar, this.#colours)));
    this.#volume.setData(bars.map((bar) => volumePoint(bar, this.#colours)));
    for (const { indicator, series } of this.#lines) {
      series.setData(bars.map((bar) => indicatorPoint(bar, indicator, this.#colours)));
    }
    this.#lastTime = bars.length ? seconds(bars.at(-1)) : -Infinity;
    this.#mark(bars);
    this.#price(bars.findLast((bar) => bar.close !== null));
    this.#sayWhere();
  }

  #price(bar) {
    if (bar && bar.close !== null) this.#now.applyOptions({ price: bar.close, lineVisible: true, axisLabelVisible: true });
  }

  /** Bars that are new or have a new version, oldest first; `all` is everything there is, them included. */
  update(bars, all) {
    if (!this.#chart || !bars.length) return;
    // The library can change the newest bar cheaply, an older one only where it has a value already.
    if (seconds(bars[0]) < this.#lastTime) this.set(all);
    else for (const bar of bars) this.#updateNewest(bar);
  }

  #updateNewest(bar) {
    this.#candles.update(candlePoint(bar, this.#colours));
    this.#volume.update(volumePoint(bar, this.#colours));
    for (const { indicator, series } of this.#lines) series.update(indicatorPoint(bar, indicator, this.#colours));
    this.#lastTime = seconds(bar);
    this.#price(bar);
  }

  /** Dots over the bars that were corrected. */
  #mark(bars) {
    this.#marks?.setMarkers(revisionMarks(bars, this.#colours));
  }

  /** The newest bar back in sight. */
  toNow() {
    // At once: an animation would end elsewhere where older bars come meanwhile.
    this.#chart?.timeScale().scrollToPosition(RIGHT_OFFSET, false);
    this.#onAway(false);
  }

  /** Bars between the newest one and the right edge; below 0 it is out of sight. */
  #sayWhere() {
    this.#onAway(this.#chart.timeScale().scrollPosition() < 0);
  }

  /** Towards older bars where `share`, of what is seen, is negative. */
  scroll(share) {
    const scale = this.#chart?.timeScale();
    const seen = scale?.getVisibleLogicalRange();
    if (seen) scale.scrollToPosition(scale.scrollPosition() + share * (seen.to - seen.from), false);
  }

  clear() {
    this.#chart?.remove();
    this.#chart = null;
  }

  #readColours() {
    const colour = (name) => this.#theme.colour(name);
    const shade = (name, alpha) => this.#theme.shade(name, alpha);
    this.#colours = {
      up: colour("--up"), down: colour("--down"), nothing: "rgba(0, 0, 0, 0)",
      upVolume: shade("--up", 0.35), downVolume: shade("--down", 0.35), liveVolume: shade("--muted", 0.35),
      revised: colour("--revised"), text: colour("--muted"), grid: colour("--grid"), line: colour("--line"),
      zone: shade("--rsi", 0.08), zoneEdge: shade("--rsi", 0.6),
    };
  }

  #makeChart(dates) {
    const { text, grid, line } = this.#colours;
    return window.LightweightCharts.createChart(this.#box, {
      autoSize: true,
      layout: {
        background: { color: "transparent" },
        textColor: text,
        fontFamily: getComputedStyle(document.body).fontFamily,
        fontSize: FONT_SIZE,
        attributionLogo: false, // the footer says whose it is; the logo would bring a style element of its own
        panes: { separatorColor: line, separatorHoverColor: line, enableResize: true },
      },
      grid: { vertLines: { color: grid }, horzLines: { color: grid } },
      handleScroll: { vertTouchDrag: false }, // a finger that goes up or down scrolls the page
      crosshair: { mode: window.LightweightCharts.CrosshairMode.Normal },
      rightPriceScale: { borderColor: line, minimumWidth: 64 },
      timeScale: { borderColor: line, timeVisible: !dates, secondsVisible: false, rightOffset: RIGHT_OFFSET, minBarSpacing: 1 },
    });
  }

  #makeSeries(indicators) {
    const { CandlestickSeries, HistogramSeries, LineStyle, createSeriesMarkers } = window.LightweightCharts;
    const { up, down } = this.#colours;
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: "", priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false,
    });
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down,
      priceFormat: this.#format(0), priceLineVisible: false, lastValueVisible: false,
    });
    // The library's own tag is the last close in sight: scrolled back it would pass for the price of now.
    this.#now = this.#candles.createPriceLine({
      price: 0, lineVisible: false, axisLabelVisible: false, // until there is one
      color: this.#colours.text, lineWidth: 1, lineStyle: LineStyle.Dotted,
    });
    this.#candles.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 0.2 } });
    this.#marks = createSeriesMarkers(this.#candles, []);
    const panes = ["price", ...new Set(indicators.map((each) => each.pane).filter((pane) => pane !== "price"))];
    this.#lines = indicators.map((indicator) => {
      const pane = panes.indexOf(indicator.pane);
      return { indicator, pane, series: this.#makeLine(indicator, pane) };
    });
    const font = `${FONT_SIZE}px ${getComputedStyle(document.body).fontFamily}`;
    for (const pane of panes.keys()) {
      const lines = this.#lines.filter((each) => pane > 0 && each.pane === pane && each.indicator.draw.kind === "line");
      const names = lines.map(({ indicator }) => [nameOf(indicator), this.#theme.colour(indicator.colour)]);
      lines[0]?.series.attachPrimitive(new Names(names.reverse(), font)); // a signal after its MACD
    }
  }

  /** Differences of prices are small: the MACD of what costs 0.1 would be 0.00 all day. */
  #format(pane) {
    const precision = this.#decimals + (pane ? 1 : 0);
    return { type: "price", precision, minMove: Number(`1e-${precision}`) };
  }

  #makeLine(indicator, pane) {
    const { HistogramSeries, LineSeries, LineStyle } = window.LightweightCharts;
    const { draw, colour } = indicator;
    const common = { priceFormat: this.#format(pane), priceLineVisible: false, lastValueVisible: pane > 0 && draw.kind === "line" };
    if (draw.kind === "histogram") return this.#chart.addSeries(HistogramSeries, { ...common, lastValueVisible: false }, pane);
    const options = {
      ...common, color: this.#theme.colour(colour), lineWidth: 1, crosshairMarkerVisible: false,
      lineStyle: draw.dashed ? LineStyle.Dotted : LineStyle.Solid,
    };
    if (draw.zones) {
      const [low, high] = draw.zones;
      // The edges of the zones have texts of their own: others that near would lie under them.
      const isFree = (value) => draw.zones.every((edge) => Math.abs(value - edge) > 12);
      const tickmarksFormatter = (values) => values.map((value) => (isFree(value) ? value.toFixed(1) : ""));
      options.priceFormat = { type: "custom", minMove: 0.1, formatter: (value) => value.toFixed(1), tickmarksFormatter };
      // The zones are always in sight, wherever the values are.
      options.autoscaleInfoProvider = (own) => {
        const range = own()?.priceRange;
        return { priceRange: { minValue: Math.min(low - 8, range?.minValue ?? low), maxValue: Math.max(high + 8, range?.maxValue ?? high) } };
      };
    }
    const series = this.#chart.addSeries(LineSeries, options, pane);
    const { zoneEdge, line, text } = this.#colours;
    if (draw.zones) {
      series.attachPrimitive(new Zone(...draw.zones, this.#colours.zone));
      for (const price of draw.zones) {
        series.createPriceLine({
          price, color: zoneEdge, lineWidth: 1, lineStyle: LineStyle.Dashed,
          axisLabelVisible: true, axisLabelColor: line, axisLabelTextColor: text,
        });
      }
    }
    return series;
  }

  /** The candles take most of the height. */
  #layOut() {
    const [first, ...others] = this.#chart.panes();
    first.setStretchFactor(others.length > 1 ? 3.2 : 3.6);
    for (const pane of others) pane.setStretchFactor(1);
  }
}

/** What a line is called in the corner of its pane. */
function nameOf({ name, label }) {
  return name.startsWith("macd_signal") ? "Signal" : label;
}
