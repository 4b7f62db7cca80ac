// The History page: all stored matches, filtered by verdict, standing, time, place, vessel, file.
import { html, useState, useLoaded, addressOf, go } from "./lib.js";
import { get } from "./api.js";
import { Exports } from "./exports.js";
import { Fault, Loading, Outcome, Standing, Thumb, VesselLink, VesselPicker, Verdict, useListing } from "./ui.js";
import { AreaMap } from "./map.js";
import { moment, vesselName } from "./format.js";
import { T } from "./texts.js";

const FILTERS = ["verdict", "standing", "modality", "vessel_id", "case", "file_name", "note", "since", "until", "area"];
const PAGE = 50;

export function HistoryPage({ query }) {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) || ""]));
  const set = (changes) => go("history", null, { ...filters, ...changes }, { replace: true });
  const shown = Number(query.get("shown")) || PAGE;
  const [dialog, setDialog] = useState(filters.area ? "area" : null);
  const [unsaved, setUnsaved] = useState(null);
  const { records: matches, more, error, loading, reload } = useListing("matches", filters, shown, 150);
  const vessel = useLoaded((signal) => (filters.vessel_id
    ? get(`gallery/${filters.vessel_id}`, null, signal).catch(() => null) : Promise.resolve(null)), [filters.vessel_id]);
  const select = (name, options) => html`<label>${T.history.filters[name]}
    <select value=${filters[name]} onChange=${(event) => set({ [name]: event.target.value })}>
      <option value="">${T.history.any}</option>
      ${options.map(([key, text]) => html`<option key=${key} value=${key}>${text}</option>`)}
    </select></label>`;
  const text = (name, type = "search") => html`<label>${T.history.filters[name]}
    <input type=${type} value=${filters[name]} onInput=${(event) => set({ [name]: event.target.value })} /></label>`;
  const sides = filters.area.split(",").map(Number);
  const area = sides.length === 4 && sides.every(Number.isFinite) ? sides : null; // the service says what is wrong
  const set_filters = FILTERS.filter((name) => filters[name]).length;
  return html`<section class="content wide-page">
    <header class="page-head"><h1>${T.history.title}</h1>
      <span class="tools"><${Exports} path="matches" query=${filters} name="matches" onProblem=${setUnsaved} /></span></header>
    <${Fault} error=${unsaved} />
    <form class="filters" onSubmit=${(event) => event.preventDefault()} role="search">
      ${select("verdict", Object.entries(T.verdicts).map(([key, one]) => [key, one.short]))}
      ${select("standing", Object.entries(T.standings))}
      ${select("modality", Object.entries(T.modalities))}
      ${text("file_name")}${text("case")}${text("note")}
      ${text("since", "date")}${text("until", "date")}
      <span class="filter-buttons">
        <button type="button" aria-pressed=${String(Boolean(filters.vessel_id))} onClick=${() => setDialog("vessel")}>
          ${filters.vessel_id ? T.history.ofVessel(vessel.value ? vesselName(vessel.value) : "…") : T.history.vessel}</button>
        <button type="button" aria-pressed=${String(dialog === "area")} onClick=${() => setDialog(dialog === "area" ? null : "area")}>
          ${area ? T.history.inArea : T.history.area}</button>
        <button type="button" disabled=${!set_filters} onClick=${() => { setDialog(null); go("history", null, null, { replace: true }); }}>${T.history.clear}</button>
      </span>
    </form>
    ${dialog === "area" && html`<div class="area-panel"><${AreaMap} area=${area} onArea=${(sides) => set({ area: sides.join(",") })} />
      <button type="button" disabled=${!area} onClick=${() => set({ area: "" })}>${T.history.clearArea}</button></div>`}
    <${Fault} error=${error} retry=${reload} />
    ${!matches && loading && html`<${Loading} />`}
    ${matches && (matches.length ? html`<${MatchTable} matches=${matches} />`
      : html`<p class="empty">${set_filters ? T.history.nothing : T.history.empty}</p>`)}
    ${more && html`<p><button type="button" onClick=${() => set({ shown: shown + PAGE })}>${T.history.more}</button></p>`}
    ${dialog === "vessel" && html`<${VesselPicker} title=${T.history.pick} onClose=${() => setDialog(null)}
      onPick=${(one) => { setDialog(null); set({ vessel_id: one.id }); }} />`}
  </section>`;
}

export function MatchTable({ matches }) {
  return html`<div class="table-frame"><table class="table matches">
    <thead><tr>${T.history.columns.map((name) => html`<th key=${name}>${name}</th>`)}</tr></thead>
    <tbody>${matches.map((one) => html`<tr key=${one.match_id}>
      <td><${Thumb} id=${one.query.sighting_id} /></td>
      <td><a href=${addressOf("match", one.match_id)}>${one.query.file_name || T.match.unnamed}</a>
        ${one.found_by && html`<small>${T.history.askedAgain} <${VesselLink} id=${one.found_by.vessel_id} /></small>`}
        ${one.query.case && html`<small>${T.history.caseOf(one.query.case)}</small>`}</td>
      <td>${moment(one.asked_at)}<small>${one.asked_by}</small></td>
      <td><${Verdict} verdict=${one.verdict} compared=${Boolean(one.first)} /></td>
      <td><${Outcome} match=${one} /></td>
      <td><${Standing} standing=${one.standing} />
        ${one.judgement && html`<small>${one.judgement.by}${one.judgement.note ? `: ${one.judgement.note}` : ""}</small>`}</td>
    </tr>`)}</tbody></table></div>`;
}
