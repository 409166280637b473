// Sequences of numbers from a dropped file: a label for each, and what each step of one adds to it.

import { send } from "./api.js";
import { heatMap, legend, lineChart } from "./charts.js";
import { bars, card, columns, dropZone, field, make, newest, problemLine, sentence } from "./dom.js";

const LINES = 4;
const OWN = "the model's own validation sequences";

export function sequencesView(models) {
  const problem = problemLine(), { whole, places } = columns(models);
  const told = make("p", { class: "note", "aria-live": "polite" });
  const chooser = make("select", {}), choice = field("Sequence", chooser);
  choice.hidden = true;
  let file = null, name = OWN;
  const ask = newest(async (look, signal) => {
    const found = await Promise.all(places.map(({ model }) => send("/v1/label-sequences", file, { model: model.name, look }, signal)));
    const { sequences, left_out: leftOut, remarks } = found[0];
    chooser.replaceChildren(...sequences.map((one, place) => make("option", { value: place }, `${place + 1}: ${one.labels.join(", ") || "no class"}`)));
    chooser.value = look;
    choice.hidden = sequences.length < 2;
    places.forEach(({ body }, place) => body.replaceChildren(...looked(found[place])));
    told.textContent = [`Shown: ${name}.`, ...remarks.map(sentence), leftOut ? `${leftOut} more are left out.` : ""].filter(Boolean).join(" ");
  }, problem);
  function take(chosen, called) {
    file = chosen;
    name = called;
    ask(0);
  }
  chooser.addEventListener("change", () => ask(Number(chooser.value)));
  const zone = dropZone("Drop a file of sequences here", "or choose one: NPZ, JSON lines with values, or a CSV", ".npz,.jsonl,.ndjson,.csv,.tsv,.txt", (chosen) => take(chosen, chosen.name));
  const own = make("button", { type: "button", onclick: () => take(null, OWN) }, "Show its own sequences");
  ask(0);
  return card(null, zone, make("div", { class: "row" }, choice, own), problem, told, whole);
}

function looked({ sequences, channels, looked_at: look }) {
  const one = sequences[look.number], known = one.known.join(", "), said = one.labels.join(", ");
  const judged = sequences.filter((other) => other.known.length), right = judged.filter((other) => other.known.join() === other.labels.join());
  return [
    make("p", { class: "result", "aria-live": "polite" }, said || "no class is likelier than not"),
    ...(known ? [make("p", { class: "note" }, known === said ? `That is what it is; ${right.length} of ${judged.length} are right.` : `It is ${known}; ${right.length} of ${judged.length} are right.`)] : []),
    bars(one.probabilities),
    make("h3", {}, `The sequence, ${look.steps} steps`),
    ...drawn(look.values, channels),
    ...(look.added ? [make("h3", {}, `What each step adds to “${look.explained}”`),
      lineChart({ lines: [{ name: "added", colour: "c2", points: look.added.map((value, step) => [step + 1, value]) }], bands: [{ colour: "c2", points: look.added.map((value, step) => [step + 1, Math.min(value, 0), Math.max(value, 0)]) }],
        label: "What each step adds to the score of the class", xLabel: "step", height: 170 }),
      make("p", { class: "note" }, "Integrated gradients from a sequence of means: above zero a step speaks for the class, below against it.")] : []),
  ];
}

function drawn(values, channels) {
  if (values.length > LINES) {
    const numbers = values.flat(), low = Math.min(...numbers), high = Math.max(...numbers);
    const reach = low < 0 ? Math.max(-low, high) : high;
    return [heatMap({ values, low: low < 0 ? -reach : Math.min(low, high - 1e-9), high: reach || 1, name: "The sequence" }, [], channels),
      make("p", { class: "note" }, "A row for each channel, a column for each step.")];
  }
  const lines = values.map((channel, place) => ({ name: channels[place] ?? `${place + 1}`, colour: `c${place === 1 ? 3 : place + 1}`, points: channel.map((value, step) => [step + 1, value]) }));
  return [...(lines.length > 1 ? [legend(lines)] : []), lineChart({ lines, label: "The sequence", xLabel: "step", height: 200 })];
}
