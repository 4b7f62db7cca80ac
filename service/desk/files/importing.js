// Import a folder of chips or a CSV, with progress and a report of what was refused and why.
import { html, untilDone, useRef, useState } from "./lib.js";
import { BROKEN_OFF, feed, formOf } from "./api.js";
import { saveAs } from "./exports.js";
import { Dialog, DropZone, Fault } from "./ui.js";
import { readFleet, vesselId } from "./fleet.js";
import { T } from "./texts.js";

const CHIPS_PER_REQUEST = 500;
const BYTES_PER_REQUEST = 24e6;
const MANIFEST_LENGTH = 5e5;
const SPOILT_BY_ONE = [400, 413, 422];
const MOST_TRIES = 4; // of a batch whose answer breaks off, e.g. while the service restarts

/** The chips of a fleet as `{name, file, vessel, line}`: the name in the form, and the line of the manifest. */
async function chipsOf(fleet) {
  const found = [];
  for (const vessel of fleet.vessels) {
    const about = { source: fleet.dataset, ...vessel.attributes, id: await vesselId(fleet.dataset, vessel.key) };
    for (const { file, metadata } of vessel.chips) {
      const name = file.name.normalize("NFC").split(/\s+/).join(" ").replaceAll('"', "%22").slice(-255);
      const line = JSON.stringify({ ...metadata, vessel: about, chip: name });
      found.push({ name, file, vessel: vessel.attributes.name || vessel.key, line });
    }
  }
  return found;
}

/** Group chips by what one request may carry; no two of a batch have one name. */
function batchesOf(chips) {
  const batches = [];
  let names, bytes, length;
  for (const one of chips) {
    if (!batches.length || names.size === CHIPS_PER_REQUEST || names.has(one.name)
        || bytes + one.file.size > BYTES_PER_REQUEST || length + one.line.length > MANIFEST_LENGTH) {
      batches.push([]);
      [names, bytes, length] = [new Set(), 0, 0];
    }
    batches.at(-1).push(one);
    names.add(one.name);
    bytes += one.file.size;
    length += one.line.length;
  }
  return batches;
}

/** Send chips; call `tell` with each chip and what became of it, also with those without an answer. */
async function sendBatch(chips, tell, signal, tries = MOST_TRIES) {
  const left = new Map(chips.map((one) => [one.name, one]));
  let reason = T.errors.unreachable;
  const form = formOf({ manifest: chips.map((one) => one.line).join("\n") }, chips.map((one) => ["chips", one.file]));
  try {
    await feed("gallery/bulk", form, (line) => {
      if (line.totals) return;
      tell(left.get(line.chip), line);
      left.delete(line.chip);
    }, signal);
  } catch (problem) {
    if (problem.name === "AbortError") return null;
    if (SPOILT_BY_ONE.includes(problem.status) && chips.length > 1) {
      const middle = chips.length >> 1;
      await sendBatch(chips.slice(0, middle), tell, signal);
      return sendBatch(chips.slice(middle), tell, signal);
    }
    if (problem.kind === BROKEN_OFF && tries > 1) return sendBatch([...left.values()], tell, signal, tries - 1);
    reason = problem.message;
  }
  for (const one of left.values()) tell(one, { problem: { detail: reason } });
  return null;
}

