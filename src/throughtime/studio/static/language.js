// A language model: it writes as one watches, and every character can be coloured by surprise or by a neuron.

import { post, streamed } from "./api.js";
import { card, columns, field, make, newest, paint, problemLine, slider } from "./dom.js";

export function languageView(models) {
  const prompt = make("textarea", { rows: 2, spellcheck: "false", placeholder: "The beginning of the text; may be empty" });
  const temperature = slider("Temperature", { min: 0, max: 2, step: 0.05, value: 0.8 });
  const topP = slider("Likeliest share (top-p)", { min: 0.05, max: 1, step: 0.05, value: 1 });
  const length = make("input", { type: "number", min: 1, max: 5000, value: 400 });
  const seed = make("input", { type: "number", min: 0, placeholder: "any" });
  const stops = make("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "nowhere" });
  const write = make("button", { class: "main", type: "submit" }, "Write");
  const stop = make("button", { type: "button", disabled: true }, "Stop");
  const colour = make("select", {}, make("option", { value: "surprise" }, "surprise"), make("option", { value: "" }, "nothing"));
  const problem = problemLine(), { whole, places } = columns(models);
  const sheets = places.map(({ model, body }) => new Sheet(model, body));
  let controller = null;

  async function run(event) {
    event?.preventDefault();
    controller?.abort();
    controller = new AbortController();
    const own = controller;
    problem.say(null);
    write.disabled = true;
    stop.disabled = false;
    const asked = { prompt: prompt.value, temperature: Number(temperature.input.value), stream: true, length: Number(length.value),
      top_p: Number(topP.input.value), seed: seed.value === "" ? null : Number(seed.value), stop: stops.value === "" ? [] : [stops.value.replaceAll("\\n", "\n")] };
    const found = await Promise.allSettled(sheets.map((sheet) => sheet.write(asked, own.signal, colour.value === "" ? null : "surprise")));
    if (own !== controller) return;
    problem.say(found.find((one) => one.status === "rejected")?.reason ?? null);
    write.disabled = false;
    stop.disabled = true;
    await lookAtNeurons();
  }
  const read = newest(async (signal) => {
    await Promise.all(sheets.map((sheet) => sheet.read(signal)));
    listNeurons();
  }, problem);
  const lookAtNeurons = () => (sheets.some((sheet) => sheet.pieces.join("").length > 3) ? read() : null);

  function listNeurons() {
    const chosen = colour.value;
    colour.querySelectorAll("optgroup").forEach((group) => group.remove());
    sheets.forEach((sheet, place) => {
      if (!sheet.neurons.length) return;
      const group = make("optgroup", { label: models.length > 1 ? sheet.model.name : "a neuron" },
        sheet.neurons.map((neuron, number) => make("option", { value: `${place}:${number}` },
          neuron.follows ? `${neuron.name}, follows ${neuron.follows} (${neuron.score.toFixed(2)})` : `${neuron.name}, varies most`)));
      colour.append(group);
    });
    colour.value = chosen;
    if (colour.selectedIndex < 0) colour.value = "surprise";
    show();
  }
  function show() {
    const [place, number] = colour.value.split(":").map(Number);
    sheets.forEach((sheet, own) => sheet.colour(colour.value === "surprise" ? "surprise" : colour.value && own === place ? number : null));
  }

  stop.addEventListener("click", () => controller?.abort());
  colour.addEventListener("change", show);
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });
  return card(null,
    make("form", { onsubmit: run }, field("Beginning", prompt),
      make("div", { class: "row" }, temperature.whole, topP.whole, field("Tokens", length), field("Seed", seed), field("End before", stops), write, stop)),
    problem,
    make("div", { class: "row" }, field("Coloured by", colour, { wide: true })),
    whole,
    make("p", { class: "note" }, "Surprise is how unlikely the model held what came, in nats: the bluer, the less expected. Of a neuron, blue is above the middle of its values and orange below."));
}

class Sheet {
  constructor(model, body) {
    this.model = model;
    this.text = make("div", { class: "text letters", tabindex: "0", role: "region", "aria-label": `Text written by ${model.name}` });
    this.facts = make("p", { class: "note" });
    body.append(this.text, this.facts);
    this.clear("surprise");
  }
  clear(by) {
    this.text.replaceChildren();
    this.pieces = [];
    this.nats = [];
    this.neurons = [];
    this.by = by;
  }
  async write(asked, signal, by) {
    this.clear(by);
    if (asked.prompt) this.add(asked.prompt, null).classList.add("prompt");
    const begun = performance.now();
    let count = 0;
    try {
      for await (const { name, data } of streamed("/v1/generate", { ...asked, model: this.model.name }, signal)) {
        if (name === "piece") {
          count += 1;
          const atEnd = this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 40;
          this.add(data.text, data.surprise);
          if (atEnd) this.text.scrollTop = this.text.scrollHeight;
        }
      }
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
    const seconds = (performance.now() - begun) / 1000, known = this.nats.filter((nats) => nats !== null);
    const mean = known.reduce((sum, nats) => sum + nats, 0) / Math.max(known.length, 1);
    this.facts.textContent = count ? `${count} pieces, ${Math.round(count / seconds)} a second; ${mean.toFixed(2)} nats of surprise each.` : "";
  }
  add(piece, nats) {
    const span = make("span", {}, piece);
    this.pieces.push(piece);
    this.nats.push(nats);
    this.text.append(paint(span, this.by === "surprise" ? nats : null, 6, "nats"));
    return span;
  }
  // What was written is read again as a whole: then neurons are known, and the prompt's surprises.
  async read(signal) {
    const whole = this.pieces.join("");
    if (whole.length < 4) return;
    const found = await post("/v1/read", { model: this.model.name, text: whole }, signal);
    this.pieces = found.pieces;
    this.nats = found.surprise;
    this.neurons = found.neurons;
    this.text.replaceChildren(...found.pieces.map((piece) => make("span", {}, piece)));
    this.facts.textContent = this.facts.textContent.replace(/ Read.*$/, "") + ` Read again: ${found.bits_per_character.toFixed(2)} bits per character.`;
    this.colour(this.by);
  }
  colour(by) {
    this.by = by;
    const values = by === "surprise" ? this.nats : by === null ? [] : this.neurons[by]?.values ?? [];
    const most = by === "surprise" ? 6 : Math.max(...values.map((value) => Math.abs(value ?? 0)), 1e-9);
    [...this.text.children].forEach((span, place) => paint(span, values[place], most, by === "surprise" ? "nats" : ""));
  }
}
