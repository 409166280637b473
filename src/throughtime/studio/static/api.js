// Asking the server: JSON, bytes, and server-sent events. A token comes from behind the # of the address once.

import { sentence } from "./dom.js";

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}

export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function request(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem("token");
  if (token) headers.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    throw lost(error, "The studio doesn't answer; is it still running?");
  }
  if (response.ok) return response;
  let message = `The studio answered with ${response.status}.`;
  try {
    message = sentence((await response.json()).error);
  } catch { /* the answer was no JSON */ }
  throw new ServerError(message, response.status);
}

function lost(error, message) {
  if (error.name === "AbortError") return error;
  dispatchEvent(new Event("studio-lost"));
  return new ServerError(message, 0);
}

const query = (values) => {
  const set = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
};
const json = (body, signal) =>
  ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });

export const get = async (path, values = {}, signal) => (await request(path + query(values), { signal })).json();
export const post = async (path, body, signal) => (await request(path, json(body, signal))).json();
export const send = async (path, bytes, values = {}, signal) =>
  (await request(path + query(values), { method: "POST", body: bytes ?? "", signal })).json();

export async function* streamed(path, body, signal) {
  yield* events(await request(path, json(body, signal)));
}
export async function* followed(path, values, signal) {
  yield* events(await request(path + query(values), { signal }));
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw lost(error, "The studio stopped in the middle of its answer.");
    });
    if (done) return;
    held += value;
    const parts = held.split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      const name = /^event: (.*)$/m.exec(part), data = /^data: (.*)$/m.exec(part);
      if (!name || !data) continue;
      const content = JSON.parse(data[1]);
      if (name[1] === "error") throw new ServerError(sentence(content.error), 500);
      yield { name: name[1], data: content };
    }
  }
}
