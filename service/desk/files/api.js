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

/** How many requests wait to be sent again, because the service is away or busy. */
export const waiting = createStore(0);

/** The models that answer, as `GET /bundle` describes them; null until they are known. */
export const bundle = createStore(null);

const PATIENCE_MS = { usual: 20000, files: 120000 };
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [300, 4000];
export const BROKEN_OFF = "broken-off";
const BUSY = [429, 502, 503, 504];

const url = (path) => new URL(String(path).replace(/^\//, ""), document.baseURI);

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function problemOf(response) {
  return new Problem(response.status, await response.json().catch(() => null));
}

let signIns = 0;

/** Say that the session has ended, and wait until the analyst has signed in again. */
function signedInAgain() {
  session.set((old) => ({ ...old, name: null, role: null, ended: true, before: old.before || old.name }));
  return new Promise((resolve) => {
    const stop = session.follow(({ name }) => { if (name) { stop(); resolve(); } });
  });
}

/** After how many milliseconds a request is sent again: null if the answer stays the same. */
async function repeatAfter(response, usual) {
  const busy = !response || BUSY.includes(response.status) || (response.status === 409
    && String((await response.clone().json().catch(() => null))?.type).endsWith(":idempotency-in-progress"));
  return busy ? Number(response?.headers.get("Retry-After")) * 1000 || usual : null;
}

/**
 * Send a request, which must be safe to repeat: again while the service is away or busy, and when the
 * analyst has signed in again. Throws Problem.
 */
async function send(path, options) {
  const until = performance.now() + (options.body instanceof FormData ? PATIENCE_MS.files : PATIENCE_MS.usual);
  for (let usual = FIRST_WAIT_MS; ; usual = Math.min(2 * usual, LONGEST_WAIT_MS)) {
    const began = signIns;
    const response = await fetch(url(path), { credentials: "same-origin", ...options }).catch((error) => {
      if (error.name === "AbortError") throw error;
    });
    if (response?.status === 401 && path !== "session") {
      if (began === signIns) await signedInAgain();
      continue;
    }
    const wait = await repeatAfter(response, usual);
    const doneTwice = !response && options.method === "DELETE"; // it may have been done, and the second is refused
    if (wait === null || doneTwice || performance.now() + wait > until) {
      if (!response) throw new Problem(0, { detail: T.errors.unreachable });
      return response;
    }
    waiting.set((count) => count + 1);
    await new Promise((resolve) => { setTimeout(resolve, wait); });
    waiting.set((count) => count - 1);
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
  return response.status === 204 ? null : response.json().catch((error) => {
    throw error.name === "AbortError" ? error : new Problem(0, { detail: T.errors.unreadable });
  });
}

/** Send a form; call `onLine` with each line of JSON of the answer as it comes. Throws Problem. */
export async function feed(path, form, onLine, signal) {
  const response = await send(path, { method: "POST", body: form, signal });
  if (!response.ok) throw await problemOf(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const next = () => reader.read().catch((error) => {
    throw error.name === "AbortError" ? error : new Problem(0, { detail: T.errors.brokenOff, type: BROKEN_OFF });
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
  session.set(await get("session"));
}

export async function loadBundle() {
  bundle.set(await get("bundle"));
}

export async function signIn(key) {
  const known = await call("POST", "session", { json: { key } });
  const { before } = session.get();
  signIns += 1;
  if (before && before !== known.name) location.reload(); // the page holds chips and notes of someone else
  else session.set(known);
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
