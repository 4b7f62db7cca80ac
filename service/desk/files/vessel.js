// One vessel: attributes with their source, chips, track, history of its identity, look-alikes.
import { html, useRef, useState, useLoaded, addressOf, go, untilDone } from "./lib.js";
import { call, fetchBlob, formOf, get, mayChange } from "./api.js";
import { Exports } from "./exports.js";
import {
  Dialog, DropZone, Fault, Loading, Standing, Thumb, VesselPicker, tell,
} from "./ui.js";
import { PlacesMap, knownPlaces } from "./map.js";
import { ATTRIBUTES, ChipFacts, EditVessel, chipMetadata } from "./register.js";
import { metres, moment, percent, position, vesselLine, vesselName } from "./format.js";
import { T } from "./texts.js";

const LOOK_ALIKES = 8;
const LISTED = 8;

function Attributes({ vessel }) {
  const known = ATTRIBUTES.filter((name) => vessel[name] !== null);
  return html`<section class="panel"><h2>${T.vessel.attributesTitle}</h2>
    <table class="table"><thead><tr><th>${T.vessel.attribute}</th><th>${T.vessel.value}</th>
      <th>${T.vessel.source}</th><th>${T.vessel.asOf}</th></tr></thead><tbody>
      ${known.map((name) => html`<tr key=${name}><th scope="row">${T.vessel.attributes[name]}</th>
        <td>${name.endsWith("_m") ? metres(vessel[name]) : vessel[name]}</td>
        <td>${vessel.provenance[name]?.source || T.unknown}</td>
        <td>${moment(vessel.provenance[name]?.as_of)}</td></tr>`)}
    </tbody></table></section>`;
}

function Chips({ vessel, allowed, onReload }) {
  const [chosen, setChosen] = useState([]);
  const [facts, setFacts] = useState({});
  const [problem, setProblem] = useState(null);
  const [refused, setRefused] = useState(null); // why chips were not added
  const toggle = (id) => setChosen((old) => (old.includes(id) ? old.filter((one) => one !== id) : [...old, id]));
  const add = async (files) => {
    setRefused(null);
    const about = chipMetadata(files, facts);
    try {
      const form = formOf({ chip_metadata: JSON.stringify(about) }, files.map((file) => ["chips", file]));
      const done = await call("POST", `gallery/${vessel.id}/chips`, { form });
      tell(done.warnings.length ? done.warnings.join(" ") : T.vessel.chipsAdded(files.length));
      onReload();
    } catch (failed) { setRefused(Object.assign(failed, { files })); }
  };
  const remove = async () => {
    setProblem(null);
    try {
      const removed = vessel.sightings.filter((one) => chosen.includes(one.id));
      const kept = await Promise.all(removed.map(async (one) => [one, await fetchBlob(one.chip_url)]));
      for (const one of removed) await call("DELETE", `gallery/${vessel.id}/chips/${one.id}`);
      setChosen([]);
      tell(T.vessel.chipsRemoved(removed.length), { undo: () => putBack(vessel.id, kept).then(onReload) });
      onReload();
    } catch (failed) { setProblem(failed); }
  };
  const split = async () => {
    setProblem(null);
    try {
      const fresh = await call("POST", `gallery/${vessel.id}/split`, { json: { sightings: chosen } });
      setChosen([]);
      const undo = () => call("POST", `gallery/${vessel.id}/merge`, { json: { other: fresh.id } })
        .then(() => { go("gallery", vessel.id); onReload(); });
      tell(T.vessel.splitDone(chosen.length), { undo });
      onReload();
      go("gallery", fresh.id);
    } catch (failed) { setProblem(failed); }
  };
  return html`<section class="panel"><h2>${T.vessel.chipsTitle(vessel.sightings.length)}</h2>
    <ul class="chips">${vessel.sightings.map((one) => html`<li key=${one.id}>
      <label class="chip"><${Thumb} id=${one.id} size="large" alt=${one.file_name || ""} />
        <span><input type="checkbox" disabled=${!allowed} checked=${chosen.includes(one.id)}
          onChange=${() => toggle(one.id)} /> ${T.modalities[one.modality]}, ${metres(one.length_m)}</span>
        <small>${one.captured_at ? moment(one.captured_at, one.captured_until) : T.vessel.noTime}</small>
        <small>${one.source || one.file_name}</small></label></li>`)}</ul>
    ${allowed && html`<div class="chip-tools">
      <button type="button" disabled=${!chosen.length || chosen.length === vessel.sightings.length}
        onClick=${split}>${T.vessel.split(chosen.length)}</button>
      <button type="button" disabled=${!chosen.length} onClick=${remove}>${T.vessel.remove(chosen.length)}</button>
    </div>
    <${Fault} error=${problem} />
    <details class="facts-form" open=${refused ? true : undefined}>
      <summary>${T.match.factsTitle(Object.values(facts).filter(Boolean).length)}</summary>
      <${ChipFacts} facts=${facts} set=${setFacts} problem=${refused} prefix="added-" /></details>
    <${Fault} error=${refused} retry=${() => untilDone(add(refused.files))} />
    <${DropZone} label=${T.vessel.addChips} hint=${T.vessel.addHint} onFiles=${(files) => untilDone(add(files))} />`}</section>`;
}

