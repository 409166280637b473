// A dropped picture: captioned while its attention moves over it, asked about, classified.

import { send } from "./api.js";
import { bars, card, columns, dropZone, field, make, newest, problemLine } from "./dom.js";

const STEP = 700;

function pictureTask(models, ask, ...controls) {
  const problem = problemLine(), { whole, places } = columns(models);
  const shown = make("img", { alt: "The picture that was dropped", hidden: true });
  const frame = make("div", { class: "picture" }, shown);
  let picture = null;
  const run = newest(async (signal) => {
    if (!picture) return;
    places.forEach(({ body }) => body.classList.add("busy"));
    try {
      await Promise.all(places.map(({ model, body }) => ask({ model, body, picture, shown, signal })));
    } finally {
      places.forEach(({ body }) => body.classList.remove("busy"));
    }
  }, problem);
  function take(file) {
    picture = file;
    URL.revokeObjectURL(shown.src);
    shown.src = URL.createObjectURL(file);
    shown.hidden = false;
    places.forEach(({ body }) => body.replaceChildren());
    run();
  }
  shown.addEventListener("error", () => (shown.hidden = true));
  const zone = dropZone("Drop a picture here", "or choose one, or paste one", "image/*", take);
  const paste = (event) => {
    if (!whole.isConnected) return document.removeEventListener("paste", paste);
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) take(file);
  };
  document.addEventListener("paste", paste);
  return { view: card(null, zone, make("div", { class: "row" }, frame), ...controls, problem, whole), run };
}

export const captionView = (models) => pictureTask(models, async ({ model, body, picture, shown, signal }) => {
  const found = await send("/v1/caption", picture, { model: model.name }, signal);
  body.replaceChildren(make("p", { class: "result", "aria-live": "polite" }, found.text || "(nothing)"));
  if (found.attention) body.append(moving(shown, found));
  if (found.others.length) body.append(make("p", { class: "note" }, `Next best: ${found.others.join("; ")}`));
}).view;

// Where the network looked for each word: the picture is dark elsewhere. It moves on by itself until one chooses.
function moving(shown, { pieces, attention }) {
  const canvas = make("canvas", { "aria-hidden": "true" }), picture = make("img", { src: shown.src, alt: "Where the network looked for the chosen word" });
  const rows = attention[0].length, width = attention[0][0].length;
  canvas.width = width * 16;
  canvas.height = rows * 16;
  const words = pieces.map((piece, place) => make("button", { type: "button", "aria-pressed": "false", onclick: () => { stop(); look(place); } }, piece.trim() || "·"));
  function look(place) {
    words.forEach((word, other) => word.setAttribute("aria-pressed", String(other === place)));
    const small = new OffscreenCanvas(width, rows), context = small.getContext("2d"), pixels = context.createImageData(width, rows);
    const most = Math.max(...attention[place].flat(), 1e-9);
    attention[place].flat().forEach((weight, number) => (pixels.data[4 * number + 3] = Math.round(205 * (1 - weight / most))));
    context.putImageData(pixels, 0, 0);
    const large = canvas.getContext("2d");
    large.clearRect(0, 0, canvas.width, canvas.height);
    large.imageSmoothingQuality = "high";
    large.drawImage(small, 0, 0, canvas.width, canvas.height);
  }
  let place = 0;
  const timer = matchMedia("(prefers-reduced-motion: reduce)").matches ? null : setInterval(() => {
    if (!canvas.isConnected || !pieces.length) return stop();
    look((place = (place + 1) % pieces.length));
  }, STEP);
  const stop = () => clearInterval(timer);
  if (pieces.length) look(0);
  return make("div", {}, make("div", { class: "picture" }, picture, canvas),
    make("div", { class: "words", role: "group", "aria-label": "Words of the caption" }, words),
    make("p", { class: "note" }, "The light is where the network looked for the word. Choose a word to hold it there."));
}

export function answerView(models) {
  const question = make("input", { type: "text", placeholder: "What is in the picture?", autocomplete: "off" });
  const form = make("form", { class: "row" }, field("Question", question, { wide: true }), make("button", { class: "main", type: "submit" }, "Ask"));
  const { view, run } = pictureTask(models, async ({ model, body, picture, signal }) => {
    if (!question.value.trim()) return;
    const found = await send("/v1/answer", picture, { model: model.name, question: question.value.trim() }, signal);
    body.replaceChildren(make("p", { class: "result", "aria-live": "polite" }, found.answer), bars(found.probabilities),
      ...(found.unknown.length ? [make("p", { class: "note" }, `Words that the model doesn't know: ${found.unknown.join(", ")}.`)] : []));
  }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  return view;
}

export const labelView = (models) => pictureTask(models, async ({ model, body, picture, signal }) => {
  const found = await send("/v1/label", picture, { model: model.name }, signal);
  body.replaceChildren(make("p", { class: "result", "aria-live": "polite" }, found.labels.join(", ") || "no class is likelier than not"), bars(found.probabilities));
}).view;
