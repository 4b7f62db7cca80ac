// The page Open sightings: groups that may show one unknown ship, matches that nobody has judged yet, and
// new matches.
import { html, useLoaded, addressOf } from "./lib.js";
import { get } from "./api.js";
import { Fault, Loading } from "./ui.js";
import { Groups } from "./groups.js";
import { MatchTable } from "./history.js";
import { percent } from "./format.js";
import { T } from "./texts.js";

const SHOWN = 100;

export function WaitingPage({ who }) {
  const fresh = useLoaded((signal) => get("matches", { state: "new", limit: SHOWN }, signal), []);
  const groups = useLoaded((signal) => get("sightings/open/groups", null, signal), []);
  const open = useLoaded((signal) => get("matches", { state: "asked", limit: SHOWN }, signal), []);
  const parts = [fresh, groups, open];
  const reload = () => parts.forEach((one) => one.reload());
  return html`<section class="content wide-page">
    <header class="page-head"><h1>${T.waiting.title}</h1></header>
    <p class="quiet">${T.waiting.intro}</p>
    <${Fault} error=${parts.map((one) => one.error).find(Boolean)} retry=${reload} />
    ${fresh.value && html`<h2>${T.waiting.fresh}</h2>
      ${fresh.value.matches.length ? html`<${MatchTable} matches=${fresh.value.matches} />`
      : html`<p class="quiet">${T.waiting.noFresh}</p>`}`}
    ${groups.value && html`<h2>${T.groups.heading}</h2>
      <p class="quiet">${groups.value.groups.length ? T.groups.intro(percent(groups.value.threshold)) : T.groups.none}</p>
      <${Groups} listing=${groups.value} who=${who} onChange=${reload} />
      ${groups.value.next_cursor && html`<p class="quiet">${T.groups.more(groups.value.total)}</p>`}`}
    <h2>${T.waiting.open}</h2>
    ${open.loading && !open.value && html`<${Loading} />`}
    ${open.value && (open.value.matches.length ? html`<${MatchTable} matches=${open.value.matches} />`
      : html`<p class="quiet">${T.waiting.noOpen}</p>`)}
    ${open.value?.next_cursor && html`<p><a href=${addressOf("history", null, { standing: "open" })}>${T.waiting.all}</a></p>`}
  </section>`;
}
