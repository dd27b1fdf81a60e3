// The band between two values of a series, shaded: the quiet zone of an RSI.

export class Zone {
  #low;
  #high;
  #colour;
  #series = null;

  constructor(low, high, colour) {
    this.#low = low;
    this.#high = high;
    this.#colour = colour;
  }

  attached({ series }) {
    this.#series = series;
  }

  detached() {
    this.#series = null;
  }

  paneViews() {
    return [{ zOrder: () => "bottom", renderer: () => this }];
  }

  draw(target) {
    const top = this.#series?.priceToCoordinate(this.#high);
    const bottom = this.#series?.priceToCoordinate(this.#low);
    if (top === null || top === undefined || bottom === null) return;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, verticalPixelRatio: ratio }) => {
      context.fillStyle = this.#colour;
      context.fillRect(0, top * ratio, bitmapSize.width, (bottom - top) * ratio);
    });
  }
}
