// What one types: classified word by word, or translated with its alignment.

import { post } from "./api.js";
import { bars, card, coloured, columns, field, later, make, newest, problemLine } from "./dom.js";

const EXPLAINED = 300;

export function classifierView(models) {
  const text = make("textarea", { rows: 4, placeholder: "Type or paste a text" });
  const label = make("select", {}, make("option", { value: "" }, "the likeliest class"),
    [...new Set(models.flatMap((model) => model.classes))].map((name) => make("option", { value: name }, name)));
  const problem = problemLine(), { whole, places } = columns(models);
  const ask = newest(async (signal) => {
    if (!text.value.trim()) {
      places.forEach(({ body }) => body.replaceChildren());
      return;
    }
    const explain = text.value.split(/\s+/).length <= EXPLAINED;
    await Promise.all(places.map(async ({ model, body }) => {
      body.classList.add("busy");
      try {
        const chosen = model.classes.includes(label.value) ? label.value : null;
        const found = await post("/v1/classify", { model: model.name, text: text.value, explain, label: chosen }, signal);
        body.replaceChildren(
          make("p", { class: "result", "aria-live": "polite" }, found.labels.join(", ") || "no class is likelier than not"),
          bars(found.probabilities),
          ...(found.words?.length ? [
            make("h3", {}, `What each word does to “${found.explained}”`),
            coloured(found.words.map((word) => `${word.word} `), found.words.map((word) => word.change), { unit: "log-odds" }),
            make("p", { class: "note" }, "Blue words speak for it, orange ones against: by how much its log-odds fall when the word is left out. Point at a word for the number.")] : []),
          ...(explain ? [] : [make("p", { class: "note" }, `Texts of at most ${EXPLAINED} words are explained word by word.`)]));
      } finally {
        body.classList.remove("busy");
      }
    }));
  }, problem);
  text.addEventListener("input", later(ask));
  label.addEventListener("change", () => ask());
  return card(null, field("Text", text), make("div", { class: "row" }, field("Explain", label)), problem, whole);
}

export function translatorView(models) {
  const text = make("textarea", { rows: 2, placeholder: "A sentence to translate" });
  const beam = make("input", { type: "number", min: 1, max: 32, value: 5 });
  const problem = problemLine(), { whole, places } = columns(models);
  const ask = newest(async (signal) => {
    if (!text.value.trim()) {
      places.forEach(({ body }) => body.replaceChildren());
      return;
    }
    const size = Number(beam.value);
    await Promise.all(places.map(async ({ model, body }) => {
      body.classList.add("busy");
      try {
        const found = await post("/v1/translate", { model: model.name, text: text.value, beam_size: size, n_best: Math.min(size, 3) }, signal);
        body.replaceChildren(
          make("p", { class: "result", "aria-live": "polite" }, found.text || "(nothing)"),
          ...(found.others.length ? [make("p", { class: "note" }, "Next best:"),
            make("ul", { class: "said" }, found.others.map((other) => make("li", {}, other.text || "(nothing)")))] : []),
          found.alignment ? alignment(found) : make("p", { class: "note" }, "This network has no attention, so there is no alignment to show."));
      } finally {
        body.classList.remove("busy");
      }
    }));
  }, problem);
  text.addEventListener("input", later(ask, 400));
  beam.addEventListener("change", () => ask());
  return card(null, field("Sentence", text), make("div", { class: "row" }, field("Beam size", beam)), problem, whole);
}

function alignment({ source_pieces: source, pieces, alignment: weights }) {
  const rows = [...pieces, "■"];
  return make("div", {}, make("h3", {}, "Where it looked"), make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Alignment" },
    make("table", { class: source.some((piece) => piece.length > 2) ? "alignment long" : "alignment" },
      make("thead", {}, make("tr", {}, make("td"), source.map((piece) => make("th", { scope: "col" }, piece)))),
      make("tbody", {}, weights.map((row, place) => make("tr", {}, make("th", { scope: "row" }, rows[place]), row.map((value, column) => {
        const cell = make("td", { title: `${rows[place]} looked at ${source[column]}: ${value.toFixed(2)}` });
        cell.style.setProperty("--o", (0.9 * value).toFixed(3));
        return cell;
      })))))), make("p", { class: "note" }, "A row for each word of the translation, ■ being its end; a column for each word of the sentence."));
}