/** Add chips again with the facts that their sightings had. */
async function putBack(vesselId, kept) {
  for (const [one, blob] of kept) {
    const about = {
      modality: one.modality, band: one.band, framing: one.framing.mode, sensor: one.sensor,
      gsd_m: one.gsd_source === "parameter" ? one.gsd_m : null,
      captured_at: one.captured_until ? one.captured_at.slice(0, 10) : one.captured_at,
      source: one.source, licence: one.licence, case: one.case, note: one.note,
      lat: one.position?.lat, lon: one.position?.lon,
    };
    const facts = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== null && value !== undefined));
    const file = new File([blob], one.file_name || `${one.id}.tif`);
    const form = formOf({ chip_metadata: JSON.stringify([facts]) }, [["chips", file]]);
    await call("POST", `gallery/${vesselId}/chips`, { form });
  }
}

function Track({ vessel }) {
  const [unsaved, setUnsaved] = useState(null);
  const places = knownPlaces(vessel.sightings);
  return html`<section class="panel"><h2>${T.vessel.track}</h2>
    ${places.length ? html`<${PlacesMap} places=${places} track label=${T.vessel.trackLabel} />
      <ol class="track">${places.map((one, index) => html`<li key=${index}>${one.text}: ${position(one)}</li>`)}</ol>
      <p class="chip-tools"><${Exports} path=${`gallery/${vessel.id}/track`} name=${`track-${vesselName(vessel)}`} onProblem=${setUnsaved} /></p>
      <${Fault} error=${unsaved} />`
    : html`<p class="quiet">${T.vessel.noTrack}</p>`}</section>`;
}

/** When attributes, chips and identity changed, as far as the vessel's records tell. */
function identityEvents(vessel, matches) {
  const events = [[vessel.created_at, T.vessel.events.created]];
  const bySource = {};
  for (const [name, one] of Object.entries(vessel.provenance)) {
    const key = `${one.as_of} ${one.source}`;
    (bySource[key] ||= { ...one, names: [] }).names.push(T.vessel.attributes[name] || name);
  }
  for (const one of Object.values(bySource)) events.push([one.as_of, T.vessel.events.said(one.source, one.names)]);
  const moved = {};
  for (const one of vessel.sightings) {
    if (one.origin_vessel_id && one.origin_vessel_id !== vessel.id) {
      (moved[one.origin_vessel_id] ||= []).push(one);
    }
  }
  for (const [origin, chips] of Object.entries(moved)) {
    events.push([chips.at(-1).recorded_at, T.vessel.events.moved(chips.length, origin.slice(0, 8))]);
  }
  const own = new Set(vessel.sightings.map((one) => one.id)); // also those of vessels merged into it
  for (const match of matches) {
    if (match.judgement?.vessel_id && (match.judgement.vessel_id === vessel.id || own.has(match.query.sighting_id))) {
      events.push([match.judgement.at, T.vessel.events.confirmed(match.query.file_name || match.match_id.slice(0, 8), match.judgement.by)]);
    }
  }
  return events.sort(([a], [b]) => String(a).localeCompare(String(b)));
}

