// One match: the answer, candidates with "none of them" among them, pictures, evidence, judgement.
import {
  html, useEffect, useMemo, useRef, useState, useKeys, useLoaded, addressOf,
} from "./lib.js";
import { call, get, mayChange } from "./api.js";
import { Bar, Fault, Loading, Standing, Thumb, VesselLink, VesselPicker, Verdict, tell } from "./ui.js";
import { Compare } from "./compare.js";
import { Checks, Evidence } from "./evidence.js";
import { PlacesMap, knownPlaces } from "./map.js";
import {
  capital, metres, moment, outline, percent, position, vesselKind, vesselName,
} from "./format.js";
import { T } from "./texts.js";

const USUAL_SPEED_KN = 30;
const FARTHEST_NM = 2500; // a wider circle leaves nothing out that a map of places shows

/** The candidates and "none of them" in the order of their probability. */
export function ranked(match) {
  const vessels = match.candidates.map((one) => ({ key: String(one.rank), candidate: one, p: one.probability }));
  if (match.none_probability === null) return vessels;
  const none = { key: "0", candidate: null, p: match.none_probability };
  const at = vessels.findIndex((one) => one.p < none.p);
  return at < 0 ? [...vessels, none] : [...vessels.slice(0, at), none, ...vessels.slice(at)];
}

/** The focus stays on the chosen candidate, so that Enter confirms what has the focus. */
function Candidates({ rows, chosen, onChoose, match }) {
  const group = useRef();
  useEffect(() => {
    if (group.current?.contains(document.activeElement)) group.current.querySelector("[aria-checked=true]").focus();
  }, [chosen]);
  const onKey = (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    onChoose((rows[rows.findIndex((row) => row.key === chosen) + step] || { key: chosen }).key);
  };
  if (!rows.length) return html`<p class="panel">${T.match.noProbability}</p>`;
  const rest = 1 - rows.reduce((sum, row) => sum + row.p, 0);
  return html`<div class="candidates" role="radiogroup" ref=${group} aria-label=${T.match.candidates} onKeyDown=${onKey}>
    ${rows.map((row) => html`<button type="button" role="radio" key=${row.key} class="row"
        tabindex=${row.key === chosen ? 0 : -1} aria-checked=${String(row.key === chosen)} onClick=${() => onChoose(row.key)}>
      <kbd aria-hidden="true">${row.key}</kbd>
      ${row.candidate
        ? html`<${Thumb} id=${row.candidate.sighting.id} />
          <span class="who"><strong>${vesselName(row.candidate.vessel)}</strong>
            <small>${vesselKind(row.candidate.vessel)}</small></span>`
        : html`<span class="thumb none-mark" aria-hidden="true">∅</span>
          <span class="who"><strong>${T.match.none}</strong>
            <small>${T.match.noneLine(match.gallery.vessels)}</small></span>`}
      <span class="share"><b>${percent(row.p)}</b><${Bar} share=${row.p} none=${!row.candidate} /></span>
    </button>`)}
    ${rest > 0.005 && html`<p class="quiet rest">${T.match.rest(percent(rest))}</p>`}
  </div>`;
}

/** Where the vessel was known to be, and how far it can have come since the nearest time. */
function Whereabouts({ match, candidate }) {
  const vesselId = candidate?.vessel.id;
  const { value } = useLoaded(
    (signal) => (vesselId ? get(`gallery/${vesselId}`, null, signal).catch(() => null) : Promise.resolve(null)),
    [vesselId]);
  const query = match.query;
  const { places, circles } = useMemo(() => {
    const known = value ? knownPlaces(value.sightings) : [];
    const asked = query.position
      ? [{ ...query.position, kind: "query", text: T.map.query(moment(query.captured_at, query.captured_until)) }]
      : [];
    return { places: [...known, ...asked], circles: reach(value?.sightings || [], query, match.options) };
  }, [value, match.match_id]);
  return html`<section class="panel"><h3>${T.map.title(candidate && vesselName(candidate.vessel))}</h3>
    ${places.length ? html`<${PlacesMap} places=${places} circles=${circles} label=${T.map.label} />`
    : html`<p class="quiet">${T.map.nothing}</p>`}
  </section>`;
}