/** What was said of files as CSV; a cell that a spreadsheet would take for a formula begins with a quote. */
export function saidAsCsv(said) {
  const cell = (text) => `"${String(text).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  return ["file,vessel,reason", ...said.map((one) => [one.file, one.vessel, one.reason].map(cell).join(","))].join("\r\n");
}

export function Import({ onClose }) {
  const [fleet, setFleet] = useState(null);
  const [sar, setSar] = useState(false);
  const [report, setReport] = useState(null);
  const [problem, setProblem] = useState(null);
  const stopping = useRef(new AbortController());
  const files = useRef([]);
  const read = async (more, withSar = sar) => {
    files.current = more;
    setProblem(null);
    try {
      setFleet(await readFleet(more, { sar: withSar }));
    } catch (failed) { setProblem(failed); }
  };
  const run = async () => {
    const all = await chipsOf(fleet);
    const live = { done: 0, total: all.length, vessels: new Set(), chips: 0, refused: [...fleet.refused], warned: [], running: true };
    const tell = (chip, said) => {
      live.done += 1;
      if (said.problem) {
        live.refused.push({ file: chip.file.name, vessel: chip.vessel, reason: said.problem.detail });
      } else {
        live.chips += 1;
        live.vessels.add(said.vessel_id);
        live.warned.push(...said.warnings.map((reason) => ({ file: chip.file.name, vessel: chip.vessel, reason })));
      }
      setReport({ ...live });
    };
    setReport({ ...live });
    for (const batch of batchesOf(all)) {
      if (!stopping.current.signal.aborted) await sendBatch(batch, tell, stopping.current.signal);
    }
    setReport({ ...live, running: false });
  };
  const close = () => { stopping.current.abort(); onClose(); };
  const chips = fleet?.vessels.reduce((sum, one) => sum + one.chips.length, 0);
  return html`<${Dialog} title=${T.importing.title} onClose=${close} wide>
    ${!report && html`
      ${T.importing.intro.map((text) => html`<p key=${text}>${text}</p>`)}
      <div class="two">
        <${DropZone} folder label=${T.importing.folder} hint=${T.importing.folderHint} onFiles=${read} />
        <${DropZone} accept=".csv,.tif,.tiff,.png,.jpg,.jpeg" label=${T.importing.files} hint=${T.importing.filesHint} onFiles=${read} />
      </div>
      <label><input type="checkbox" checked=${sar} onChange=${(event) => {
        setSar(event.target.checked);
        if (files.current.length) read(files.current, event.target.checked);
      }} /> ${T.importing.alsoSar}</label>
      <${Fault} error=${problem} />
      ${fleet && html`<p role="status"><strong>${T.importing.found(fleet.vessels.length, chips)}</strong>
        ${fleet.refused.length > 0 && html` ${T.importing.unusable(fleet.refused.length)}`}</p>
        ${fleet.notes.map((text) => html`<p key=${text} class="quiet">${text}</p>`)}
        <${Said} said=${fleet.refused} title=${T.importing.refused} name="refused.csv" />
        <p class="form-end"><button type="button" class="primary" disabled=${!fleet.vessels.length} onClick=${() => untilDone(run())}>
          ${T.importing.start}</button></p>`}`}
    ${report && html`
      <p role="status"><strong>${report.running ? T.importing.running(report.done, report.total)
        : T.importing.done(report.vessels.size, report.chips, report.refused.length)}</strong></p>
      <progress max=${report.total || 1} value=${report.done} aria-label=${T.importing.title}></progress>
      <${Said} said=${report.refused} title=${T.importing.refused} name="refused.csv" />
      <${Said} said=${report.warned} title=${T.importing.warned} name="warnings.csv" />
      <p class="form-end"><button type="button" class=${report.running ? "" : "primary"} onClick=${close}>
        ${report.running ? T.importing.stop : T.close}</button></p>`}
  <//>`;
}

/** What was said of files, those with one reason in one row; the saved list has a row for each. */
function Said({ said, title, name }) {
  if (!said.length) return null;
  const byReason = Map.groupBy ? [...Map.groupBy(said, (one) => one.reason).values()] : said.map((one) => [one]);
  const save = () => saveAs(name, new Blob([saidAsCsv(said)], { type: "text/csv" }));
  return html`<div class="refusals"><table class="table"><caption>${title}</caption>
    <thead><tr><th>${T.importing.file}</th><th>${T.importing.vessel}</th><th>${T.importing.reason}</th></tr></thead>
    <tbody>${byReason.slice(0, 200).map(([one, ...others], index) => html`<tr key=${index}>
      <td>${T.importing.alike(one.file, others.length)}</td><td>${T.importing.alike(one.vessel, others.length)}</td>
      <td>${one.reason}</td></tr>`)}</tbody></table>
    <button type="button" onClick=${save}>${T.importing.saveReport}</button></div>`;
}
