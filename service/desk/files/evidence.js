// What speaks for and against a candidate: evidence as bars, and checks of size and voyage.
import { html } from "./lib.js";
import { evidenceTerms, factor, metres, vesselName } from "./format.js";
import { T } from "./texts.js";

const WIDEST = Math.log(1000);

/** A bar to the right for evidence that speaks for the vessel, to the left for what speaks against it. */
const AxisBar = ({ value }) => html`<td class="axis" aria-hidden="true">
  <span class=${value < 0 ? "against" : "for"}
    style=${`width:${(Math.min(Math.abs(value), WIDEST) / WIDEST) * 50}%`}></span></td>`;

export function Evidence({ candidate }) {
  const terms = evidenceTerms(candidate);
  const silent = terms.filter((one) => one.silent).map((one) => one.label);
  const sum = terms.reduce((total, term) => total + term.value, 0);
  return html`<section class="panel evidence"><h3>${T.evidence.title(vesselName(candidate.vessel))}</h3>
    <table><tbody>
      ${terms.filter((one) => !one.silent).map((term) => html`<tr>
        <th scope="row">${term.label}${term.more && html`<small>${term.more}</small>`}</th>
        <${AxisBar} value=${term.value} /><td>${term.words}</td>
      </tr>`)}
      ${silent.length > 0 && html`<tr><td colspan="3" class="quiet">${T.evidence.silent(silent)}</td></tr>`}
      <tr class="sum"><th scope="row">${T.evidence.sum}<small>${T.evidence.odds}</small></th>
        <${AxisBar} value=${sum} /><td>${factor(sum)}</td></tr>
    </tbody></table>
    <p class="quiet">${T.evidence.note}</p>
  </section>`;
}

/** Red is kept for what cannot be: a size of a chip with sea and blur differs without being wrong. */
const SIGNS = { ok: "✓", differs: "≠", bad: "✗", unknown: "?" };

export function Checks({ candidate }) {
  const { length, width, kinematics } = candidate.checks;
  const size = (name, one) => [one.ok ? "ok" : "differs",
    T.checks.size(name, one.ok, metres(one.query_m), metres(one.vessel_m), one.tolerance)];
  const rows = [
    length ? size(T.checks.length, length) : ["unknown", T.checks.noLength],
    width && size(T.checks.beam, width),
    kinematics ? [kinematics.feasible ? "ok" : "bad", T.checks.voyage(kinematics)] : ["unknown", T.checks.noVoyage],
  ].filter(Boolean);
  return html`<section class="panel"><h3>${T.checks.title}</h3>
    <ul class="checks">${rows.map(([found, text]) => html`<li key=${text} class=${found}>
      <span aria-hidden="true">${SIGNS[found]}</span> ${text}</li>`)}</ul>
  </section>`;
}
