// Small parts that several pages share.
import {
  html, useEffect, useMemo, useRef, useState, useStore, createStore, useLoaded, useSettled, addressOf,
} from "./lib.js";
import { get, bundle } from "./api.js";
import { percent, vesselName, vesselLine, previewUrl } from "./format.js";
import { T } from "./texts.js";

const LONGEST_PAGE = 500;

/** The verdict of a match; `compared` is false if there was no vessel to compare with. */
export const Verdict = ({ verdict, compared = true }) => (compared
  ? html`<span class="badge verdict-${verdict}">${T.verdicts[verdict]?.short || verdict}</span>`
  : html`<span class="badge">${T.match.notCompared}</span>`);

export const Standing = ({ standing }) => html`
  <span class="badge standing-${standing}">${T.standings[standing] || standing}</span>`;

export const Bar = ({ share, none }) => html`
  <span class="bar ${none ? "bar-none" : ""}" aria-hidden="true">
    <span style=${`width:${Math.max(0.5, (share || 0) * 100)}%`}></span>
  </span>`;

/** A sentence that says what was wrong and what would be right. */
export function Fault({ error, retry }) {
  if (!error) return null;
  return html`<div class="fault" role="alert">
    <span>${error.message}${error.vesselId && html` <${VesselLink} id=${error.vesselId} />`}</span>
    ${retry && html`<button type="button" onClick=${retry}>${T.retry}</button>`}
  </div>`;
}

export const Loading = () => html`<p class="quiet" role="status">${T.loading}</p>`;
export const Empty = ({ children }) => html`<div class="empty">${children}</div>`;

/** The picture of a sighting as the models see it. */
export function Thumb({ id, alt = "", size = "" }) {
  const [failed, setFailed] = useState(false);
  useEffect(() => setFailed(false), [id]);
  if (!id || failed) return html`<span class="thumb ${size} thumb-missing" aria-hidden="true"></span>`;
  return html`<span class="thumb ${size}">
    <img src=${previewUrl(id)} alt=${alt} loading="lazy" onError=${() => setFailed(true)} />
  </span>`;
}

/** A labelled input; `error` is shown at the field. */
export function Field({ label, name, hint, error, children, wide, ...input }) {
  const id = `field-${name}`;
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const shared = {
    id, name, "aria-describedby": described || undefined, "aria-invalid": error ? "true" : undefined,
  };
  return html`<div class="field ${wide ? "wide" : ""}">
    <label for=${id}>${label}</label>
    ${children ? children(shared) : html`<input ...${shared} ...${input} />`}
    ${hint && html`<small id="${id}-hint">${hint}</small>`}
    ${error && html`<small class="error" id="${id}-error" role="alert">${error}</small>`}
  </div>`;
}

