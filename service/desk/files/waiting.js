// The Waiting page: matches that nobody has judged yet, and those for which something new was found.
import { html, useLoaded, addressOf } from "./lib.js";
import { get } from "./api.js";
import { Fault, Loading } from "./ui.js";
import { MatchTable } from "./history.js";
import { T } from "./texts.js";

const SHOWN = 100;

export function WaitingPage() {
  const fresh = useLoaded((signal) => get("matches", { state: "new", limit: SHOWN }, signal)
    .catch((problem) => { if (problem.status === 422) return null; throw problem; }), []);
  const open = useLoaded((signal) => get("matches", { standing: "open", limit: SHOWN }, signal), []);
  return html`<section class="content wide-page">
    <header class="page-head"><h1>${T.waiting.title}</h1></header>
    <p class="quiet">${T.waiting.intro}</p>
    <${Fault} error=${fresh.error || open.error} retry=${() => { fresh.reload(); open.reload(); }} />
    ${fresh.value && html`<h2>${T.waiting.fresh}</h2>
      ${fresh.value.matches.length ? html`<${MatchTable} matches=${fresh.value.matches} />`
      : html`<p class="quiet">${T.waiting.noFresh}</p>`}`}
    <h2>${T.waiting.open}</h2>
    ${open.loading && !open.value && html`<${Loading} />`}
    ${open.value && (open.value.matches.length ? html`<${MatchTable} matches=${open.value.matches} />`
      : html`<p class="quiet">${T.waiting.noOpen}</p>`)}
    ${open.value?.next_cursor && html`<p><a href=${addressOf("history", null, { standing: "open" })}>${T.waiting.all}</a></p>`}
  </section>`;
}
