// A dropped video: labelled, captioned, or shown going on as the network thinks it would.

import { send } from "./api.js";
import { bars, card, columns, dropZone, field, make, newest, problemLine } from "./dom.js";

const STEP = 120;
const OWN = "the model's own validation videos";

function videoTask(models, path, draw, ...controls) {
  const problem = problemLine(), { whole, places } = columns(models);
  const told = make("p", { class: "note", "aria-live": "polite" });
  const chooser = make("select", {}), choice = field("Video", chooser);
  choice.hidden = true;
  let file = null, name = OWN;
  const run = newest(async (look, signal) => {
    places.forEach(({ body }) => body.classList.add("busy"));
    try {
      const values = Object.fromEntries(controls.map(({ name: key, input }) => [key, input.value]));
      const found = await Promise.all(places.map(({ model }) => send(path, file, { model: model.name, look, ...values }, signal)));
      const count = found[0].videos.length ?? found[0].videos;
      chooser.replaceChildren(...Array.from({ length: count }, (_, place) => make("option", { value: place }, String(place + 1))));
      chooser.value = look;
      choice.hidden = count < 2;
      places.forEach(({ body }, place) => body.replaceChildren(...draw(found[place])));
      told.textContent = `Shown: ${name}${count > 1 ? `, ${look + 1} of ${count}` : ""}.`;
    } finally {
      places.forEach(({ body }) => body.classList.remove("busy"));
    }
  }, problem);
  function take(chosen, called) {
    file = chosen;
    name = called;
    run(0);
  }
  chooser.addEventListener("change", () => run(Number(chooser.value)));
  controls.forEach(({ input }) => input.addEventListener("change", () => run(Number(chooser.value) || 0)));
  const zone = dropZone("Drop a GIF here", "or choose one, or NPZ with an array called video", ".gif,.npz,image/gif", (chosen) => take(chosen, chosen.name));
  const own = make("button", { type: "button", onclick: () => take(null, OWN) }, "Show its own videos");
  run(0);
  return card(null, zone, make("div", { class: "row" }, choice, ...controls.map(({ label, input }) => field(label, input)), own), problem, told, whole);
}

export const videoLabelView = (models) => videoTask(models, "/v1/label-video", ({ videos, frames, looked_at: look }) => {
  const one = videos[look], said = one.labels.join(", "), known = one.known.join(", ");
  return [make("p", { class: "result", "aria-live": "polite" }, said || "no class is likelier than not"),
    ...(known ? [make("p", { class: "note" }, known === said ? "That is what it is." : `It is ${known}.`)] : []),
    film(frames, frames.length), bars(one.probabilities)];
});

export const videoCaptionView = (models) => videoTask(models, "/v1/caption-video", (found) => {
  const { text, others, known, frames } = found, shown = film(frames, frames.length);
  return [make("p", { class: "result", "aria-live": "polite" }, text || "(nothing)"),
    ...(known.length ? [make("p", { class: "note" }, `People said: ${known.join("; ")}`)] : []),
    ...(others.length ? [make("p", { class: "note" }, `Next best: ${others.join("; ")}`)] : []),
    shown, ...(found.attention ? looked(shown, found) : [])];
});

// How much each word looked at each frame; a chosen word shows the frame that it looked at most.
function looked(shown, { pieces, attention }) {
  const words = pieces.map((piece, place) => make("button", { type: "button", "aria-pressed": "false", onclick: () => {
    choose(place);
    shown.hold(attention[place].indexOf(Math.max(...attention[place])));
  } }, piece.trim() || "·"));
  function choose(place) {
    words.forEach((word, other) => word.setAttribute("aria-pressed", String(other === place)));
    shown.weigh(attention[place]);
  }
  if (words.length) choose(0);
  return [make("div", { class: "words", role: "group", "aria-label": "Words of the caption" }, words),
    make("p", { class: "note" }, "The bar below a frame is how much the network looked at it for the chosen word.")];
}

export const nextFramesView = (models) => videoTask(models, "/v1/next-frames", ({ seen, predicted, gif }) => [
  film([...seen, ...predicted], seen.length),
  make("p", { class: "note" }, "Framed in orange: what the network predicts, each frame from those that it predicted before."),
  make("p", {}, make("a", { href: `data:image/gif;base64,${gif}`, download: "goes-on.gif" }, "Save as GIF")),
], { name: "count", label: "Frames ahead", input: make("input", { type: "number", min: 1, max: 100, value: 10 }) });

// A video that plays by itself until one chooses a frame.
function film(frames, seen) {
  const sources = frames.map((frame) => `data:image/png;base64,${frame}`);
  const screen = make("img", { class: "screen", alt: "" }), caption = make("figcaption", { class: "note" });
  const strip = sources.map((source, place) => make("button", { type: "button", class: place < seen ? "frame" : "frame predicted", "aria-pressed": "false",
    "aria-label": `Frame ${place + 1}${place < seen ? "" : ", predicted"}`, onclick: () => { pause(); look(place); } }, make("img", { src: source, alt: "" })));
  const play = make("button", { type: "button", onclick: () => (timer ? pause() : begin()) });
  let place = 0, timer = null;
  function look(next) {
    place = next;
    screen.src = sources[place];
    screen.classList.toggle("predicted", place >= seen);
    caption.textContent = `Frame ${place + 1} of ${frames.length}${place < seen ? "" : ", predicted"}`;
    strip.forEach((frame, other) => frame.setAttribute("aria-pressed", String(other === place)));
    const { offsetLeft, offsetWidth } = strip[place];
    roll.scrollLeft = offsetLeft - roll.offsetLeft - (roll.clientWidth - offsetWidth) / 2;
  }
  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }
  function begin() {
    timer = setInterval(() => (screen.isConnected ? look((place + 1) % frames.length) : pause()), STEP);
    play.textContent = "Pause";
  }
  const roll = make("div", { class: "strip", role: "group", "aria-label": "Frames" }, strip);
  const whole = make("div", {}, make("figure", { class: "film" }, screen, make("div", {}, caption, play)), roll);
  whole.hold = (frame) => {
    pause();
    look(Math.min(frame, frames.length - 1));
  };
  whole.weigh = (weights) => strip.forEach((frame, number) => {
    frame.classList.add("weighed");
    frame.style.setProperty("--w", weights[number].toFixed(3));
    frame.title = `${(100 * weights[number]).toFixed(0)} %`;
  });
  look(0);
  matchMedia("(prefers-reduced-motion: reduce)").matches ? pause() : begin();
  return whole;
}
