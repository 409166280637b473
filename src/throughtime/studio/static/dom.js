// Making elements, and the few things that all views do.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const sentence = (text) => {
  const first = text.slice(0, 1).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(first) ? first : `${first}.`;
};

let fields = 0;
export function field(label, input, { wide = false, hint = null } = {}) {
  input.id ||= `field-${++fields}`;
  const head = make("label", { for: input.id }, label);
  const whole = make("div", { class: wide ? "field wide" : "field" }, head, input);
  if (hint) whole.append(make("span", {}, hint));
  return whole;
}

export function slider(label, { min, max, step, value }, changed = () => {}) {
  const input = make("input", { type: "range", min, max, step, value });
  const shown = make("output", {}, String(value));
  input.addEventListener("input", () => {
    shown.textContent = input.value;
    changed(Number(input.value));
  });
  const whole = field("", input);
  whole.querySelector("label").append(`${label} `, shown);
  return { input, whole };
}

export const card = (title, ...children) =>
  make("section", { class: "card" }, title ? make("h2", {}, title) : null, ...children);

// A list of bars between 0 and 1.
export function bars(values, most = 8) {
  const rows = Object.entries(values).sort((one, other) => other[1] - one[1]).slice(0, most);
  return make("div", { class: "bars" }, rows.flatMap(([name, value]) => {
    const filled = make("i");
    filled.style.setProperty("--w", Math.min(Math.max(value, 0), 1));
    return [make("span", {}, name), make("span", { class: "bar", "aria-hidden": "true" }, filled),
      make("span", { class: "number" }, `${(100 * value).toFixed(1)} %`)];
  }));
}

// Text in colours: blue above zero, orange below.
export function coloured(pieces, values, { scale = null, unit = "", letters = false } = {}) {
  const most = scale ?? Math.max(...values.map((value) => Math.abs(value ?? 0)), 1e-9);
  return make("div", { class: letters ? "text letters" : "text" },
    pieces.map((piece, place) => paint(make("span", {}, piece), values[place], most, unit)));
}
export function paint(span, value, most, unit = "") {
  const share = value === null || value === undefined ? 0 : Math.min(Math.abs(value) / most, 1);
  span.className = share < 0.02 ? "" : value > 0 ? "a" : "b";
  span.style.setProperty("--o", (0.8 * share).toFixed(3));
  span.title = value === null || value === undefined ? "" : `${Number(value).toFixed(2)} ${unit}`.trim();
  return span;
}

// A line below the controls that says what went wrong; read aloud by screen readers.
export function problemLine() {
  const line = make("p", { class: "error", role: "alert", hidden: true });
  line.say = (error) => {
    if (error?.name === "AbortError") return;
    line.hidden = !error;
    line.textContent = error ? error.message : "";
    if (error && !error.status && error.status !== 0) console.error(error);
  };
  return line;
}

// Runs a question for the newest input alone; an older one that is still on its way is given up.
export function newest(ask, problem) {
  let controller = null;
  return async (...values) => {
    controller?.abort();
    controller = new AbortController();
    const own = controller;
    try {
      await ask(...values, own.signal);
      if (own === controller) problem.say(null);
    } catch (error) {
      if (own === controller) problem.say(error);
    }
  };
}

export function later(action, delay = 250) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => action(), delay);
  };
}

// Where a file is dropped, chosen or pasted.
export function dropZone(label, hint, accept, taken) {
  const input = make("input", { type: "file", accept });
  const zone = make("label", { class: "drop" }, make("strong", {}, label), make("span", {}, hint), input);
  input.addEventListener("change", () => input.files.length && taken(input.files[0]));
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) taken(event.dataTransfer.files[0]);
  });
  return zone;
}

// A place for each of the models that are compared; with one model it has no heading.
export function columns(models) {
  const places = models.map((model) => ({ model, body: make("div") }));
  const whole = make("div", { class: "columns" }, places.map(({ model, body }) =>
    make("section", { "aria-label": model.name }, models.length > 1 ? make("h3", {}, model.name) : null, body)));
  return { whole, places };
}
