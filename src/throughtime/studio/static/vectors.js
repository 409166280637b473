// Word vectors: neighbours on a map, analogies.

import { ServerError, get } from "./api.js";
import { wordMap } from "./charts.js";
import { card, columns, field, later, make, newest, problemLine } from "./dom.js";

export function vectorsView(models) {
  const known = make("datalist", { id: "known-words" });
  const word = make("input", { type: "text", list: "known-words", autocomplete: "off", spellcheck: "false" });
  const problem = problemLine(), { whole, places } = columns(models);
  const ask = newest(async (signal) => {
    if (!word.value.trim()) return;
    await Promise.all(places.map(async ({ model, body }) => {
      const found = await get("/v1/vectors/neighbours", { model: model.name, word: word.value.trim() }, signal);
      const words = [...found.asked.map((one) => ({ ...one, asked: true })), ...found.found];
      body.replaceChildren(
        wordMap(words, `Map of ${word.value} and the words nearest to it`, (chosen) => show(chosen)),
        make("h3", {}, "Nearest"),
        make("div", { class: "words" }, found.found.map((one) =>
          make("button", { type: "button", onclick: () => show(one.word) }, `${one.word} `, make("span", { class: "note" }, one.score.toFixed(2))))));
    }));
  }, problem);
  const complete = newest(async (signal) => {
    const { words } = await get("/v1/vectors/words", { model: models[0].name, prefix: word.value }, signal);
    known.replaceChildren(...words.map((one) => make("option", { value: one })));
  }, problemLine());
  function show(chosen) {
    word.value = chosen;
    ask();
  }
  word.addEventListener("input", later(() => complete()));
  const first = get("/v1/vectors/words", { model: models[0].name });
  first.then(async ({ words }) => {
    known.replaceChildren(...words.map((one) => make("option", { value: one })));
    const beginning = await isKnown(models[0], "king") ? "king" : words[Math.min(20, words.length - 1)];
    if (!word.value) show(beginning);
  }, problem.say);
  const search = make("form", { class: "row", onsubmit: (event) => { event.preventDefault(); ask(); } },
    field("Word", word, { wide: true }), make("button", { class: "main", type: "submit" }, "Show neighbours"), known);
  return make("div", {},
    card("Neighbours", search, problem, whole, make("p", { class: "note" }, "The map shows the first two principal components of these words alone. Choose a word to go on from there.")),
    analogies(models));
}

const isKnown = async (model, word) => (await get("/v1/vectors/words", { model: model.name, prefix: word })).words.includes(word);

function analogies(models) {
  const inputs = ["man", "king", "woman"].map((value) => make("input", { type: "text", list: "known-words", spellcheck: "false", autocomplete: "off", "data-wish": value }));
  const problem = problemLine(), { whole, places } = columns(models);
  Promise.all(inputs.map((input) => isKnown(models[0], input.dataset.wish))).then((known) => {
    if (known.every(Boolean) && inputs.every((input) => !input.value)) inputs.forEach((input) => (input.value = input.dataset.wish));
  }, problem.say);
  const ask = newest(async (signal) => {
    const [a, b, c] = inputs.map((input) => input.value.trim());
    if (!a || !b || !c) throw new ServerError("Give three words.", 0);
    await Promise.all(places.map(async ({ model, body }) => {
      const found = await get("/v1/vectors/analogy", { model: model.name, a, b, c }, signal);
      const words = [...found.asked.map((one) => ({ ...one, asked: true })), { ...found.found[0], best: true }];
      body.replaceChildren(
        make("p", { class: "result", "aria-live": "polite" }, found.found[0].word),
        make("p", { class: "note" }, "Next: " + found.found.slice(1).map((one) => `${one.word} (${one.score.toFixed(2)})`).join(", ")),
        wordMap(words, `Map of ${a}, ${b}, ${c} and ${found.found[0].word}`));
    }));
  }, problem);
  return card("Analogies", make("form", { class: "row", onsubmit: (event) => { event.preventDefault(); ask(); } },
    field("As", inputs[0], { wide: true }), field("is to", inputs[1], { wide: true }), field("so is", inputs[2], { wide: true }),
    make("button", { class: "main", type: "submit" }, "Solve")), problem, whole);
}
