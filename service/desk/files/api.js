// Calls of the service's public API; whatever this page does, curl can do.
import { createStore } from "./lib.js";
import { T } from "./texts.js";

/** An answer that is not a success: `message` says what was wrong and what would be right. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || T.errors.status(status));
    this.status = status;
    this.kind = String(body?.type || "").replace("urn:crossfix:problem:", "");
    this.fields = Object.fromEntries((body?.fields || []).map((one) => [one.field, one.message]));
    this.vesselId = body?.vessel_id || null;
  }
}

/** Who is signed in: `{requires_key, name, role}`, null until it is known. */
export const session = createStore(null);

/** The models that answer, as `GET /bundle` describes them; null until they are known. */
export const bundle = createStore(null);

const url = (path) => new URL(String(path).replace(/^\//, ""), document.baseURI);

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function problemOf(response) {
  const body = await response.json().catch(() => null);
  if (response.status === 401 && session.get()?.name) {
    session.set((old) => ({ ...old, name: null, role: null, ended: true }));
  }
  return new Problem(response.status, body);
}

async function send(path, options) {
  try {
    return await fetch(url(path), { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: T.errors.unreachable });
  }
}

/** Send a request; return the JSON of the answer, null if it has none. Throws Problem. */
export async function call(method, path, { query, json, form, signal } = {}) {
  const headers = {};
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (method === "POST" && path !== "session") headers["Idempotency-Key"] = newId();
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== null && value !== undefined && value !== "") search.set(name, value);
  }
  const address = search.size ? `${path}?${search}` : path;
  const body = json !== undefined ? JSON.stringify(json) : form;
  const response = await send(address, { method, headers, body, signal });
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : response.json();
}

/** Send a form; call `onLine` with each line of JSON of the answer as it comes. Throws Problem. */
export async function feed(path, form, onLine, signal) {
  const response = await send(path, { method: "POST", body: form, signal });
  if (!response.ok) throw await problemOf(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const next = () => reader.read().catch((error) => {
    throw error.name === "AbortError" ? error : new Problem(0, { detail: T.errors.unreachable });
  });
  let rest = "";
  for (let part = await next(); !part.done; part = await next()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (const line of lines) onLine(JSON.parse(line));
  }
}

export const get = (path, query, signal) => call("GET", path, { query, signal });

/** Fetch a file as a Blob, e.g. in the format that the header Accept names. Throws Problem. */
export async function fetchBlob(path, headers) {
  const response = await send(path, { headers });
  if (!response.ok) throw await problemOf(response);
  return response.blob();
}

/** Build a form without empty fields. */
export function formOf(fields, files = []) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined && value !== "") form.append(name, value);
  }
  for (const [name, file] of files) form.append(name, file, file.name);
  return form;
}

export async function loadSession() {
  const known = await get("session");
  session.set(known);
  if (known.name) bundle.set(await get("bundle"));
  return known;
}

export async function signIn(key) {
  session.set(await call("POST", "session", { json: { key } }));
  bundle.set(await get("bundle"));
}

export async function signOut() {
  await call("DELETE", "session");
  location.reload(); // chips and notes in the page are of the one who signs out
}

/** Whether the caller may change the gallery and judge matches. */
export const mayChange = (who) => Boolean(who && who.role && who.role !== "reader");

const pictures = new Map();
const KEPT_PICTURES = 60;

/** Return an ImageBitmap of a picture of the service; the last ones are kept. */
export function picture(path) {
  if (!pictures.has(path)) {
    const loading = fetchBlob(path).then((blob) => createImageBitmap(blob));
    loading.catch(() => pictures.delete(path));
    pictures.set(path, loading);
    if (pictures.size > KEPT_PICTURES) pictures.delete(pictures.keys().next().value);
  }
  return pictures.get(path);
}

/** Run `work` for each item, at most `width` at a time. */
export async function inParallel(items, width, work) {
  const waiting = [...items];
  const run = async () => {
    while (waiting.length) await work(waiting.shift());
  };
  await Promise.all(Array.from({ length: Math.min(width, waiting.length) }, run));
}
