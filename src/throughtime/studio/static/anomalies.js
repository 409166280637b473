// What is odd in a dropped table of series: the channels, the score of each step, and the spans.

import { send } from "./api.js";
import { legend, lineChart } from "./charts.js";
import { card, columns, dropZone, field, make, newest, problemLine, sentence } from "./dom.js";

const CHANNELS = 6, SPANS = 12;

export function anomaliesView(models) {
  const threshold = make("input", { type: "number", min: 0.01, step: 0.05, placeholder: "the model's" });
  const problem = problemLine(), { whole, places } = columns(models);
  const told = make("p", { class: "note", "aria-live": "polite" });
  let table = null, name = "the model's own series";
  const ask = newest(async (signal) => {
    const found = await Promise.all(places.map(({ model }) => send("/v1/detect", table, { model: model.name, threshold: threshold.value }, signal)));
    places.forEach(({ body }, place) => show(body, found[place]));
    told.textContent = [`Shown: ${name}, ${found[0].frequency}.`, ...found[0].remarks.map(sentence)].join(" ");
  }, problem);
  function take(file, called) {
    table = file;
    name = called;
    ask();
  }
  const zone = dropZone("Drop a CSV here", "or choose one: a column for each channel, and one of times", ".csv,.tsv,.txt,text/csv", (file) => take(file, file.name));
  const own = make("button", { type: "button", onclick: () => take(null, "the model's own series") }, "Show its own series");
  threshold.addEventListener("change", () => ask());
  ask();
  return card(null, zone, make("div", { class: "row" }, field("Threshold of the score", threshold), own), problem, told, whole);
}

function show(body, { recordings, spans, threshold, left_out: leftOut }) {
  const chooser = make("select", {}, recordings.map((one, place) => make("option", { value: place }, one.name)));
  const chart = make("div");
  const draw = () => {
    const one = recordings[Number(chooser.value) || 0];
    chart.replaceChildren(...chartsOf(one, spans.filter((span) => span.recording === one.name), threshold));
  };
  chooser.addEventListener("change", draw);
  draw();
  const count = spans.length === 1 ? "1 odd span" : `${spans.length || "No"} odd spans`;
  body.replaceChildren(make("p", { class: "result", "aria-live": "polite" }, count), ...(recordings.length > 1 ? [field("Recording", chooser)] : []), chart,
    ...(spans.length ? [make("h3", {}, "The oddest"), tableOf(spans.slice(0, SPANS), recordings.length > 1)] : []),
    ...(leftOut ? [make("p", { class: "note" }, `${leftOut} more recordings in the table are not shown.`)] : []));
}

function chartsOf(one, spans, threshold) {
  const points = (values) => values.map((value, place) => [place, value]);
  // A span of a single step would be thinner than a pixel.
  const odd = spans.map(({ begin, end }) => [begin / one.steps_per_point - 0.5, Math.max((end - 1) / one.steps_per_point + 0.5, begin / one.steps_per_point + one.ds.length / 400)]);
  const charts = one.values.slice(0, CHANNELS).map((values, place) => [make("h3", {}, one.channels[place]),
    lineChart({ lines: [{ name: one.channels[place], colour: "c1", points: points(values) }], odd, label: `${one.channels[place]} over time`, xNames: one.ds, height: 180 })]);
  const score = { name: "score", colour: "c0", points: points(one.scores) };
  const limit = { name: `threshold, ${threshold.toFixed(2)}`, colour: "c2", dashed: true, points: [[0, threshold], [one.scores.length - 1, threshold]] };
  return [...charts.flat(), ...(one.values.length > CHANNELS ? [make("p", { class: "note" }, `${one.values.length - CHANNELS} more channels are not drawn.`)] : []),
    make("h3", {}, "Score"), legend([score, limit]), lineChart({ lines: [score, limit], odd, label: "Score over time", xNames: one.ds, height: 180 }),
    ...(one.steps_per_point > 1 ? [make("p", { class: "note" }, `A point stands for ${one.steps_per_point} steps: for the one furthest from the middle, and the highest score.`)] : [])];
}

function tableOf(spans, named) {
  const heads = [...(named ? ["recording"] : []), "from", "to", "highest score", "furthest off"];
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Odd spans" }, make("table", {},
    make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, spans.map((span) => make("tr", {}, ...(named ? [make("td", {}, span.recording)] : []), make("td", { class: "stamp" }, span.first), make("td", { class: "stamp" }, span.last),
      make("td", { class: "number" }, span.peak.toFixed(2)), make("td", {}, span.channel))))));
}
