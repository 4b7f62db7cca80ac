// Groups of chips that may show one unknown ship: look at them, add the ship, or mark them as different ships.
import { html, useRef, useState, addressOf } from "./lib.js";
import { call, mayChange } from "./api.js";
import { Ruler, Strip, shown, usePicture, useSeen } from "./pictures.js";
import { Dialog, Fault, tell } from "./ui.js";
import { AttributeFields, knownField, vesselOf } from "./register.js";
import { metres, moment, percent, previewUrl, vesselName } from "./format.js";
import { T } from "./texts.js";

const HIGHEST_PX = 230;
const WIDEST_PX = 110;

const idsOf = (group) => group.sightings.map((one) => one.sighting.id);

/** The groups of `GET /sightings/open/groups`. */
export function Groups({ listing, who, onChange }) {
  return html`${listing.groups.map((group) => html`<${Group} key=${group.group_id} group=${group}
    allowed=${mayChange(who)} onChange=${onChange} />`)}`;
}

/** CSS pixels a metre at which all chips of a group fit beside each other, upright. */
const scaleOf = (group) => Math.min(
  HIGHEST_PX / Math.max(...group.sightings.map((one) => one.sighting.length_m)),
  WIDEST_PX / Math.max(...group.sightings.map((one) => one.sighting.width_m)));

/** A chip upright at the scale of its group, beside a ruler. */
function Berth({ sighting, scale, turned }) {
  const node = useRef();
  const seen = useSeen(node);
  const { bitmap } = usePicture(seen && previewUrl(sighting.id));
  return html`<span class="berth" ref=${node} style=${`height:${HIGHEST_PX}px`}>
    <${Ruler} scale=${scale} length=${HIGHEST_PX} upright />
    ${bitmap && html`<${Strip} part=${shown(bitmap, sighting)} scale=${scale} turned=${turned} upright bright
      label=${sighting.file_name || ""} />`}
  </span>`;
}

function Group({ group, allowed, onChange }) {
  const [chosen, setChosen] = useState([]);
  const [naming, setNaming] = useState(false);
  const [problem, setProblem] = useState(null);
  const [turned, setTurned] = useState([]);
  const all = idsOf(group);
  const scale = scaleOf(group);
  const switched = (id) => (old) => (old.includes(id) ? old.filter((one) => one !== id) : [...old, id]);
  const markDifferent = async () => {
    setProblem(null);
    const named = chosen.length ? chosen : all;
    const body = { sightings: named, others: all.filter((id) => !named.includes(id)) };
    try {
      await call("POST", "sightings/open/different", { json: body });
      const undo = () => call("POST", "sightings/open/different", { json: { ...body, different: false } }).then(onChange);
      tell(T.groups.markedDifferent(named.length, named.length === all.length), { undo });
      setChosen([]);
      onChange();
    } catch (failed) { setProblem(failed); }
  };
  return html`<section class="panel group" aria-label=${T.groups.title(group.chips)}>
    <header><h3>${T.groups.title(group.chips)}</h3>
      <span class="badge">${group.probability === null ? T.groups.sentTogether : T.groups.probability(percent(group.probability))}</span></header>
    <ul class="chips">${group.sightings.map(({ sighting, match_id: matchId, probability }) => html`<li key=${sighting.id}>
      <label class="chip"><${Berth} sighting=${sighting} scale=${scale} turned=${turned.includes(sighting.id)} />
        <span><input type="checkbox" disabled=${!allowed} checked=${chosen.includes(sighting.id)}
          onChange=${() => setChosen(switched(sighting.id))} /> ${T.modalities[sighting.modality]}, ${metres(sighting.length_m)}</span>
        <small>${sighting.captured_at ? moment(sighting.captured_at, sighting.captured_until) : T.vessel.noTime}</small>
        ${probability !== null && html`<small>${T.groups.member(percent(probability))}</small>`}</label>
      <a href=${addressOf("match", matchId)}>${sighting.file_name || T.match.unnamed}</a>
      <button type="button" class="small" aria-pressed=${String(turned.includes(sighting.id))}
        onClick=${() => setTurned(switched(sighting.id))}>${T.compare.turn}</button></li>`)}</ul>
    ${allowed && html`<div class="chip-tools">
      <button type="button" class="primary" onClick=${() => setNaming(true)}>${T.groups.enrol(chosen.length)}</button>
      <button type="button" onClick=${markDifferent}>${T.groups.markDifferent(chosen.length)}</button></div>`}
    <${Fault} error=${problem} />
    ${naming && html`<${EnrolGroup} group=${group} ids=${chosen.length ? chosen : all}
      onClose=${() => setNaming(false)} onDone=${() => { setNaming(false); onChange(); }} onUndone=${onChange} />`}
  </section>`;
}

/** A dialog that registers sightings as a new vessel. */
function EnrolGroup({ group, ids, onDone, onUndone, onClose }) {
  const [values, setValues] = useState({});
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const matches = group.sightings.filter((one) => ids.includes(one.sighting.id)).map((one) => one.match_id);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const made = await call("POST", "sightings/open/enrol", { json: { sightings: ids, vessel: vesselOf(values) } });
      const undo = async () => {
        for (const id of matches) await call("POST", `matches/${id}/verdict`, { json: { decision: "withdrawn" } });
        await call("DELETE", `gallery/${made.id}`);
        onUndone();
      };
      tell(T.vessel.registered(vesselName(made)), { undo });
      onDone();
    } catch (failed) {
      setProblem(failed);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${T.groups.enrolTitle(ids.length)} onClose=${onClose} wide>
    <form onSubmit=${submit}>
      <p class="quiet">${T.groups.enrolText}</p>
      <${AttributeFields} values=${values} set=${setValues} problem=${problem} />
      ${problem && !knownField(problem) && html`<${Fault} error=${problem} />`}
      <p class="form-end"><button class="primary" disabled=${busy}>${T.vessel.register}</button></p>
    </form>
  <//>`;
}
