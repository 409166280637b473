// The page: which models there are, and the view for the one that was chosen, beside others of its task.

import { anomaliesView } from "./anomalies.js";
import { get } from "./api.js";
import { watchConnection } from "./connection.js";
import { card, field, make, problemLine } from "./dom.js";
import { canLookInside, insideView } from "./inside.js";
import { languageView } from "./language.js";
import { answerView, captionView, labelView } from "./pictures.js";
import { classifierView, translatorView } from "./sentences.js";
import { sequencesView } from "./sequences.js";
import { forecastView } from "./series.js";
import { trainingView } from "./training.js";
import { vectorsView } from "./vectors.js";
import { nextFramesView, videoCaptionView, videoLabelView } from "./videos.js";

const TASKS = {
  language_modelling: { name: "Language model", view: languageView },
  text_classification: { name: "Text classifier", view: classifierView },
  translation: { name: "Translator", view: translatorView },
  word2vec: { name: "Word vectors", view: vectorsView },
  forecasting: { name: "Forecaster", view: forecastView },
  captioning: { name: "Captioner", view: captionView },
  visual_question_answering: { name: "Answers about pictures", view: answerView },
  image_classification: { name: "Picture classifier", view: labelView },
  sequence_classification: { name: "Classifier of sequences", view: sequencesView },
  anomaly_detection: { name: "Anomaly detector", view: anomaliesView },
  video_classification: { name: "Video classifier", view: videoLabelView },
  video_captioning: { name: "Captioner of videos", view: videoCaptionView },
  next_frame: { name: "Next frames", view: nextFramesView },
};
const nameOf = (task) => TASKS[task]?.name ?? task.replaceAll("_", " ");

const main = document.getElementById("main"), nav = document.getElementById("models");
let models = [], training = null;
const beside = new Set();

async function start() {
  try {
    ({ models } = await get("/v1/models"));
  } catch (error) {
    if (error.status === 401) return askForToken();
    const problem = problemLine();
    problem.say(error);
    main.replaceChildren(problem, make("button", { type: "button", onclick: start }, "Try again"));
    return;
  }
  nav.replaceChildren(...models.map((model) => make("a", { href: `#${encodeURIComponent(model.name)}`, "data-name": model.name, title: nameOf(model.task) }, model.name)));
  show();
}

function askForToken() {
  const token = make("input", { type: "password", autocomplete: "off", required: true });
  main.replaceChildren(card("This studio needs its token",
    make("p", {}, "It was printed with the address where the studio was started."),
    make("form", { class: "row", onsubmit: (event) => {
      event.preventDefault();
      sessionStorage.setItem("token", token.value.trim());
      start();
    } }, field("Token", token, { wide: true }), make("button", { class: "main", type: "submit" }, "Enter"))));
  token.focus();
}

function chosen() {
  const name = decodeURIComponent(location.hash.slice(1));
  return models.find((model) => model.name === name) ?? models[0];
}

function show() {
  training?.close();
  const model = chosen();
  if (!model) return;
  document.title = `${model.name} · throughtime studio`;
  nav.querySelectorAll("a").forEach((link) => {
    if (link.dataset.name === model.name) {
      link.setAttribute("aria-current", "page");
      // scrollIntoView would let the tab key begin behind this link.
      nav.scrollLeft = link.offsetLeft - nav.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
    } else link.removeAttribute("aria-current");
  });
  const others = models.filter((other) => other !== model && other.task === model.task && other.is_ready);
  const shown = [model, ...others.filter((other) => beside.has(other.name))];
  const parts = [
    make("h1", {}, model.name),
    make("p", { class: "lead" }, [nameOf(model.task), model.is_ready ? model.about : "in training, no weights yet",
      model.weights === null || / weights$/.test(model.about) || model.task === "word2vec" ? null : `${model.weights.toLocaleString("en")} weights`].filter(Boolean).join(" · ")),
  ];
  if (others.length && model.is_ready) parts.push(make("fieldset", { class: "beside" }, make("legend", {}, "Beside it"), others.map((other) => {
    const box = make("input", { type: "checkbox", id: `beside-${other.name}`, checked: beside.has(other.name) });
    box.addEventListener("change", () => {
      beside[box.checked ? "add" : "delete"](other.name);
      show();
      document.getElementById(box.id)?.focus();
    });
    return make("label", { class: "check" }, box, other.name);
  })));
  const task = TASKS[model.task];
  if (model.is_ready && task) parts.push(task.view(shown));
  else if (model.is_ready) parts.push(card(null, make("p", {}, `There is no view for this task yet; its training${canLookInside(model.task) ? " and its inside are" : " is"} below.`)));
  if (model.is_ready && canLookInside(model.task)) parts.push(insideView(shown));
  training = trainingView(shown, { open: !model.is_ready || !task, whenReady: start });
  main.replaceChildren(...parts, training);
}

// The models may be others now, and this one's view is kept with what was typed where it is among them as it was.
watchConnection(() => get("/v1/models"), async () => {
  document.querySelectorAll(".error").forEach((line) => (line.hidden = true));
  const before = JSON.stringify(models);
  const { models: now } = await get("/v1/models");
  if (JSON.stringify(now) !== before || !nav.childElementCount) start();
});
// What stands behind # is a model's name.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
start();
