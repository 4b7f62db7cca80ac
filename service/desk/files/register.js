// Forms for a vessel's attributes: register a new one with chips, or change some of a known one.
import { html, useState } from "./lib.js";
import { call, formOf } from "./api.js";
import { Dialog, DropZone, Fault, Field, tell } from "./ui.js";
import { vesselName } from "./format.js";
import { T } from "./texts.js";

export const ATTRIBUTES = ["name", "imo", "mmsi", "callsign", "flag", "type", "length_m", "beam_m"];
const NUMBERS = ["length_m", "beam_m"];

/** The value of a field as the API takes it; a number that is none is sent for the API to refuse. */
function valueOf(name, text) {
  const trimmed = text.trim();
  if (!trimmed) return null;
  return NUMBERS.includes(name) && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

/** The fields that a problem is about, by their own names. */
export function fieldsOf(problem) {
  const found = {};
  for (const [path, text] of Object.entries(problem?.fields || {})) found[path.split(".").pop()] = text;
  for (const part of (problem?.message || "").split("; ")) {
    const named = /^(?:vessel: |vessel\.)?([a-z_]+): (.+)$/s.exec(part);
    if (named) found[named[1]] ||= named[2];
  }
  return found;
}

/** The vessel that filled fields describe. */
export const vesselOf = (values) => Object.fromEntries(Object.entries(values)
  .map(([name, text]) => [name, valueOf(name, text)]).filter(([, value]) => value !== null));

export function AttributeFields({ values, set, problem }) {
  const errors = fieldsOf(problem);
  return html`<div class="fields">
    ${[...ATTRIBUTES, "source"].map((name) => html`<${Field} key=${name} name=${name}
      label=${T.vessel.attributes[name]} value=${values[name] || ""} error=${errors[name]}
      inputmode=${NUMBERS.includes(name) ? "decimal" : undefined}
      onInput=${(event) => set({ ...values, [name]: event.target.value })} />`)}
  </div>`;
}

/** Whether a problem is shown at one of the fields. */
export const knownField = (problem) => ATTRIBUTES.concat("source").some((name) => name in fieldsOf(problem));

export function Register({ onDone, onClose }) {
  const [values, setValues] = useState({});
  const [files, setFiles] = useState([]);
  const [facts, setFacts] = useState({});
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    const vessel = vesselOf(values);
    const about = chipMetadata(files, facts);
    try {
      const form = formOf({ vessel: JSON.stringify(vessel), chip_metadata: JSON.stringify(about) },
        files.map((file) => ["chips", file]));
      const done = await call("POST", "gallery", { form });
      tell([T.vessel.registered(vesselName(done)), ...done.warnings].join(" "));
      onDone(done);
    } catch (failed) {
      setProblem(failed);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${T.vessel.registerTitle} onClose=${onClose} wide>
    <form onSubmit=${submit}>
      <${AttributeFields} values=${values} set=${setValues} problem=${problem} />
      <fieldset><legend>${T.vessel.chips}</legend>
        <${DropZone} label=${T.vessel.chooseChips} hint=${T.vessel.chipsHint}
          onFiles=${(more) => setFiles([...files, ...more])} />
        ${files.length > 0 && html`<p>${T.vessel.chosen(files.length)}: ${files.map((one) => one.name).join(", ")}
          <button type="button" onClick=${() => setFiles([])}>${T.vessel.clear}</button></p>`}
        <${ChipFacts} facts=${facts} set=${setFacts} problem=${problem} />
      </fieldset>
      ${problem && !knownField(problem) && html`<${Fault} error=${problem} />`}
      <p class="form-end"><button class="primary" disabled=${busy || !files.length}>${T.vessel.register}</button>
        ${!files.length && html`<span class="quiet">${T.vessel.needsChip}</span>`}</p>
    </form>
  <//>`;
}

/** The sensor type that the name of a file tells; undefined where the file itself has to. */
const modalityNamed = (name) => {
  const sensor = /_(SAR|RGB)\.\w+$/i.exec(name)?.[1].toUpperCase();
  return sensor && (sensor === "SAR" ? "sar" : "optical");
};

const CHIP_NUMBERS = ["gsd_m", "lat", "lon"];

/** A fact as the API takes it: a time in UTC, and a number that is none for the API to refuse. */
function factOf(name, text) {
  if (name === "captured_at") return utcTime(text);
  return CHIP_NUMBERS.includes(name) && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** The time of a field `datetime-local`, which is taken as UTC. */
export const utcTime = (text) => `${text}:00Z`.replace(/(:\d\d):00:00Z$/, "$1:00Z");

/** The `chip_metadata` of files: the same facts for each, but for the sensor type if none is chosen. */
export function chipMetadata(files, facts) {
  const said = Object.fromEntries(Object.entries(facts).filter(([, text]) => text.trim())
    .map(([name, text]) => [name, factOf(name, text.trim())]));
  return files.map((file) => ({ modality: modalityNamed(file.name), ...said }));
}

/** Fields of facts that the files of chips may not hold; `prefix` keeps the ids of two forms apart. */
export function ChipFacts({ facts, set, problem, prefix = "" }) {
  const errors = fieldsOf(problem);
  if (problem?.kind === "chip-modality") errors.modality = facts.modality ? problem.message : T.match.whichSensor;
  if (problem?.kind === "no-ship") errors.framing = T.match.noShip;
  const onChange = (name) => (event) => set({ ...facts, [name]: event.target.value });
  const field = (name, more) => html`<${Field} label=${T.match.facts[name]} name=${prefix + name} error=${errors[name]}
    value=${facts[name] || ""} onInput=${onChange(name)} ...${more} />`;
  const choice = (name, options) => field(name, { children: (shared) => html`
    <select ...${shared} value=${facts[name] || ""} onChange=${onChange(name)}>
      ${Object.entries(options).map(([key, text]) => html`<option key=${key} value=${key}>${text}</option>`)}
    </select>` });
  return html`<div class="fields">
    ${choice("modality", { "": T.match.asFileSays, ...T.modalities })}${field("gsd_m", { inputmode: "decimal" })}
    ${choice("framing", T.match.framings)}${field("captured_at", { type: "datetime-local" })}
    ${field("lat", { inputmode: "decimal" })}${field("lon", { inputmode: "decimal" })}
  </div>`;
}

export function EditVessel({ vessel, onDone, onClose }) {
  const before = Object.fromEntries(ATTRIBUTES.map((name) => [name, String(vessel[name] ?? "")]));
  const [values, setValues] = useState(before);
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const changed = ATTRIBUTES.filter((name) => values[name].trim() !== before[name]);
    if (!changed.length) { onClose(); return; }
    const patch = Object.fromEntries(changed.map((name) => [name, valueOf(name, values[name])]));
    if (values.source?.trim()) patch.source = values.source.trim();
    try {
      const done = await call("PATCH", `gallery/${vessel.id}`, { json: patch });
      const undo = () => call("PATCH", `gallery/${vessel.id}`, {
        json: { ...Object.fromEntries(changed.map((name) => [name, vessel[name]])), source: T.vessel.undoSource },
      }).then(onDone);
      tell(T.vessel.changed(changed.length), { undo });
      onDone(done);
    } catch (failed) {
      setProblem(failed);
    }
  };
  return html`<${Dialog} title=${T.vessel.editTitle(vesselName(vessel))} onClose=${onClose} wide>
    <form onSubmit=${submit}>
      <${AttributeFields} values=${values} set=${setValues} problem=${problem} />
      ${problem && !knownField(problem) && html`<${Fault} error=${problem} />`}
      <p class="form-end"><button class="primary">${T.vessel.save}</button>
        <span class="quiet">${T.vessel.emptyIsUnknown}</span></p>
    </form>
  <//>`;
}