/** Of times that are known to the day, the ends that leave most time count, as in the check of the voyage. */
function reach(sightings, query, options) {
  if (!query.captured_at) return [];
  const ends = (one) => [Date.parse(one.captured_at), Date.parse(one.captured_until || one.captured_at)];
  const [first, last] = ends(query);
  const hours = (one) => Math.max(last - ends(one)[0], ends(one)[1] - first) / 3600000;
  // Not the chip itself, which a confirmed vessel has as well.
  const dated = sightings.filter((one) => one.position && one.captured_at && hours(one) > 0);
  if (!dated.length) return [];
  const nearest = dated.reduce((best, one) => (hours(one) < hours(best) ? one : best));
  const speed = options?.max_speed_kn || USUAL_SPEED_KN;
  const radius = hours(nearest) * speed;
  if (radius < 1 || radius > FARTHEST_NM) return [];
  return [{ ...nearest.position, radius_nm: radius, text: T.map.circle(radius, speed, hours(nearest)) }];
}

function Facts({ match }) {
  const query = match.query;
  const ship = outline(query.framing);
  const rows = [
    [T.facts.captured, moment(query.captured_at, query.captured_until)],
    [T.facts.position, position(query.position)],
    [T.facts.gsd, T.facts.gsdOf(query.gsd_m, query.gsd_source)],
    [T.facts.size, `${metres(query.length_m)} × ${metres(query.width_m)}`],
    [T.facts.ship, ship && `${ship.length} × ${ship.width}`],
    [T.facts.case, query.case], [T.facts.note, query.note],
    [T.facts.asked, `${moment(match.asked_at)}, ${match.asked_by}`],
    [T.facts.model, `${match.model.name} (${match.model.training_domain}), ${match.model.bundle_id.slice(0, 8)}`],
    [T.facts.gallery, T.facts.galleryOf(match.gallery.vessels, match.gallery.sightings)],
  ];
  const quality = (query.quality?.findings || []).filter((one) => one.level !== "ok");
  const said = new Set(quality.map((one) => one.sentence));
  return html`<section class="panel"><h3>${T.facts.title}</h3>
    <dl class="facts">${rows.filter(([, text]) => text).map(([name, text]) => html`
      <dt key=${name}>${name}</dt><dd>${text}</dd>`)}</dl>
    <ul class="warnings">
      ${quality.map((one) => html`<li key=${one.kind} class="level-${one.level}">${one.sentence}</li>`)}
      ${query.warnings.filter((one) => !said.has(one)).map((text) => html`<li key=${text}>${text}</li>`)}
    </ul>
    ${query.sighting_id && html`<p><a href="sightings/${query.sighting_id}/chip">${T.facts.download}</a></p>`}
  </section>`;
}

function Judging({ match, row, who, note, setNote, noteField, onJudge, onOther, busy }) {
  const allowed = mayChange(who);
  const open = match.standing === "open";
  const latest = match.judgements.at(-1);
  return html`<section class="judge" aria-label=${T.judge.title}>
    ${open && match.sighting?.vessel_id && html`<p>${T.judge.elsewhere} <${VesselLink} id=${match.sighting.vessel_id} />.</p>`}
    ${!open && latest && html`<p><${Standing} standing=${match.standing} />
      ${T.judge.by(latest.by, moment(latest.at))}${latest.note && html`: “${latest.note}”`}</p>`}
    <label class="note"><span>${T.judge.note}</span>
      <input ref=${noteField} value=${note} maxlength="2000" placeholder=${T.judge.noteHint}
        disabled=${!allowed} onInput=${(event) => setNote(event.target.value)}
        onKeyDown=${(event) => event.key === "Escape" && event.target.blur()} /></label>
    <div class="judge-buttons">
      ${row?.candidate
        ? html`<button type="button" class="primary" disabled=${!allowed || busy}
            onClick=${() => onJudge("confirmed", row.candidate.vessel)}>
            ${T.judge.confirm(vesselName(row.candidate.vessel))} <kbd>⏎</kbd></button>`
        : row && html`<button type="button" class="primary" disabled=${!allowed || busy}
            onClick=${() => onJudge("rejected")}>${T.judge.reject} <kbd>⏎</kbd></button>`}
      <button type="button" disabled=${!allowed || busy} onClick=${onOther}>${T.judge.other}</button>
      ${row?.candidate && html`<button type="button" disabled=${!allowed || busy}
        onClick=${() => onJudge("rejected")}>${T.judge.reject}</button>`}
      ${!open && html`<button type="button" disabled=${!allowed || busy}
        onClick=${() => onJudge("withdrawn")}>${T.judge.leaveOpen}</button>`}
    </div>
    ${!allowed && html`<p class="quiet">${T.judge.readOnly}</p>`}
  </section>`;
}

