// The JSON API for people, made from the description that programs read, /openapi.json.

import { get } from "./api.js";
import { make, problemLine } from "./dom.js";

const main = document.getElementById("main");
try {
  const api = await get("/openapi.json");
  const operations = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  main.replaceChildren(make("h1", {}, "API"), make("p", { class: "lead" }, api.info.description),
    make("p", {}, "Every answer is JSON. What goes wrong is one sentence, ", make("code", {}, '{"error": "…"}'), ", with a status of 400 or more. The description for programs is at ",
      make("a", { href: "/openapi.json" }, "/openapi.json"), "."), ...operations.map((one) => section(api, one)));
} catch (error) {
  const problem = problemLine();
  problem.say(error);
  main.replaceChildren(problem, make("p", {}, make("a", { href: "/" }, "Go to the models")));
}

function section(api, { path, method, operation }) {
  const body = Object.entries(operation.requestBody?.content ?? {})[0];
  const schema = body && resolved(api, body[1].schema), fields = schema?.properties ? Object.entries(schema.properties) : [];
  const rows = [
    ...(operation.parameters ?? []).map((one) => [one.name, one.in, typeOf(one.schema), one.required, one.description ?? one.schema.description, one.schema.default]),
    ...fields.map(([name, one]) => [name, "JSON", typeOf(one), schema.required?.includes(name), one.description, one.default]),
    ...(body && !fields.length ? [["the body", body[0], "bytes", operation.requestBody.required, operation.requestBody.description]] : []),
  ];
  const answer = resolved(api, operation.responses["200"]?.content?.["application/json"]?.schema ?? {});
  return make("section", { class: "card" }, make("h2", {}, make("code", {}, `${method.toUpperCase()} ${path}`)), make("p", {}, operation.description ?? ""),
    make("pre", { tabindex: "0" }, make("code", {}, example(path, method, operation, body, schema))),
    ...(rows.length ? [table(["argument", "in", "type", "", "what"], rows.map(([name, where, type, required, what, preset]) =>
      [name, where, type, required ? "required" : preset === undefined || preset === null ? "" : `default ${JSON.stringify(preset)}`, what ?? ""]))] : []),
    ...(answer.properties ? [make("h3", {}, "Answer"), table(["field", "type", "what"], Object.entries(answer.properties).map(([name, one]) => [name, typeOf(one), one.description ?? ""]))] : []));
}

function table(heads, rows) {
  return make("div", { class: "wide", tabindex: "0" }, make("table", {}, make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
  make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell, place) => make("td", {}, place === 0 ? make("code", {}, cell) : cell)))))));
}
function resolved(api, schema) {
  return schema?.$ref ? api.components.schemas[schema.$ref.split("/").at(-1)] : schema ?? {};
}

function typeOf(schema) {
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter((type) => type !== "null").join(" or ");
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  const low = schema.minimum ?? schema.exclusiveMinimum, high = schema.maximum ?? schema.exclusiveMaximum;
  return (schema.type ?? "any") + (low !== undefined && high !== undefined ? ` (${low} to ${shortened(high)})` : "");
}
function shortened(number) {
  return number > 1e15 ? number.toExponential(0) : number;
}

function example(path, method, operation, body, schema) {
  const required = (operation.parameters ?? []).filter((one) => one.required);
  const filled = required.filter((one) => one.in === "path").reduce((whole, one) => whole.replace(`{${one.name}}`, "MODEL"), path);
  const asked = required.filter((one) => one.in === "query").map((one) => `${one.name}=${{ word: "king", a: "man", b: "king", c: "woman", question: "what+is+it" }[one.name] ?? "…"}`).join("&");
  const address = `'${location.origin}${filled}${asked ? `?${asked}` : ""}'`, token = sessionStorage.getItem("token") ? " -H 'authorization: Bearer TOKEN'" : "";
  if (method === "get") return `curl ${address}${token}`;
  if (schema?.properties) {
    const given = Object.keys(schema.properties).some((name) => name === "prompt") ? { prompt: "The " } : (schema.required ?? []).includes("text") ? { text: "it is not bad" } : {};
    return `curl ${address}${token} -H 'content-type: application/json' \\\n  -d '${JSON.stringify(given)}'`;
  }
  return `curl ${address}${token} --data-binary @${body?.[0] === "text/csv" ? "series.csv" : "picture.png"}`;
}
