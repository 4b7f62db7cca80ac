// The Match page: drop chips, follow their progress, look at each answer.
import {
  html, useEffect, useRef, useState, useStore, createStore, useFileDrags, useKeys, useLoaded, go, place, untilDone,
} from "./lib.js";
import { call, formOf, get, inParallel } from "./api.js";
import { DropZone, Fault, Field, Outcome, Standing, Thumb, Verdict, droppedFiles } from "./ui.js";
import { MatchDetail } from "./detail.js";
import { utcTime } from "./register.js";
import { T } from "./texts.js";

const WIDTH = 3;
const EARLIER = 100;
const TOP_K = 5;

/** Chips that were dropped in this tab: `{key, name, file, state, problem, summary, how, batch}`. */
const dropped = createStore([]);
const facts = createStore({ modality: "", framing: "", gsd_m: "", captured_at: "", lat: "", lon: "", sensor: "",
  case: "", note: "", looks_like: "", vessel_type: "", length_tolerance: "", max_speed_kn: "" });
const fieldProblems = createStore({});
/** How several chips that are dropped together are asked about: `each`, `ship` or `image`. */
const together = createStore("each");
let nextKey = 1;

const change = (key, values) => dropped.set((old) => old.map((one) => (one.key === key ? { ...one, ...values } : one)));

/** A match as the list shows it. */
const summaryOf = (answer) => ({
  match_id: answer.match_id, verdict: answer.verdict, standing: answer.standing || "open",
  query: answer.query, first: answer.candidates[0] || null, none_probability: answer.none_probability,
  chips: answer.queries.length,
});

function formFields(values) {
  const sent = { ...values, top_k: TOP_K };
  if (sent.captured_at) sent.captured_at = utcTime(sent.captured_at);
  return sent;
}

/** Ask about several chips of one ship or image together; all are answered or none. */
async function matchTogether(rows, ofShip, show) {
  const part = ofShip ? "chip" : "chips";
  const form = formOf(formFields(facts.get()), rows.map((row) => [part, row.file]));
  try {
    const answer = await call("POST", ofShip ? "match" : "match/scene", { form });
    const matches = ofShip ? [answer] : answer.matches;
    dismiss(rows.slice(matches.length)); // the chips of one ship are one row from now on
    matches.forEach((match, at) => change(rows[at].key, { state: "done", summary: summaryOf(match), file: null }));
    show(matches[0].match_id);
  } catch (problem) {
    const said = refusal(problem);
    rows.forEach((row) => change(row.key, { state: "refused", problem: said }));
  }
}

/** Ask about rows by the facts that the form holds now; the first answer is shown, unless the analyst went on. */
async function ask(rows) {
  const { how } = rows[0];
  const { id } = place.get();
  const show = (matchId) => {
    const now = place.get();
    if (now.page === "match" && (!id || now.id === id)) go("match", matchId);
  };
  fieldProblems.set({});
  rows.forEach((row) => change(row.key, { state: how === "each" ? "waiting" : "sending", problem: null }));
  if (how !== "each") {
    await matchTogether(rows, how === "ship", show);
    return;
  }
  const sent = formFields(facts.get());
  let first = true;
  await inParallel(rows, WIDTH, async (row) => {
    change(row.key, { state: "sending" });
    try {
      const answer = await call("POST", "match", { form: formOf(sent, [["chip", row.file]]) });
      change(row.key, { state: "done", summary: summaryOf(answer), file: null });
      if (first) show(answer.match_id);
      first = false;
    } catch (problem) {
      change(row.key, { state: "refused", problem: refusal(problem, row.name) });
    }
  });
}

async function matchFiles(files) {
  if (!files.length) return;
  const how = files.length > 1 ? together.get() : "each";
  const batch = nextKey;
  const rows = files.map((file) => ({ key: nextKey++, name: file.name, file, state: "waiting", how, batch }));
  dropped.set((old) => [...rows, ...old]);
  await untilDone(ask(rows));
}

