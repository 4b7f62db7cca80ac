// Numbers, times and evidence in words.
import { T } from "./texts.js";

const METRES_PER_NM = 1852;
export const nmToMetres = (nm) => nm * METRES_PER_NM;

/** A probability 0 to 1 as a percentage that never claims certainty. */
export function percent(p) {
  if (p === null || p === undefined) return "–";
  if (p > 0 && p < 0.01) return "< 1 %";
  if (p < 1 && p > 0.99) return "> 99 %";
  return `${Math.round(p * 100)} %`;
}

export const metres = (value) => (value === null || value === undefined ? "–" : `${Math.round(value)} m`);

/** A time in UTC; a day alone when only the day is known. */
export function moment(text, until) {
  if (!text) return T.unknown;
  const iso = new Date(text).toISOString();
  return until ? iso.slice(0, 10) : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

export function position(point) {
  if (!point) return T.unknown;
  const part = (value, plus, minus) => `${Math.abs(value).toFixed(3)}° ${value < 0 ? minus : plus}`;
  return `${part(point.lat, "N", "S")}, ${part(point.lon, "E", "W")}`;
}

export const vesselName = (vessel) => vessel.name
  || (vessel.imo && `IMO ${vessel.imo}`) || (vessel.mmsi && `MMSI ${vessel.mmsi}`)
  || T.vessel.unnamed(vessel.id.slice(0, 8));

const joined = (parts) => parts.filter(Boolean).join(" · ");
export const vesselKind = (vessel) => joined([
  vessel.type, vessel.length_m && metres(vessel.length_m),
]);
export const vesselLine = (vessel) => joined([vesselKind(vessel), vessel.imo && `IMO ${vessel.imo}`]);

/** A factor e^value as "×12", "÷2" or nothing. */
export function factor(value) {
  const size = Math.exp(Math.min(Math.abs(value), 60));
  if (size < 1.05) return T.evidence.even;
  const sign = value > 0 ? "×" : "÷";
  if (size >= 1000) return T.evidence.more(sign);
  return `${sign}${size < 10 ? Number(size.toFixed(1)) : Math.round(size)}`;
}

export const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** Lengths with their uncertainty, e.g. `{length: "162 ± 7 m"}`, of the ship that was found in a chip. */
export function outline(framing) {
  if (!framing?.length_m || !framing.width_m) return null;
  const size = (value, error) => (error >= 0.5 ? `${Math.round(value)} ± ${Math.round(error)} m` : metres(value));
  return {
    length: size(framing.length_m, framing.length_error_m), width: size(framing.width_m, framing.width_error_m),
  };
}

/**
 * The evidence for a candidate against "none of them", as `[{name, label, value, words, more, silent}]`,
 * the start and the pixels first, then the strongest. Values are natural logarithms of likelihood
 * ratios; `more` tells the numbers behind a term; a `silent` one changes next to nothing.
 */
export function evidenceTerms(candidate) {
  const rank = (one) => (one.name === "none" ? 0 : one.name.startsWith("similarity") ? 1 : 2);
  return candidate.terms.map((one) => {
    const value = Math.log(one.factor);
    return {
      name: one.name, value, label: capital(one.subject), words: words(one.name, value),
      more: numbersOf(one.words), silent: isSilent(one.name, value),
    };
  }).sort((a, b) => rank(a) - rank(b) || Math.abs(b.value) - Math.abs(a.value));
}

/** The numbers that the words of a term quote: what stands in brackets, or behind a colon. */
function numbersOf(text) {
  const quoted = /\(([^)]*)\)/.exec(text) || /: (.*)$/.exec(text);
  return quoted && /\d (m|kn|h|nm)\b/.test(quoted[1]) ? quoted[1] : null;
}

const isSilent = (name, value) => name !== "none" && Math.abs(value) < Math.log(1.05);

function words(name, value) {
  if (name === "voyage" && value < -20) return T.evidence.impossible;
  if (name === "none") return factor(value);
  return value > 0 ? T.evidence.speaksFor(factor(value)) : T.evidence.speaksAgainst(factor(value));
}

/** Round metres of a ruler: 1, 2 or 5 times a power of ten. */
export function roundStep(atLeast) {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= atLeast);
}

/** Chip views that the API offers for a sighting. */
export const previewUrl = (id, view) => `sightings/${id}/preview.png${view ? `?view=${view}` : ""}`;
