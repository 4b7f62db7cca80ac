// The Gallery page: find vessels as you type, look at one, register, import.
import { html, useEffect, useLoaded, useState, go } from "./lib.js";
import { get, mayChange } from "./api.js";
import { Exports } from "./exports.js";
import { Empty, Fault, useVesselSearch } from "./ui.js";
import { VesselPage } from "./vessel.js";
import { Register } from "./register.js";
import { Import } from "./importing.js";
import { vesselLine, vesselName } from "./format.js";
import { T } from "./texts.js";

const PAGE = 100;

export function GalleryPage({ id, query, who }) {
  const filters = { search: query.get("search") || "", type: query.get("type") || "" };
  const { search: text, type } = filters;
  const filter = (changes) => go("gallery", id, { ...filters, ...changes }, { replace: true });
  const [turn, setTurn] = useState(0);
  const [dialog, setDialog] = useState(null);
  const [unsaved, setUnsaved] = useState(null);
  const shown = Number(query.get("shown")) || PAGE;
  const { vessels, more, of, error, loading, reload } = useVesselSearch(text, { type, shown });
  const types = useLoaded((signal) => get("gallery/types", null, signal), [turn]).value?.types || [];
  useEffect(() => { if (turn) reload(); }, [turn]);
  const changed = () => setTurn((one) => one + 1);
  const allowed = mayChange(who);
  return html`
    <aside class="side" aria-label=${T.gallery.vessels}>
      <input type="search" class="search" value=${text} aria-label=${T.gallery.search}
        placeholder=${T.gallery.searchHint} onInput=${(event) => filter({ search: event.target.value })} />
      ${types.length > 0 && html`<select class="search" value=${type} aria-label=${T.gallery.type}
          onChange=${(event) => filter({ type: event.target.value })}>
        <option value="">${T.gallery.anyType}</option>
        ${types.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
      </select>`}
      <div class="side-buttons">
        <button type="button" disabled=${!allowed} onClick=${() => setDialog("register")}>${T.gallery.register}</button>
        <button type="button" disabled=${!allowed} onClick=${() => setDialog("import")}>${T.gallery.import}</button>
      </div>
      <${Fault} error=${error} retry=${reload} />
      <ul class="list" data-searched=${of.search}>
        ${vessels?.map((vessel) => html`<li key=${vessel.id}><button type="button" class="row"
            aria-current=${vessel.id === id ? "true" : undefined} onClick=${() => go("gallery", vessel.id, { ...filters, shown: query.get("shown") })}>
          <span class="who"><strong>${vesselName(vessel)}</strong><small>${vesselLine(vessel)}</small></span>
        </button></li>`)}
      </ul>
      ${vessels && !vessels.length && html`<p class="quiet">${text || type ? T.gallery.nothingFound : T.gallery.empty}</p>`}
      ${more && html`<p class="quiet">${T.gallery.more}</p>
        <button type="button" disabled=${loading} onClick=${() => filter({ shown: shown + PAGE })}>${T.gallery.showMore}</button>`}
      <div class="side-buttons saving"><${Exports} path="gallery" query=${{ search: text.trim(), type }} name="vessels"
        onProblem=${setUnsaved} disabled=${!vessels?.length} /></div>
      <${Fault} error=${unsaved} />
    </aside>
    <section class="content">
      ${id ? html`<${VesselPage} key=${id} id=${id} who=${who} onChanged=${changed} />`
      : html`<${Empty}><h1>${T.gallery.title}</h1>
        ${T.gallery.intro.map((one) => html`<p key=${one}>${one}</p>`)}<//>`}
    </section>
    ${dialog === "register" && html`<${Register} onClose=${() => setDialog(null)}
      onDone=${(vessel) => { setDialog(null); changed(); go("gallery", vessel.id); }} />`}
    ${dialog === "import" && html`<${Import} onClose=${() => { setDialog(null); changed(); }} />`}`;
}