/** Ask again about refused chips, each with those that it was sent together with. */
function askAgain(rows) {
  const alone = rows.filter((row) => row.how === "each");
  const batches = [...new Set(rows.filter((row) => row.how !== "each").map((row) => row.batch))]
    .map((batch) => dropped.get().filter((one) => one.batch === batch));
  [alone, ...batches].filter((one) => one.length).forEach((one) => untilDone(ask(one)));
}
const dismiss = (rows) => dropped.set((old) => old.filter((one) => !rows.some((row) => row.key === one.key)));

/** Show a refusal at the field that it is about, too; return what the row says. */
function refusal(problem, name) {
  const found = { ...problem.fields };
  const named = /^([a-z_]+): (.+)$/s.exec(problem.message);
  if (named && named[1] in facts.get()) found[named[1]] = named[2];
  const said = problem.message.replace(`${name}: `, "");
  if (problem.kind === "chip-modality") found.modality = facts.get().modality ? said : T.match.whichSensor;
  if (problem.kind === "no-ship") found.framing = T.match.noShip;
  const known = Object.fromEntries(Object.entries(found)
    .map(([field, text]) => [field.split(".").pop(), text]).filter(([field]) => field in facts.get()));
  if (!Object.keys(known).length) return said;
  fieldProblems.set(known);
  return Object.entries(known).map(([field, text]) => `${T.match.facts[field]}: ${text}`).join("; ");
}

function FactsForm() {
  const values = useStore(facts);
  const problems = useStore(fieldProblems);
  const set = (event) => facts.set((old) => ({ ...old, [event.target.name]: event.target.value }));
  const filled = Object.values(values).filter(Boolean).length;
  const open = Object.keys(problems).length > 0;
  const field = (name, more = {}) => html`<${Field} key=${name} label=${T.match.facts[name]} name=${name}
    value=${values[name]} error=${problems[name]} onInput=${set} ...${more} />`;
  const choice = (name, options) => field(name, { children: (shared) => html`
    <select ...${shared} value=${values[name]} onChange=${set}>
      ${Object.entries(options).map(([key, text]) => html`<option key=${key} value=${key}>${text}</option>`)}
    </select>` });
  return html`<details class="facts-form" open=${open || undefined}>
    <summary>${T.match.factsTitle(filled)}</summary>
    <div class="fields">
      ${choice("modality", { "": T.match.asFileSays, ...T.modalities })}${field("gsd_m", { inputmode: "decimal" })}
      ${field("captured_at", { type: "datetime-local" })}
      ${field("lat", { inputmode: "decimal" })}${field("lon", { inputmode: "decimal" })}
      ${field("sensor")}${field("case")}${field("note")}
      ${field("looks_like")}${field("vessel_type")}${field("length_tolerance", { inputmode: "decimal" })}
      ${field("max_speed_kn", { inputmode: "decimal" })}
      ${choice("framing", T.match.framings)}
    </div>
    <button type="button" onClick=${() => { facts.set((old) => Object.fromEntries(Object.keys(old).map((one) => [one, ""]))); fieldProblems.set({}); }}>
      ${T.match.clearFacts}</button>
  </details>`;
}

/** Scroll the list, and nothing else, so far that a row of it is seen. */
function showInList(row) {
  const list = row.closest(".list");
  const [inner, outer] = [row.getBoundingClientRect(), list.getBoundingClientRect()];
  list.scrollTop += Math.min(0, inner.top - outer.top) || Math.max(0, inner.bottom - outer.bottom);
}

function Row({ row, current, onOpen }) {
  const { summary } = row;
  const said = { waiting: T.match.waiting, sending: T.match.sending }[row.state];
  const node = useRef();
  useEffect(() => { if (current) showInList(node.current); }, [current]);
  if (row.state === "refused") {
    return html`<li class="row chip-row state-refused"><span class="who"><span class="name">${row.name}</span>
      <small class="error">${row.problem}</small>
      <span class="badges"><button type="button" onClick=${() => askAgain([row])}>${T.retry}</button>
        <button type="button" onClick=${() => dismiss([row])}>${T.match.dismiss}</button></span></span></li>`;
  }
  return html`<li><button type="button" ref=${node} class="row chip-row state-${row.state}"
      aria-current=${current ? "true" : undefined} disabled=${!summary} onClick=${onOpen}>
    <${Thumb} id=${summary?.query.sighting_id} />
    <span class="who"><span class="name">${summary?.query.file_name || row.name || T.match.unnamed}</span>
      ${summary?.chips > 1 && html`<small>${T.match.ofOneShip(summary.chips)}</small>`}
      ${summary ? html`<${Outcome} match=${summary} />` : html`<small>${said}</small>`}
      ${summary && html`<span class="badges"><${Verdict} verdict=${summary.verdict} compared=${Boolean(summary.first)} />
        ${summary.standing !== "open" && html`<${Standing} standing=${summary.standing} />`}</span>`}
    </span></button></li>`;
}

