// The About page: what a probability means, the model card, health, and the libraries of this page.
import { html, useEffect, useState, useStore } from "./lib.js";
import { bundle, fetchBlob, get } from "./api.js";
import { Fault, Loading } from "./ui.js";
import { T } from "./texts.js";

const HEALTH_EVERY_MS = 15000;

function Health() {
  const [state, setState] = useState(null);
  useEffect(() => {
    const look = () => fetch("readyz").then((answer) => answer.json())
      .then(setState, () => setState({ ready: false, parts: { service: T.errors.unreachable } }));
    look();
    const timer = setInterval(look, HEALTH_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  if (!state) return html`<${Loading} />`;
  return html`<section class="panel"><h2>${T.about.health}</h2>
    <p class=${state.ready ? "ok" : "bad"}><strong>${state.ready ? T.about.ready : T.about.notReady}</strong></p>
    <ul class="checks">${Object.entries(state.parts).map(([name, fault]) => html`<li key=${name} class=${fault ? "bad" : "ok"}>
      <span aria-hidden="true">${fault ? "✗" : "✓"}</span> ${name}${fault ? `: ${fault}` : ""}</li>`)}</ul></section>`;
}

/** The text of a model card: headings, tables, lists and paragraphs of Markdown, nothing else. */
export function Markdown({ text }) {
  const blocks = text.split(/\n{2,}/).map((block) => block.trim()).filter(Boolean);
  return blocks.map((block, index) => {
    const heading = /^(#{1,4}) (.*)$/.exec(block);
    if (heading) return html`<h3 key=${index}>${heading[2]}</h3>`;
    const lines = block.split("\n");
    if (lines[0].startsWith("|")) {
      const rows = lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
      return html`<div key=${index} class="table-frame" tabindex="0" role="region" aria-label=${rows[0].join(", ")}><table class="table">
        <thead><tr>${rows[0].map((cell) => html`<th>${inline(cell)}</th>`)}</tr></thead>
        <tbody>${rows.slice(2).map((row) => html`<tr>${row.map((cell) => html`<td>${inline(cell)}</td>`)}</tr>`)}</tbody></table></div>`;
    }
    if (/^[-*] /.test(lines[0])) return html`<ul key=${index}>${lines.map((line) => html`<li>${inline(line.replace(/^[-*] /, ""))}</li>`)}</ul>`;
    return html`<p key=${index}>${inline(block)}</p>`;
  });
}

function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part) => {
    if (part.startsWith("**")) return html`<strong>${part.slice(2, -2)}</strong>`;
    if (part.startsWith("`")) return html`<code>${part.slice(1, -1)}</code>`;
    return part;
  });
}

function Libraries() {
  const [packages, setPackages] = useState([]);
  useEffect(() => {
    fetchBlob(new URL("./vendor/vendored.json", import.meta.url)).then((blob) => blob.text())
      .then((text) => setPackages(JSON.parse(text).packages), () => {});
  }, []);
  return html`<section class="panel"><h2>${T.about.libraries}</h2>
    <ul>${packages.map((one) => html`<li key=${one.name}>${one.name} ${one.version}: ${one.purpose} (${one.licence})</li>`)}</ul></section>`;
}

export function AboutPage() {
  const card = useStore(bundle);
  const counts = useCounts();
  if (!card) return html`<${Loading} />`;
  const { manifest } = card;
  const simulated = manifest.training.domain === "simulated";
  return html`<section class="content wide-page about">
    <header class="page-head"><h1>${T.about.title}</h1></header>
    <div class="vessel-grid">
      <div class="column">
        <section class="panel"><h2>${T.about.meaning}</h2>
          ${T.about.meaningText.map((text) => html`<p key=${text}>${text}</p>`)}
          ${simulated && html`<p><strong>${T.about.simulated}</strong></p>`}
          <h3>${T.about.verdicts}</h3>
          <dl class="facts">${Object.entries(T.verdicts).map(([key, one]) => html`<dt key=${key}>${one.short}</dt><dd>${one.text}</dd>`)}</dl>
        </section>
        <${Health} />
        <section class="panel"><h2>${T.about.models}</h2>
          <dl class="facts">
            <dt>${T.about.name}</dt><dd>${manifest.name}</dd>
            <dt>${T.about.bundle}</dt><dd><code>${card.bundle_id}</code></dd>
            <dt>${T.about.domain}</dt><dd>${manifest.training.domain}</dd>
            <dt>${T.about.fittedOn}</dt><dd>${manifest.calibration.fitted_on}</dd>
            <dt>${T.about.device}</dt><dd>${card.device}</dd>
            ${counts && html`<dt>${T.facts.gallery}</dt><dd>${T.facts.galleryOf(counts.vessels, counts.sightings)}</dd>`}
          </dl></section>
        <${Libraries} />
      </div>
      <section class="panel card column"><${Markdown} text=${card.model_card} /></section>
    </div>
  </section>`;
}

/** The size of the gallery as the latest match saw it. */
function useCounts() {
  const [counts, setCounts] = useState(null);
  useEffect(() => {
    get("matches", { limit: 1 }).then(({ matches }) => (matches[0] ? get(`matches/${matches[0].match_id}`) : null))
      .then((match) => match && setCounts(match.gallery), () => {});
  }, []);
  return counts;
}
