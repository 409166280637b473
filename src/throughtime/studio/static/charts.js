// Charts as SVG and canvas: lines with bands, points with words, heat maps.

import { make } from "./dom.js";

const SPACE = "http://www.w3.org/2000/svg";
function draw(tag, attributes = {}, text = null) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

// On a narrow screen charts are drawn narrow and not small, so that their letters stay readable.
const drawnWidth = (most) => Math.min(most, Math.max(280, innerWidth - 64));

export function shortNumber(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(0).replace("e+", "e");
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

function ticks(low, high, count) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-6; value += step) found.push(value);
  return found;
}

// lines: {name, colour, points: [[x, y], ...], dashed?}; bands: {colour, points: [[x, low, high], ...]}; odd: [[from, to], ...].
export function lineChart({ lines, bands = [], label, xLabel = "", xNames = null, height = 260, log = false, marks = [], odd = [] }) {
  const width = drawnWidth(720), left = 58, right = 12, top = 10, bottom = 40;
  const scaleY = (value) => (log ? Math.log10(Math.max(value, 1e-12)) : value);
  const every = [...lines.flatMap((line) => line.points), ...bands.flatMap((band) => band.points)]
    .filter((point) => point.slice(1).every((value) => value !== null && (!log || value > 0)));
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label });
  if (!every.length) return svg;
  const xs = every.map((point) => point[0]), ys = every.flatMap((point) => point.slice(1)).map(scaleY);
  const x0 = Math.min(...xs), x1 = Math.max(...xs, x0 + 1e-9);
  let y0 = Math.min(...ys), y1 = Math.max(...ys);
  const margin = (y1 - y0) * 0.06 || Math.abs(y1) * 0.1 || 1;
  y0 -= margin;
  y1 += margin;
  const placeX = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
  const placeY = (y) => height - bottom - ((scaleY(y) - y0) / (y1 - y0)) * (height - top - bottom);
  const levels = log ? decades(y0, y1) : ticks(y0, y1, 4);
  for (const level of levels) {
    svg.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: placeY(level), y2: placeY(level) }));
    svg.append(draw("text", { x: left - 8, y: placeY(level) + 4, "text-anchor": "end" }, shortNumber(level)));
  }
  const many = width < 480 ? 3 : 6, steps = xNames ? evenly(x0, x1, Math.min(many, 5)) : ticks(x0, x1, many);
  const names = xNames ? shortStamps(steps.map((step) => xNames[step] ?? "")) : steps.map(shortNumber);
  for (const [place, step] of steps.entries()) {
    const anchor = step === x1 && xNames ? "end" : step === x0 && xNames ? "start" : "middle";
    const name = names[place];
    svg.append(draw("text", { x: placeX(step), y: height - bottom + 18, "text-anchor": anchor }, name));
  }
  if (xLabel) svg.append(draw("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xLabel));
  for (const [from, to] of odd) {
    const begin = placeX(Math.max(from, x0));
    svg.append(draw("rect", { class: "odd", x: begin, width: Math.max(placeX(Math.min(to, x1)) - begin, 1.5), y: top, height: height - top - bottom }));
  }
  for (const mark of marks) {
    svg.append(draw("line", { class: "grid", x1: placeX(mark), x2: placeX(mark), y1: top, y2: height - bottom, "stroke-dasharray": "3 4" }));
  }
  for (const { colour, points } of bands) {
    const ends = [...points.map(([x, low]) => [x, low]), ...points.toReversed().map(([x, , high]) => [x, high])];
    svg.append(draw("polygon", { class: `area ${colour}`, points: ends.map(([x, y]) => `${placeX(x)},${placeY(y)}`).join(" ") }));
  }
  for (const { name, colour, points, dashed } of lines) {
    let path = "", open = false;
    for (const [x, y] of points) {
      const drawn = y !== null && (!log || y > 0);
      if (drawn) path += `${open ? "L" : "M"}${placeX(x).toFixed(1)} ${placeY(y).toFixed(1)}`;
      open = drawn;
    }
    const line = draw("path", { class: points.length > 600 ? `line fine ${colour}` : `line ${colour}`, d: path, ...(dashed ? { "stroke-dasharray": "5 5" } : {}) });
    line.append(draw("title", {}, name));
    svg.append(line);
  }
  return svg;
}

// Days alone, where those differ; times of day would tell nothing there.
function shortStamps(stamps) {
  const days = stamps.map((stamp) => stamp.split(" ")[0]);
  return new Set(days).size === days.length ? days : stamps;
}

const evenly = (low, high, count) =>
  [...new Set(Array.from({ length: count }, (_, place) => Math.round(low + ((high - low) * place) / (count - 1))))];
function decades(low, high) {
  const step = Math.max(1, Math.ceil((high - low) / 5)), found = [];
  for (let power = Math.ceil(low); power <= high; power += step) found.push(10 ** power);
  return found.length ? found : [10 ** ((low + high) / 2)];
}

export const legend = (lines) => make("div", { class: "legend" },
  lines.map(({ name, colour }) => make("span", {}, make("i", { class: colour }), name)));

// Words on a map; those that were asked about stand out.
export function wordMap(words, label, chosen) {
  const width = drawnWidth(640), height = Math.round(Math.max(width * 0.64, 300)), edge = 40;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label });
  const xs = words.map((word) => word.x), ys = words.map((word) => word.y);
  const spread = (values) => Math.max(Math.max(...values) - Math.min(...values), 1e-6);
  const placed = [];
  for (const word of [...words].sort((one, other) => Number(other.asked) - Number(one.asked))) {
    const x = edge + ((word.x - Math.min(...xs)) / spread(xs)) * (width - 2 * edge - 50);
    const y = height - edge + 16 - ((word.y - Math.min(...ys)) / spread(ys)) * (height - 2 * edge + 16);
    const wide = 7.6 * word.word.length + 14;
    // The first place beside the point where the word covers no other.
    const sides = [[9, 4], [-wide + 5, 4], [-wide / 2 + 6, -9], [-wide / 2 + 6, 19]].map(([dx, dy]) => ({ left: x + dx, top: y + dy - 13 }));
    const box = sides.find((side) => placed.every((other) => side.left + wide < other.left || other.left + other.wide < side.left
      || side.top + 16 < other.top || other.top + 16 < side.top)) ?? sides[0];
    placed.push({ ...box, wide });
    const colour = word.asked ? "c2" : word.best ? "c3" : "c1";
    svg.append(draw("circle", { class: `point ${colour}`, cx: x, cy: y, r: word.asked || word.best ? 5.5 : 4 }));
    const name = draw("text", { class: "word", x: box.left, y: box.top + 13, ...(word.asked || word.best ? { "font-weight": 650 } : {}) }, word.word);
    if (chosen) {
      name.style.cursor = "pointer";
      name.addEventListener("click", () => chosen(word.word));
    }
    svg.append(name);
  }
  return svg;
}

