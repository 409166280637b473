// Whether the studio answers: where it stops, the page says so and waits until it is there again.

import { make } from "./dom.js";

const PAUSE = 1500, SHOWN = 4000;
const banner = make("p", { class: "banner", role: "status", hidden: true });
document.body.prepend(banner);
let waiting = false;

// `ask` is any request that succeeds where the studio is there; `returned` is called once it is.
export function watchConnection(ask, returned) {
  addEventListener("studio-lost", async () => {
    if (waiting) return;
    waiting = true;
    say("The studio has stopped. This page waits for it; what you typed is kept.", "lost");
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      try {
        await ask();
        break;
      } catch (error) {
        if (error.status) break;
      }
    }
    waiting = false;
    say("The studio is back.", "back");
    setTimeout(() => waiting || (banner.hidden = true), SHOWN);
    returned();
  });
}

function say(text, kind) {
  banner.textContent = text;
  banner.className = `banner ${kind}`;
  banner.hidden = false;
}