function IdentityHistory({ vessel }) {
  const { value, error } = useLoaded((signal) => get("matches", { vessel_id: vessel.id, limit: 50 }, signal), [vessel.id, vessel.updated_at]);
  const matches = value?.matches || [];
  return html`<section class="panel"><h2>${T.vessel.history}</h2>
    <ol class="events">${identityEvents(vessel, matches).map(([at, text], index) => html`
      <li key=${index}><time>${moment(at)}</time> ${text}</li>`)}</ol>
    <${Fault} error=${error} />
    ${matches.length > 0 && html`<h3>${T.vessel.matches}</h3>
      <ul class="list plain naming">${matches.slice(0, LISTED).map((one) => html`<li key=${one.match_id}>
        <a href=${addressOf("match", one.match_id)}>${one.query.file_name || moment(one.asked_at)}</a>
        ${" "}<${Standing} standing=${one.standing} />${" "}
        <${RankOf} vesselId=${vessel.id} match=${one} /></li>`)}</ul>
      <p><a href=${addressOf("history", null, { vessel_id: vessel.id })}>${T.vessel.allMatches}</a></p>`}
  </section>`;
}

/** The rank and the probability that a match gave a vessel. */
function RankOf({ vesselId, match }) {
  const { value } = useLoaded((signal) => get(`matches/${match.match_id}`, null, signal), [match.match_id]);
  if (!value) return null;
  const found = value.candidates.find((one) => one.vessel.id === vesselId);
  const confirmed = match.judgement?.vessel_id === vesselId;
  const text = found ? T.vessel.ranked(found.rank, percent(found.probability))
    : confirmed ? T.vessel.notRanked : T.vessel.rankedMerged;
  return html`<span class="quiet">${text}</span>`;
}

/** Vessels that this one may be taken for: its best chip is asked about, and nothing is stored. */
function LookAlikes({ vessel }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const find = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const chip = vessel.sightings.find((one) => one.modality === "optical") || vessel.sightings[0];
      const blob = await fetchBlob(chip.chip_url);
      const form = formOf(
        { modality: chip.modality, gsd_m: chip.gsd_m, store: "false", top_k: LOOK_ALIKES + 1 },
        [["chip", new File([blob], chip.file_name || "chip")]]);
      const answer = await call("POST", "match", { form });
      setFound(answer.candidates.filter((one) => one.vessel.id !== vessel.id).slice(0, LOOK_ALIKES));
    } catch (failed) { setProblem(failed); }
    setBusy(false);
  };
  return html`<section class="panel"><h2>${T.vessel.lookAlikes}</h2>
    <p class="quiet">${T.vessel.lookAlikesText}</p>
    <button type="button" disabled=${busy || !vessel.sightings.length} onClick=${find}>${T.vessel.findLookAlikes}</button>
    <${Fault} error=${problem} />
    ${found && (found.length ? html`<ul class="list">${found.map((one) => html`<li key=${one.vessel.id}>
      <button type="button" class="row" onClick=${() => go("gallery", one.vessel.id)}>
        <${Thumb} id=${one.sighting.id} /><span class="who"><strong>${vesselName(one.vessel)}</strong>
        <small>${vesselLine(one.vessel)}</small></span>
        <small class="similarity">${T.vessel.similarity(one.similarity.toFixed(2))}</small>
      </button></li>`)}</ul>` : html`<p>${T.vessel.noLookAlikes}</p>`)}
  </section>`;
}

