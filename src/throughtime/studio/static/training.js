// How training went or goes: losses and gradient norms, live.

import { followed } from "./api.js";
import { legend, lineChart } from "./charts.js";
import { make, problemLine } from "./dom.js";

export function trainingView(models, { open, whenReady }) {
  const place = make("div"), problem = problemLine();
  const whole = make("details", { class: "card", open }, make("summary", {}, "Training"), problem, place);
  const logs = models.map(() => []);
  let controller = null;
  async function follow(model, number, signal) {
    for (;;) {
      try {
        for await (const { name, data } of followed(`/v1/runs/${encodeURIComponent(model.name)}/events`, { start: logs[number].length }, signal)) {
          problem.say(null);
          if (name === "weights" && !model.is_ready) whenReady();
          if (name !== "records") continue;
          logs[number] = logs[number].slice(0, data.next - data.records.length).concat(data.records);
          place.replaceChildren(...drawn(models, logs));
        }
      } catch (error) {
        if (signal.aborted) return;
        problem.say(error);
      }
      // The server may be started again.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      if (signal.aborted || !whole.isConnected) return;
    }
  }
  function begin() {
    controller?.abort();
    controller = null;
    if (!whole.open || document.hidden) return;
    controller = new AbortController();
    if (!logs.some((log) => log.length)) place.replaceChildren(make("p", { class: "note" }, "Nothing is logged yet; it will show here as it comes."));
    models.forEach((model, number) => follow(model, number, controller.signal));
  }
  whole.addEventListener("toggle", begin);
  // A browser has few connections to a server, so a page that nobody sees gives its own up.
  document.addEventListener("visibilitychange", begin);
  whole.close = () => {
    controller?.abort();
    document.removeEventListener("visibilitychange", begin);
  };
  return whole;
}

const curve = (log, name) => log.filter((record) => typeof record[name] === "number").map((record) => [record.step, record[name]]);

function drawn(models, logs) {
  const losses = models.flatMap((model, place) => [
    { name: `${model.name}: training loss`, colour: `c${(place % 4) + 1}`, points: curve(logs[place], "loss") },
    { name: `${model.name}: validation loss`, colour: models.length > 1 ? `c${(place % 4) + 1}` : "c2", dashed: models.length > 1, points: curve(logs[place], "validation_loss") },
  ]).filter((line) => line.points.length);
  const norms = models.map((model, place) => ({ name: models.length > 1 ? `${model.name}: gradient norm` : "gradient norm", colour: `c${(place % 4) + 1}`, points: curve(logs[place], "gradient_norm") })).filter((line) => line.points.length);
  const last = models.map((model, place) => {
    const record = logs[place].at(-1), validations = curve(logs[place], "validation_loss");
    const best = validations.length ? `, best validation loss ${Math.min(...validations.map(([, loss]) => loss)).toFixed(4)}` : "";
    return record?.step === undefined ? null : `${model.name}: ${record.step.toLocaleString("en")} steps${best}.`;
  }).filter(Boolean);
  return [make("p", {}, last.join(" ")),
    ...(losses.length ? [make("h3", {}, "Loss"), legend(losses), lineChart({ lines: losses, label: "Loss by step", xLabel: "step" })] : []),
    ...(norms.length ? [make("h3", {}, "Norm of the gradient"), lineChart({ lines: norms, label: "Norm of the gradient by step", xLabel: "step", height: 190 })] : [])];
}