/** A modal dialog; Escape and the cross close it, if `onClose` is given. */
export function Dialog({ title, onClose, children, wide }) {
  const node = useRef();
  useEffect(() => {
    const before = document.activeElement;
    node.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${node} class=${wide ? "wide" : ""} aria-label=${title}
      onCancel=${(event) => { event.preventDefault(); onClose?.(); }}>
    <header><h2>${title}</h2>
      ${onClose && html`<button type="button" class="plain" onClick=${onClose} aria-label=${T.close}>✕</button>`}
    </header>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}

const toasts = createStore([]);
const TOAST_MS = 30000;
let nextToast = 1;

/** Tell what was done, with a button that undoes it. */
export function tell(text, { undo, bad } = {}) {
  const toast = { id: nextToast++, text, undo, bad };
  toasts.set((old) => [...old.slice(-2), toast]);
}
const dismiss = (id) => toasts.set((old) => old.filter((one) => one.id !== id));

/** A message that goes by itself, but not while the pointer or the focus is on it. */
function Toast({ toast }) {
  const [hovered, setHovered] = useState(false);
  const [focused, setFocused] = useState(false);
  useEffect(() => {
    if (hovered || focused) return undefined;
    const timer = setTimeout(() => dismiss(toast.id), TOAST_MS);
    return () => clearTimeout(timer);
  }, [hovered, focused]);
  const undo = async () => {
    dismiss(toast.id);
    try {
      await toast.undo();
      tell(T.undone);
    } catch (error) {
      tell(error.message, { bad: true });
    }
  };
  return html`<div class="toast ${toast.bad ? "bad" : ""}"
      onMouseEnter=${() => setHovered(true)} onMouseLeave=${() => setHovered(false)}
      onFocusIn=${() => setFocused(true)} onFocusOut=${() => setFocused(false)}>
    <span>${toast.text}</span>
    ${toast.undo && html`<button type="button" onClick=${undo}>${T.undo}</button>`}
    <button type="button" class="plain" aria-label=${T.close} onClick=${() => dismiss(toast.id)}>✕</button>
  </div>`;
}

export function Toasts() {
  const shown = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map((toast) => html`<${Toast} key=${toast.id} toast=${toast} />`)}
  </div>`;
}

/**
 * The first `shown` records of a list of the API, and more of it when `shown` grows. Returns
 * `{records, more, of, error, loading, reload}`; `more` tells whether the list goes on, `of` the filters of
 * the records, which lag behind while the next ones load.
 */
export function useListing(path, filters, shown, settleMs) {
  const settled = useSettled(JSON.stringify(filters), settleMs);
  const kept = useRef({});
  const { value, reload, ...state } = useLoaded(async (signal) => {
    let { records = [], cursor } = kept.current.settled === settled ? kept.current : {};
    while (records.length < shown && cursor !== null) {
      const limit = Math.min(LONGEST_PAGE, shown - records.length);
      const page = await get(path, { ...JSON.parse(settled), limit, cursor }, signal);
      records = [...records, ...(page.vessels || page.matches)];
      cursor = page.next_cursor;
    }
    kept.current = { settled, records, cursor };
    return kept.current;
  }, [settled, shown]);
  const again = () => { kept.current = {}; reload(); };
  return { ...state, records: value?.records, more: Boolean(value?.cursor), of: JSON.parse(value?.settled || "{}"), reload: again };
}

const byName = new Intl.Collator("en", { numeric: true });

/** Search vessels by the beginning of a word of the name, or of a number; those listed are sorted by name. */
export function useVesselSearch(text, { type = "", shown = 30 } = {}) {
  const found = useListing("gallery", { search: text.trim(), type }, shown, 10);
  const vessels = useMemo(() => found.records
    && [...found.records].sort((a, b) => byName.compare(vesselName(a), vesselName(b))), [found.records]);
  return { ...found, vessels };
}

/** A dialog that finds one vessel as the analyst types. */
export function VesselPicker({ title, onPick, onClose, without = [] }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const { vessels, more, error } = useVesselSearch(text);
  const found = (vessels || []).filter((one) => !without.includes(one.id));
  const onKey = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      setChosen((old) => Math.max(0, Math.min(found.length - 1, old + step)));
    } else if (event.key === "Enter" && found[chosen]) {
      onPick(found[chosen]);
    } else {
      return;
    }
    event.preventDefault();
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <input type="search" autofocus class="search" value=${text} aria-label=${T.gallery.search}
      placeholder=${T.gallery.searchHint} onKeyDown=${onKey}
      onInput=${(event) => { setText(event.target.value); setChosen(0); }} />
    <${Fault} error=${error} />
    <ul class="list picker">
      ${found.map((vessel, index) => html`<li key=${vessel.id}>
        <button type="button" class="row ${index === chosen ? "chosen" : ""}"
          onClick=${() => onPick(vessel)}>
          <strong>${vesselName(vessel)}</strong><small>${vesselLine(vessel)}</small>
        </button></li>`)}
      ${vessels && !found.length && html`<li class="quiet">${T.gallery.nothingFound}</li>`}
    </ul>
    ${more && html`<p class="quiet">${T.gallery.more}</p>`}
  <//>`;
}

/** Say on every page what the models were trained on, when it was simulation alone. */
export function DomainNotice() {
  const card = useStore(bundle);
  if (!card || card.manifest.training.domain !== "simulated") return null;
  return html`<p class="domain" role="note">
    <strong>${T.domain.mark}</strong> ${T.domain.text}${" "}
    <a href=${addressOf("about")}>${T.domain.more}</a>
  </p>`;
}

/** Choose one of a few values. */
export function Choice({ label, value, options, onChange }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(([key, text]) => html`<button type="button" key=${key}
      aria-pressed=${String(key === value)} onClick=${() => onChange(key)}>${text}</button>`)}
  </div>`;
}

/** A zone that takes files by dropping or choosing. */
export function DropZone({ label, hint, accept = ".tif,.tiff,.png,.jpg,.jpeg", onFiles, folder }) {
  const [over, setOver] = useState(false);
  const input = useRef();
  const drop = async (event) => {
    event.preventDefault();
    setOver(false);
    onFiles(await droppedFiles(event.dataTransfer));
  };
  const attributes = folder ? { webkitdirectory: true } : { accept };
  return html`<div class="drop ${over ? "over" : ""}"
      onDragOver=${(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <button type="button" class="primary" onClick=${() => input.current.click()}>${label}</button>
    <small>${hint}</small>
    <input ref=${input} type="file" multiple hidden ...${attributes}
      onChange=${(event) => { onFiles([...event.target.files]); event.target.value = ""; }} />
  </div>`;
}

/** Return the files that were dropped, those in dropped folders included. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  const walk = async (entry, path) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
      Object.defineProperty(file, "relative", { value: `${path}${file.name}` });
      files.push(file);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
      if (!some.length) return;
      for (const one of some) await walk(one, `${path}${entry.name}/`);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return files;
}

/** A link to a vessel, with its name as soon as it is known. */
export function VesselLink({ id }) {
  const { value } = useLoaded((signal) => get(`gallery/${id}`, null, signal), [id]);
  return html`<a href=${addressOf("gallery", id)}>${value ? vesselName(value) : T.vessel.unnamed(id.slice(0, 8))}</a>`;
}

/** The most probable outcome of a match in one line: a vessel, or none of them. */
export function Outcome({ match: { first, none_probability: none } }) {
  if (!first) return html`<span class="first quiet">${T.match.noCandidate}</span>`;
  const isNone = none > first.probability;
  return html`<span class="first"><span>${isNone ? T.match.none : vesselName(first.vessel)}</span>${" "}
    <b>${percent(isNone ? none : first.probability)}</b></span>`;
}