export function VesselPage({ id, who, onChanged }) {
  const { value: vessel, error, reload } = useLoaded((signal) => get(`gallery/${id}`, null, signal), [id]);
  const [dialog, setDialog] = useState(null);
  const [problem, setProblem] = useState(null);
  const top = useRef();
  if (!vessel) return error ? html`<${Fault} error=${error} retry=${reload} />` : html`<${Loading} />`;
  const allowed = mayChange(who);
  const renew = () => { reload(); onChanged(); };
  const merge = async (other) => {
    setDialog(null);
    setProblem(null);
    try {
      const gone = await get(`gallery/${other.id}`);
      const ids = gone.sightings.map((one) => one.id);
      await call("POST", `gallery/${id}/merge`, { json: { other: other.id } });
      const attributes = Object.fromEntries(ATTRIBUTES.filter((name) => gone[name] !== null).map((name) => [name, gone[name]]));
      const undo = () => undoMerge(vessel, ids, attributes).then(renew);
      tell(T.vessel.mergeDone(vesselName(other)), { undo });
      renew();
    } catch (failed) { setProblem(failed); }
  };
  const remove = async () => {
    setDialog(null);
    setProblem(null);
    try {
      await call("DELETE", `gallery/${id}`);
      const undo = async () => {
        const restored = await call("POST", `gallery/${id}/restore`);
        if (restored.warnings.length) tell(restored.warnings.join(" "));
        go("gallery", id);
        onChanged();
      };
      tell(T.vessel.deleted(vesselName(vessel)), { undo });
      go("gallery");
      onChanged();
    } catch (failed) { setProblem(failed); }
  };
  return html`<article class="vessel" ref=${top} aria-label=${vesselName(vessel)}>
    <header class="detail-head"><h1>${vesselName(vessel)}</h1>
      <span class="quiet">${vesselLine(vessel)}</span>
      <span class="tools">
        <button type="button" disabled=${!allowed} onClick=${() => setDialog("edit")}>${T.vessel.edit}</button>
        <button type="button" disabled=${!allowed} onClick=${() => setDialog("merge")}>${T.vessel.merge}</button>
        <button type="button" class="danger" disabled=${!allowed} onClick=${() => setDialog("delete")}>${T.vessel.delete}</button>
      </span></header>
    <${Fault} error=${problem} />
    <div class="vessel-grid">
      <div class="column"><${Chips} vessel=${vessel} allowed=${allowed} onReload=${renew} /><${Track} vessel=${vessel} /></div>
      <div class="column"><${Attributes} vessel=${vessel} /><${IdentityHistory} vessel=${vessel} />
        <${LookAlikes} vessel=${vessel} /></div>
    </div>
    ${dialog === "edit" && html`<${EditVessel} vessel=${vessel} onClose=${() => setDialog(null)}
      onDone=${() => { setDialog(null); renew(); }} />`}
    ${dialog === "merge" && html`<${VesselPicker} title=${T.vessel.mergeTitle(vesselName(vessel))}
      without=${[id]} onPick=${merge} onClose=${() => setDialog(null)} />`}
    ${dialog === "delete" && html`<${Dialog} title=${T.vessel.deleteTitle} onClose=${() => setDialog(null)}>
      <p>${T.vessel.deleteText(vesselName(vessel), vessel.sightings.length)}</p>
      <p class="form-end"><button type="button" class="danger" onClick=${remove}>${T.vessel.delete}</button>
        <button type="button" onClick=${() => setDialog(null)}>${T.cancel}</button></p><//>`}
  </article>`;
}

/** Take a vessel that was merged apart again: its chips become a vessel with its attributes. */
async function undoMerge(before, sightings, attributes) {
  const taken = ATTRIBUTES.filter((name) => before[name] === null && name in attributes);
  if (taken.length) {
    const json = Object.fromEntries(taken.map((name) => [name, null]));
    await call("PATCH", `gallery/${before.id}`, { json: { ...json, source: T.vessel.undoSource } });
  }
  await call("POST", `gallery/${before.id}/split`, { json: { sightings, vessel: attributes } });
}
