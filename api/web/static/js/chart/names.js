// What the lines of a pane are called, in its corner: beside the axis the names would cover the newest values.

const LEFT = 10;
const TOP = 6;
const BETWEEN = 10;

export class Names {
  #names;
  #font;

  /** `names`: [text, colour] of each line. */
  constructor(names, font) {
    this.#names = names;
    this.#font = font;
  }

  paneViews() {
    return [{ zOrder: () => "top", renderer: () => this }];
  }

  draw(target) {
    target.useMediaCoordinateSpace(({ context }) => {
      context.font = this.#font;
      context.textAlign = "left";
      context.textBaseline = "top";
      let left = LEFT;
      for (const [text, colour] of this.#names) {
        context.fillStyle = colour;
        context.fillText(text, left, TOP);
        left += context.measureText(text).width + BETWEEN;
      }
    });
  }
}