/** The answer in a few words, and the probability behind it if it is of one outcome. */
function headline(match, rows) {
  const T_ = T.match.headlines;
  const [first] = match.candidates;
  if (!first || match.none_probability === null) return [T.match.notCompared, null];
  const { among = [], none_among: noneAmong = false } = match.explanation || {};
  const named = rows.filter((row) => (row.candidate ? among.includes(row.candidate.vessel.id) : noneAmong));
  const names = named.map((row) => (row.candidate ? vesselName(row.candidate.vessel) : T.match.none.toLowerCase()));
  switch (match.verdict) {
    case "confident": return [vesselName(first.vessel), first.probability];
    case "likely": return [T_.likely(vesselName(first.vessel)), first.probability];
    case "no_match": return [T_.noMatch, match.none_probability];
    case "ambiguous":
      if (names.length === 1) return [T_.single(names[0]), named[0].p];
      return [names.length ? capital(T_.several(names)) : T_.undecided, null];
    default: return [T_.unclear, null];
  }
}

function Answer({ match, rows }) {
  const [text, share] = headline(match, rows);
  return html`<h1 class="answer">${text}${share !== null && html` <b>${percent(share)}</b>`}</h1>`;
}

function Explanation({ match }) {
  const told = match.explanation;
  return html`<div class="explanation">
    ${match.found_by && html`<p>${T.match.askedAgain} <${VesselLink} id=${match.found_by.vessel_id} />.</p>`}
    <p>${told?.text || T.verdicts[match.verdict]?.text}</p>
    ${match.scene && html`<p>${match.scene.text}</p>`}
    ${told?.differences?.length > 0 && html`<ul>${told.differences.map((one) => html`<li key=${one}>${one}</li>`)}</ul>`}
  </div>`;
}

/** The chips that a match was asked with, if there are several, and which of them is compared. */
function Queries({ queries, at, onChoose }) {
  if (queries.length < 2) return null;
  const label = T.match.queries(queries.length);
  return html`<div class="queries" role="group" aria-label=${label}>
    ${queries.map((one, n) => html`<button type="button" key=${one.sha256} aria-pressed=${String(n === at)}
      onClick=${() => onChoose(n)}><${Thumb} id=${one.sighting_id} alt=${one.file_name || T.match.unnamed} /></button>`)}
    <p class="quiet">${label}</p>
  </div>`;
}

/** Notes that were written and not sent yet, by match. */
const drafts = new Map();

/**
 * A stored match, looked at and judged. `judged` is the match as the latest judgement of this page left
 * it, `onJudged` is told of the next one.
 */
