// A dropped table of series, forecast with intervals.

import { send } from "./api.js";
import { legend, lineChart } from "./charts.js";
import { card, columns, dropZone, field, make, newest, problemLine, sentence } from "./dom.js";

export function forecastView(models) {
  const horizon = make("input", { type: "number", min: 1, max: 1000, placeholder: "as trained" });
  const problem = problemLine(), { whole, places } = columns(models);
  const told = make("p", { class: "note", "aria-live": "polite" });
  let table = null, name = "the model's own series";
  const ask = newest(async (signal) => {
    const found = await Promise.all(places.map(({ model }) => send("/v1/forecast", table, { model: model.name, horizon: horizon.value }, signal)));
    places.forEach(({ body }, place) => show(body, found[place]));
    told.textContent = [`Shown: ${name}, ${found[0].frequency}.`, ...found[0].remarks.map(sentence)].join(" ");
  }, problem);
  const zone = dropZone("Drop a CSV here", "or choose one: unique_id, ds, y, or a series in each column", ".csv,.tsv,.txt,text/csv", (file) => {
    table = file;
    name = file.name;
    ask();
  });
  const own = make("button", { type: "button", onclick: () => { table = null; name = "the model's own series"; ask(); } }, "Show its own series");
  horizon.addEventListener("change", () => ask());
  ask();
  return card(null, zone, make("div", { class: "row" }, field("Steps ahead", horizon), own), problem, told, whole);
}

function show(body, { series, left_out: leftOut }) {
  const chooser = make("select", {}, series.map((one, place) => make("option", { value: place }, one.unique_id)));
  const chart = make("div");
  const draw = () => chart.replaceChildren(...chartOf(series[Number(chooser.value)]));
  chooser.addEventListener("change", draw);
  draw();
  body.replaceChildren(...(series.length > 1 ? [field("Series", chooser)] : []), chart,
    ...(leftOut ? [make("p", { class: "note" }, `${leftOut} more series in the table are not shown.`)] : []));
}

function chartOf(one) {
  const start = one.history.length - 1, at = (values) => values.map((value, step) => [start + 1 + step, value]);
  const last = [start, one.history[start]];
  const lines = [{ name: "history", colour: "c0", points: one.history.map((value, step) => [step, value]) },
    { name: "forecast", colour: "c2", points: [last, ...at(one.forecast)] }];
  const bands = one.intervals.map(({ low, high }) => ({ colour: "c2", points: [[start, last[1], last[1]], ...low.map((value, step) => [start + 1 + step, value, high[step]])]
    .filter((point) => point.every((value) => value !== null)) }));
  const levels = one.intervals.map((interval) => `${interval.level} %`).join(" and ");
  return [legend([lines[0], { ...lines[1], name: levels ? `forecast, in these bands with ${levels}` : "forecast" }]),
    lineChart({ lines, bands, label: `History and forecast of ${one.unique_id}`, xNames: [...one.history_ds, ...one.ds], marks: [start], height: 300 }),
    make("details", {}, make("summary", { class: "note" }, "Numbers"), make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, ["time", "forecast", ...one.intervals.map((interval) => `${interval.level} %`)].map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, one.ds.map((stamp, step) => make("tr", {}, make("td", {}, stamp), make("td", { class: "number" }, format(one.forecast[step])),
        one.intervals.map(({ low, high }) => make("td", { class: "number" }, `${format(low[step])} to ${format(high[step])}`))))))))];
}
const format = (value) => (value === null ? "" : Number(value.toPrecision(5)).toLocaleString("en"));
