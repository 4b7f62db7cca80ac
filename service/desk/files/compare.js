// Query and candidate at the same metre scale, turned alike, with overlays and a ruler.
import { html, useEffect, useRef, useState, useLayoutEffect, useStore } from "./lib.js";
import { bundle } from "./api.js";
import { MeasuredLine, lengthOf, useMeasuring } from "./measuring.js";
import { Moved, useMoving } from "./moving.js";
import { Ruler, Strip, shown, usePicture } from "./pictures.js";
import { Choice } from "./ui.js";
import { metres, previewUrl } from "./format.js";
import { T } from "./texts.js";

const TALLEST_PX = 170;
const PICTURE_GAP_PX = 2; // between several pseudo-SAR pictures of one chip

/** Return the width of a node, in CSS pixels, as it changes. */
function useWidth(node) {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([one]) => setWidth(Math.floor(one.contentRect.width)));
    observer.observe(node.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** The size of a picture that is not there yet, so that the scale stays when it comes. */
const stated = (sighting) => (sighting?.length_m && sighting.width_m
  ? { long_m: Math.max(sighting.length_m, sighting.width_m), short_m: Math.min(sighting.length_m, sighting.width_m) }
  : null);

/** The place of a picture that is loaded, or why it is missing. */
const Awaited = ({ size, scale, picture }) => html`<span class="strip-missing" role="status"
  style=${size && scale ? `width:${size.long_m * scale}px;height:${size.short_m * scale}px` : ""}>
  ${picture.failed ? picture.failed.message : T.loading}</span>`;

/** The first of several pseudo-SAR pictures, at the size of the chip that it was made from. */
function imaginedFrom(bitmap, size, samples) {
  if (!bitmap || !size) return null;
  const across = (bitmap.width - PICTURE_GAP_PX * (samples - 1)) / samples;
  return { bitmap, across, long_m: size.long_m, short_m: size.short_m };
}

/**
 * Compare a query with a candidate.
 * `query`: a sighting or a query of a match, with its `sighting_id`; `candidate`: null shows the
 * query alone.
 */
export function Compare({ query, candidate }) {
  const node = useRef();
  const width = useWidth(node);
  const samples = useStore(bundle)?.manifest.fusion.samples || 1;
  const [mode, setMode] = useState("side");
  const [view, setView] = useState("denoised");
  const [over, setOver] = useState("best");
  const [turned, setTurned] = useState(false);
  const [bright, setBright] = useState(true);
  const [at, setAt] = useState(50);
  const known = candidate?.sighting;
  const halfTurned = Boolean(candidate?.way?.half_turned);
  useEffect(() => setTurned(halfTurned), [known?.id, query.sighting_id, halfTurned]);
  const viewed = view === "denoised" ? null : view;
  const asked = usePicture(query.sighting_id && previewUrl(query.sighting_id, viewed));
  const best = usePicture(known && previewUrl(known.id));
  const imagined = usePicture(known?.pseudo_sar_url);
  const parts = { query: shown(asked.bitmap, query), best: shown(best.bitmap, known) };
  parts.imagined = imaginedFrom(imagined.bitmap, parts.best, samples);
  const sizes = { query: parts.query || stated(query), best: parts.best || stated(known) };
  const drawn = Object.values(sizes).filter(Boolean);
  const scale = drawn.length && width
    ? Math.min(width / Math.max(...drawn.map((one) => one.long_m)),
      TALLEST_PX / Math.max(...drawn.map((one) => one.short_m)))
    : 0;
  const captions = {
    query: T.compare.query(T.modalities[query.modality], metres(query.length_m)),
    best: known && T.compare.best(T.modalities[known.modality], metres(known.length_m)),
    imagined: T.compare.imagined,
  };
  const overlay = known && mode !== "side";
  const upper = over === "imagined" && parts.imagined ? "imagined" : "best";
  const stage = useRef();
  const measuring = useMeasuring(stage, [scale, mode, known?.id, query.sighting_id]);
  const moving = useMoving(scale, [known?.id, query.sighting_id]);
  const handling = useRef(null);
  const onHold = (event) => {
    if (event.button || !scale || event.target.closest("input, label, button:not(.end)")) return;
    const moves = overlay && !measuring.line && event.target.closest(".overlay");
    handling.current = moves ? moving : measuring;
    handling.current.hold(event);
    stage.current.setPointerCapture(event.pointerId);
  };
  const onDrag = (event) => handling.current?.drag(event);
  const onRelease = () => {
    handling.current?.release();
    handling.current = null;
  };
  const strip = (key) => (parts[key] && scale
    ? html`<${Strip} part=${parts[key]} scale=${scale} label=${captions[key]} bright=${bright}
        turned=${turned && key !== "query"} />`
    : html`<${Awaited} size=${sizes[key] || sizes.best} scale=${scale} picture=${{ query: asked, best, imagined }[key]} />`);
  const figure = (key) => html`<figure key=${key}>
    <figcaption>${captions[key]}</figcaption>${strip(key)}</figure>`;
  const turner = parts[upper] && html`<div class="moved frame" style=${`${moving.style};width:${parts[upper].long_m * scale}px`}>
    <span class="turner" title=${T.moving.turner}>↻</span></div>`;

  return html`<section class="compare" aria-label=${T.compare.title}>
    <div class="compare-tools">
      ${known && html`<${Choice} label=${T.compare.mode} value=${mode} onChange=${setMode}
        options=${Object.entries(T.compare.modes)} />`}
      <${Choice} label=${T.compare.view} value=${view} onChange=${setView}
        options=${Object.entries(T.compare.views)} />
      ${overlay && parts.imagined && html`<${Choice} label=${T.compare.over} value=${over}
        onChange=${setOver} options=${Object.entries(T.compare.overs)} />`}
      ${known && html`<button type="button" aria-pressed=${String(turned)}
        onClick=${() => setTurned(!turned)}>${T.compare.turn}</button>`}
      <button type="button" aria-pressed=${String(bright)} onClick=${() => setBright(!bright)}>${T.compare.bright}</button>
      <button type="button" aria-pressed=${String(Boolean(measuring.line))} disabled=${!parts.query}
        onClick=${measuring.line ? measuring.clear : measuring.start}>${T.measure.start}</button>
      <span class="reading" role="status">${reading(measuring, scale, overlay)}</span>
    </div>
    <div class="stage" ref=${stage} onPointerDown=${onHold} onPointerMove=${onDrag}
        onPointerUp=${onRelease} onPointerCancel=${onRelease}>
      <div ref=${node} class="measure"></div>
      ${!query.sighting_id && html`<p>${T.compare.notStored}</p>`}
      ${!overlay && html`${query.sighting_id && figure("query")}${known && figure("best")}
        ${known?.pseudo_sar_url && !imagined.failed && figure("imagined")}`}
      ${overlay && html`<figure>
        <figcaption>${T.compare.hints[mode]} ${captions[upper]}</figcaption>
        <div class="overlay ${mode}" style=${`--at:${at}%`} tabindex="0" role="application"
            aria-label=${T.moving.label} onKeyDown=${moving.onKey}>
          ${query.sighting_id && strip("query")}
          <div class="upper"><div class="moved" style=${moving.style}>${strip(upper)}</div></div>
          ${!measuring.line && turner}
        </div>
        ${mode === "swipe" && html`<input type="range" min="0" max="100" value=${at}
          aria-label=${T.compare.swipe} onInput=${(event) => setAt(+event.target.value)} />`}
        <${Moved} moving=${moving} />
      </figure>`}
      ${scale > 0 && html`<${Ruler} scale=${scale} length=${width} />
        <${MeasuredLine} measuring=${measuring} scale=${scale} />`}
    </div>
  </section>`;
}

/** What was measured, or what dragging does. */
function reading({ line, first }, scale, overlay) {
  if (line) return T.measure.result(lengthOf(line, scale));
  if (first) return T.measure.second;
  return overlay ? T.moving.hint : T.measure.hint;
}