const mix = (from, to, share) => from.map((value, place) => Math.round(value + (to[place] - value) * share));

// A row for each unit, a column for each step; one pixel each, drawn large by the browser.
export function heatMap({ values, low, high, name }, pieces, units) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const paper = dark ? [20, 26, 34] : [251, 252, 254], above = dark ? [92, 179, 240] : [11, 90, 156], below = dark ? [255, 156, 87] : [200, 84, 0];
  const rows = values.length, steps = values[0]?.length ?? 1;
  const canvas = make("canvas", { class: "heat", width: steps, height: rows, role: "img",
    "aria-label": `${name}: ${rows} units over ${steps} steps` });
  canvas.style.height = `${Math.max(96, rows * 7)}px`;
  const context = canvas.getContext("2d"), picture = context.createImageData(steps, rows);
  values.forEach((row, unit) => row.forEach((value, step) => {
    const share = low < 0 ? Math.min(Math.abs(value) / high, 1) : (value - low) / (high - low);
    const colour = mix(paper, low < 0 && value < 0 ? below : above, share);
    picture.data.set([...colour, 255], 4 * (unit * steps + step));
  }));
  context.putImageData(picture, 0, 0);
  canvas.addEventListener("mousemove", (event) => {
    const box = canvas.getBoundingClientRect();
    const step = Math.min(Math.floor(((event.clientX - box.left) / box.width) * steps), steps - 1);
    const row = Math.min(Math.floor(((event.clientY - box.top) / box.height) * rows), rows - 1);
    const piece = pieces[step] === undefined ? "" : `, at ${JSON.stringify(pieces[step])}`;
    canvas.title = `unit ${units[row]}, step ${step + 1}${piece}: ${values[row]?.[step]?.toFixed(2)}`;
  });
  return canvas;
}
