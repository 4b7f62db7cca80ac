// Import a folder of chips or a CSV, with progress and a report of what was refused and why.
import { html, useRef, useState } from "./lib.js";
import { call, formOf, inParallel } from "./api.js";
import { Dialog, DropZone, Fault } from "./ui.js";
import { readFleet, vesselId } from "./fleet.js";
import { T } from "./texts.js";

const CHIPS_PER_REQUEST = 16;
const WIDTH = 2;

/** Send one vessel in batches; a batch that is refused is sent chip by chip. */
async function sendVessel(dataset, vessel, report) {
  const document = { source: dataset, ...vessel.attributes, id: await vesselId(dataset, vessel.key) };
  let id = null;
  const send = async (chips) => {
    try {
      const parts = chips.map((one) => ["chips", one.file]);
      const about = JSON.stringify(chips.map((one) => one.metadata));
      const done = id
        ? await call("POST", `gallery/${id}/chips`, { form: formOf({ chip_metadata: about }, parts) })
        : await call("POST", "gallery", { form: formOf({ vessel: JSON.stringify(document), chip_metadata: about }, parts) });
      id = done.id;
      report.chips += chips.length;
    } catch (problem) {
      if (chips.length > 1 && problem.status >= 400 && problem.status < 500) {
        for (const one of chips) await send([one]);
        return;
      }
      for (const one of chips) {
        report.refused.push({ file: one.file.name, vessel: vessel.attributes.name || vessel.key, reason: problem.message });
      }
    }
  };
  for (let at = 0; at < vessel.chips.length; at += CHIPS_PER_REQUEST) {
    await send(vessel.chips.slice(at, at + CHIPS_PER_REQUEST));
  }
  if (id) report.vessels += 1;
}

/** The refusals as CSV; a cell that a spreadsheet would take for a formula begins with a quote. */
export function refusalsAsCsv(refused) {
  const cell = (text) => `"${String(text).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  return ["file,vessel,reason", ...refused.map((one) => [one.file, one.vessel, one.reason].map(cell).join(","))].join("\r\n");
}

export function Import({ onClose }) {
  const [fleet, setFleet] = useState(null);
  const [sar, setSar] = useState(false);
  const [report, setReport] = useState(null);
  const [problem, setProblem] = useState(null);
  const stopped = useRef(false);
  const files = useRef([]);
  const read = async (more, withSar = sar) => {
    files.current = more;
    setProblem(null);
    try {
      setFleet(await readFleet(more, { sar: withSar }));
    } catch (failed) { setProblem(failed); }
  };
  const run = async () => {
    const live = { done: 0, total: fleet.vessels.length, vessels: 0, chips: 0, refused: [...fleet.refused], running: true };
    setReport({ ...live });
    await inParallel(fleet.vessels, WIDTH, async (vessel) => {
      if (stopped.current) return;
      await sendVessel(fleet.dataset, vessel, live);
      live.done += 1;
      setReport({ ...live });
    });
    setReport({ ...live, running: false, stopped: stopped.current });
  };
  const close = () => { stopped.current = true; onClose(); };
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
        <${Refusals} refused=${fleet.refused} />
        <p class="form-end"><button type="button" class="primary" disabled=${!fleet.vessels.length} onClick=${run}>
          ${T.importing.start}</button></p>`}`}
    ${report && html`
      <p role="status"><strong>${report.running ? T.importing.running(report.done, report.total)
        : T.importing.done(report.vessels, report.chips, report.refused.length)}</strong></p>
      <progress max=${report.total || 1} value=${report.done} aria-label=${T.importing.title}></progress>
      <${Refusals} refused=${report.refused} />
      <p class="form-end"><button type="button" class=${report.running ? "" : "primary"} onClick=${close}>
        ${report.running ? T.importing.stop : T.close}</button></p>`}
  <//>`;
}

function Refusals({ refused }) {
  if (!refused.length) return null;
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([refusalsAsCsv(refused)], { type: "text/csv" }));
    link.download = T.importing.reportName;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  return html`<div class="refusals"><table class="table"><caption>${T.importing.refused}</caption>
    <thead><tr><th>${T.importing.file}</th><th>${T.importing.vessel}</th><th>${T.importing.reason}</th></tr></thead>
    <tbody>${refused.slice(0, 200).map((one, index) => html`<tr key=${index}>
      <td>${one.file}</td><td>${one.vessel}</td><td>${one.reason}</td></tr>`)}</tbody></table>
    <button type="button" onClick=${save}>${T.importing.saveReport}</button></div>`;
}