export function MatchDetail({ id, who, judged, onJudged }) {
  const { value: loaded, error, reload } = useLoaded((signal) => get(`matches/${id}`, null, signal), [id]);
  const match = judged?.judgements.length > (loaded?.judgements.length || 0) ? judged : loaded;
  const [chosen, setChosen] = useState("1");
  const [note, setNote] = useState(drafts.get(id) || "");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const [picking, setPicking] = useState(false);
  const [at, setAt] = useState(0);
  const noteField = useRef();
  const rows = useMemo(() => (match ? ranked(match) : []), [match]);
  useEffect(() => { drafts.set(id, note); }, [note]);
  useEffect(() => {
    if (match) setChosen(firstChoice(match, rows));
  }, [match?.match_id]);
  const row = rows.find((one) => one.key === chosen) || rows[0];
  const seen = row?.candidate || match?.candidates[0]; // beside the query, also for "none of them"

  /** Send a judgement; it is refused if someone else has judged since the match `seen` was loaded. */
  const send = async ({ decision, vessel_id: vesselId, note: text }, seen) => {
    const json = { decision, vessel_id: vesselId, note: text || undefined, seen: seen.judgements.length };
    const answer = await call("POST", `matches/${id}/verdict`, { json });
    onJudged(answer);
    return answer;
  };
  const judge = async (decision, vessel) => {
    setBusy(true);
    setProblem(null);
    try {
      const before = match.standing === "open" ? { decision: "withdrawn" } : match.judgements.at(-1);
      const answer = await send({ decision, vessel_id: vessel?.id, note: note.trim() }, match);
      setNote("");
      tell(T.judge.done[decision](vessel && vesselName(vessel)), { undo: () => send(before, answer) });
    } catch (failed) {
      setProblem(failed);
      if (failed.status === 409) reload();
    }
    setBusy(false);
  };

  useKeys((key, event) => {
    if (!match) return false;
    if (/^[0-9]$/.test(key) && rows.some((one) => one.key === key)) setChosen(key);
    else if (key === "n") noteField.current?.focus();
    else if (key === "Enter" && !event.target.closest?.("button:not([role=radio]), a, summary") && mayChange(who) && !busy && row) {
      if (row.candidate) judge("confirmed", row.candidate.vessel);
      else judge("rejected");
    } else return false;
    return true;
  });

  if (error && !match) return html`<${Fault} error=${error} retry=${reload} />`;
  if (!match) return html`<${Loading} />`;
  return html`<article class="detail" aria-label=${match.query.file_name || match.match_id}>
    <header class="detail-head">
      <span class="file">${match.query.file_name || T.match.unnamed}</span>
      <${Verdict} verdict=${match.verdict} compared=${rows.length > 0} /><${Standing} standing=${match.standing} />
      <a class="report" href="matches/${id}/report" target="_blank" rel="noopener">${T.match.report}</a>
      <${Answer} match=${match} rows=${rows} />
      <${Explanation} match=${match} />
    </header>
    <div class="detail-grid">
      <div class="column">
        <${Candidates} rows=${rows} chosen=${row?.key} onChoose=${setChosen} match=${match} />
        <${Fault} error=${problem} />
        <${Judging} match=${match} row=${row} who=${who} note=${note} setNote=${setNote}
          noteField=${noteField} busy=${busy} onJudge=${judge} onOther=${() => setPicking(true)} />
      </div>
      <div class="column pictures">
        <${Queries} queries=${match.queries} at=${at} onChoose=${setAt} />
        <${Compare} query=${match.queries[at] || match.query} candidate=${seen} />
        ${seen && html`<p class="caption">
          ${row.candidate ? T.match.shownVessel : T.match.shownNearest}${" "}
          <a href=${addressOf("gallery", seen.vessel.id)}>${vesselName(seen.vessel)}</a></p>`}
        <${Whereabouts} match=${match} candidate=${seen} />
      </div>
      <div class="column">
        ${seen && html`<${Evidence} candidate=${seen} />
          <${Checks} candidate=${seen} />`}
        <${Facts} match=${match} />
      </div>
    </div>
    ${picking && html`<${VesselPicker} title=${T.judge.pick} onClose=${() => setPicking(false)}
      onPick=${(vessel) => { setPicking(false); judge("confirmed", vessel); }} />`}
  </article>`;
}

/** Show the confirmed vessel of a judged match first, else the most probable outcome. */
function firstChoice(match, rows) {
  const latest = match.judgements.at(-1);
  if (match.standing === "confirmed") {
    const confirmed = rows.find((one) => one.candidate?.vessel.id === latest.vessel_id);
    if (confirmed) return confirmed.key;
  }
  return match.standing === "rejected" ? "0" : rows[0]?.key;
}
