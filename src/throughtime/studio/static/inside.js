// A look inside: gradient flow of all compared models, gates and states of each.

import { post } from "./api.js";
import { heatMap, legend, lineChart } from "./charts.js";
import { field, make, newest, problemLine } from "./dom.js";

const READS_TEXT = new Set(["language_modelling", "text_classification", "translation"]);
const NOT_RECURRENT = new Set(["image_classification", "word2vec"]);

export const canLookInside = (task) => !NOT_RECURRENT.has(task);

export function insideView(models) {
  const text = make("textarea", { rows: 2, placeholder: "What the model reads; some of its own data if empty" });
  const problem = problemLine(), found = make("div", { "aria-live": "polite" });
  const look = newest(async (signal) => {
    found.classList.add("busy");
    try {
      const asked = READS_TEXT.has(models[0].task) && text.value.trim() ? text.value : null;
      const all = await Promise.all(models.map((model) => post("/v1/inspect", { model: model.name, text: asked }, signal)));
      found.replaceChildren(flowOf(all), ...all.map((one) => gatesOf(one, models.length > 1)));
    } finally {
      found.classList.remove("busy");
    }
  }, problem);
  const form = make("form", { class: "row", onsubmit: (event) => { event.preventDefault(); look(); } },
    ...(READS_TEXT.has(models[0].task) ? [field("Text", text, { wide: true })] : []), make("button", { class: "main", type: "submit" }, "Look inside"));
  const whole = make("details", { class: "card" }, make("summary", {}, "Inside: gradient flow, gates, memory"), form, problem, found);
  whole.addEventListener("toggle", () => whole.open && !found.childElementCount && look());
  return whole;
}

function flowOf(all) {
  const several = all.length > 1;
  const lines = all.flatMap((one) => one.flow.map((flow) => ({ name: several ? `${one.model}, ${flow.layer}` : flow.layer, points: flow.relative_norm.map((value, lag) => [lag, value]) })))
    .slice(0, 8).map((line, place) => ({ ...line, colour: `c${(place % 4) + 1}`, dashed: place > 3 }));
  const threshold = { name: "1 %", colour: "c0", dashed: true, points: [[0, 0.01], [Math.max(...lines.map((line) => line.points.length - 1), 1), 0.01]] };
  return make("div", {}, make("h3", {}, "Gradient flow"),
    make("ul", { class: "said" }, all.flatMap((one) => one.said.map((line) => make("li", {}, several ? `${one.model}: ${line}` : line)))),
    legend([...lines, threshold]),
    lineChart({ lines: [...lines, threshold], label: "Share of the gradient that is left, by the lag", xLabel: "lag (steps back in time)", log: true }),
    make("p", { class: "note" }, "How much of the gradient of the loss at one step is left at the states of the steps before it. Below the line at 1 % there is hardly anything to learn from."));
}

function gatesOf({ model, reads, layers, pieces, matrices }, several) {
  return make("div", {}, layers.map((layer) => make("div", {}, make("h3", {}, `Gates and states of the ${reads}, ${layer.layer}${several ? `: ${model}` : ""}`),
    make("div", { class: "heats" }, layer.maps.map((map) => make("figure", {}, make("figcaption", {}, `${map.name}, ${map.low < 0 ? "−" + Math.abs(map.low).toFixed(2) : "0"} to ${map.high.toFixed(map.low < 0 ? 2 : 0)}`), heatMap(map, pieces, map.units)))))),
    make("p", { class: "note" }, "A row for each of the units that vary most, a column for each step. Gates go from 0, closed, to 1, open; candidates and states are blue above zero, orange below. Point at a place for its number."),
    ...(matrices.length ? [make("h3", {}, "Recurrent matrices"), matrixTable(matrices)] : []));
}

const matrixTable = (matrices) =>
  make("div", { class: "wide" }, make("table", {}, make("thead", {}, make("tr", {}, ["layer", "gate", "spectral radius", "norm"].map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, matrices.map((one) => make("tr", {}, make("td", {}, String(one.layer)), make("td", {}, one.gate), make("td", { class: "number" }, one.spectral_radius.toFixed(3)), make("td", { class: "number" }, one.norm.toFixed(3)))))));
