// The last hour as a line of a few pixels.

const NAMESPACE = "http://www.w3.org/2000/svg";
export const WIDTH = 100;
export const HEIGHT = 24;

export function makeSparkline() {
  const svg = document.createElementNS(NAMESPACE, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(NAMESPACE, "path"));
  return svg;
}

/** The path through the points, lowest at the bottom; a flat line lies in the middle. Fewer than `most` end at the
 * right and take their share of the width. */
export function path(points, most) {
  if (points.length < 2) return "";
  const low = Math.min(...points);
  const range = Math.max(...points) - low;
  const step = WIDTH / (Math.max(most, points.length) - 1);
  const first = WIDTH - step * (points.length - 1);
  return points
    .map((point, index) => {
      const height = range ? (point - low) / range : 0.5;
      return `${index ? "L" : "M"}${(first + index * step).toFixed(1)} ${(HEIGHT - 2 - height * (HEIGHT - 4)).toFixed(1)}`;
    })
    .join("");
}

export function drawSparkline(svg, points, most) {
  const d = path(points, most);
  const line = svg.firstChild;
  if (line.getAttribute("d") !== d) line.setAttribute("d", d);
}
