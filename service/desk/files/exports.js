// Lists of the service, saved as files in another format.
import { html } from "./lib.js";
import { fetchBlob } from "./api.js";
import { T } from "./texts.js";

const FORMATS = [["text/csv", "csv", T.exports.csv], ["application/geo+json", "geojson", T.exports.geoJson]];

/** Buttons that save the list at `path`, filtered by `query`, as `name` with the suffix of its format. */
export function Exports({ path, query = {}, name, onProblem, disabled }) {
  const save = async (media, suffix) => {
    onProblem(null);
    try {
      const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
      const blob = await fetchBlob(search.size ? `${path}?${search}` : path, { Accept: media });
      saveAs(`${name}.${suffix}`, blob);
    } catch (failed) { onProblem(failed); }
  };
  return html`${FORMATS.map(([media, suffix, text]) => html`<button type="button" key=${suffix} disabled=${disabled}
    onClick=${() => save(media, suffix)}>${text}</button>`)}`;
}

/** Save a blob as a file; CSV with a byte order mark, without which spreadsheets misread all but ASCII. */
export function saveAs(name, blob) {
  const marked = blob.type.startsWith("text/csv") ? new Blob(["\uFEFF", blob], { type: blob.type }) : blob;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(marked);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