export function MatchPage({ id, who }) {
  const mine = useStore(dropped);
  const how = useStore(together);
  const earlier = useLoaded((signal) => get("matches", { limit: EARLIER }, signal), []);
  const [judged, setJudged] = useState({});
  const own = new Set(mine.map((one) => one.summary?.match_id));
  const old = (earlier.value?.matches || []).filter((one) => !own.has(one.match_id))
    .map((summary) => ({ key: summary.match_id, state: "done", summary }));
  const rows = [...mine, ...old].map((row) => (judged[row.summary?.match_id]
    ? { ...row, summary: { ...row.summary, standing: judged[row.summary.match_id].standing } } : row));
  const open = rows.filter((one) => one.summary);
  const at = open.findIndex((one) => one.summary.match_id === id);
  useEffect(() => {
    if (!id && open.length) go("match", open[0].summary.match_id, null, { replace: true });
  }, [id, open.length]);
  useKeys((key) => {
    const step = { j: 1, k: -1 }[key];
    if (!step) return false;
    const next = open[Math.max(0, Math.min(open.length - 1, at + step))];
    if (next) go("match", next.summary.match_id);
    return true;
  });
  useFileDrags(async (event) => {
    event.preventDefault();
    if (event.type === "drop") matchFiles(await droppedFiles(event.dataTransfer));
  });
  const busy = mine.filter((one) => one.state === "waiting" || one.state === "sending").length;
  const done = mine.length - busy;
  const refused = mine.filter((one) => one.state === "refused");
  return html`
    <aside class="side" aria-label=${T.match.chips}>
      <${DropZone} label=${T.match.choose} hint=${T.match.dropHint} onFiles=${matchFiles} />
      <${Field} label=${T.match.several} name="together" hint=${T.match.togetherHint[how]}>
        ${(shared) => html`<select ...${shared} value=${how} onChange=${(event) => together.set(event.target.value)}>
          ${Object.entries(T.match.together).map(([key, text]) => html`<option key=${key} value=${key}>${text}</option>`)}
        </select>`}
      <//>
      ${mine.length > 0 && html`<p class="progress" role="status">
        ${busy ? T.match.progress(done, mine.length) : T.match.allDone(mine.length - refused.length, refused.length)}
        <progress max=${mine.length} value=${done} aria-label=${T.match.progress(done, mine.length)}></progress></p>`}
      ${refused.length > 1 && html`<div class="side-buttons">
        <button type="button" onClick=${() => askAgain(refused)}>${T.match.retryAll(refused.length)}</button>
        <button type="button" onClick=${() => dismiss(refused)}>${T.match.dismissAll(refused.length)}</button></div>`}
      <${FactsForm} />
      <${Fault} error=${earlier.error} retry=${earlier.reload} />
      <ul class="list">
        ${rows.map((row) => html`<${Row} key=${row.key} row=${row}
          current=${row.summary && row.summary.match_id === id}
          onOpen=${() => go("match", row.summary.match_id)} />`)}
      </ul>
      ${earlier.value?.next_cursor && html`<p class="quiet"><a href="#/history">${T.match.olderInHistory}</a></p>`}
    </aside>
    <section class="content">
      ${id ? html`<${MatchDetail} key=${id} id=${id} who=${who} judged=${judged[id]}
        onJudged=${(match) => setJudged((before) => ({ ...before, [match.match_id]: match }))} />`
      : !earlier.loading && html`<div class="empty"><h1>${T.match.emptyTitle}</h1>
        ${T.match.emptyText.map((text) => html`<p key=${text}>${text}</p>`)}
        <p><a href="#/gallery">${T.match.toGallery}</a></p></div>`}
    </section>`;
}
