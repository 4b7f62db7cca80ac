// Query and candidate at the same metre scale, turned alike, with overlays and a ruler.
import { html, useEffect, useRef, useState, useLayoutEffect, useStore } from "./lib.js";
import { bundle, picture } from "./api.js";
import { MeasuredLine, lengthOf, useMeasuring } from "./measuring.js";
import { Moved, useMoving } from "./moving.js";
import { Choice } from "./ui.js";
import { metres, previewUrl, roundStep } from "./format.js";
import { T } from "./texts.js";

const TALLEST_PX = 170;
const TICK_PX = 70;
const PICTURE_GAP_PX = 2; // between several pseudo-SAR pictures of one chip

const NO_PICTURE = { bitmap: null, failed: null };

/** Load a picture; returns `{bitmap, failed}`, both null until that of the present path is there. */
function usePicture(path) {
  const [state, setState] = useState({ ...NO_PICTURE, path: null });
  useEffect(() => {
    let current = true;
    if (path) {
      picture(path).then(
        (bitmap) => current && setState({ path, bitmap, failed: null }),
        (failed) => current && setState({ path, bitmap: null, failed }),
      );
    }
    return () => { current = false; };
  }, [path]);
  return path && state.path === path ? state : NO_PICTURE;
}

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

/** What a picture shows: the part of the bitmap in pixels, and its long and short side in metres. */
function shown(bitmap, sighting) {
  if (!bitmap) return null;
  const sides = [bitmap.width * sighting.gsd_m, bitmap.height * sighting.gsd_m];
  return { bitmap, across: bitmap.width, long_m: Math.max(...sides), short_m: Math.min(...sides) };
}

/** The first of several pseudo-SAR pictures, at the size of the chip that it was made from. */
function imaginedFrom(bitmap, size, samples) {
  if (!bitmap || !size) return null;
  const across = (bitmap.width - PICTURE_GAP_PX * (samples - 1)) / samples;
  return { bitmap, across, long_m: size.long_m, short_m: size.short_m };
}

/** Draw a picture so that its long side runs from left to right, `scale` CSS pixels a metre. */
function Strip({ part, scale, turned, label }) {
  const canvas = useRef();
  const wide = Math.max(1, Math.round(part.long_m * scale));
  const high = Math.max(1, Math.round(part.short_m * scale));
  useLayoutEffect(() => {
    const { bitmap, across } = part;
    const ratio = devicePixelRatio || 1;
    const node = canvas.current;
    node.width = wide * ratio;
    node.height = high * ratio;
    const pen = node.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.translate(node.width / 2, node.height / 2);
    const upright = bitmap.height >= across;
    pen.rotate((((upright ? 90 : 0) + (turned ? 180 : 0)) * Math.PI) / 180);
    const [w, h] = upright ? [node.height, node.width] : [node.width, node.height];
    pen.drawImage(bitmap, 0, 0, across, bitmap.height, -w / 2, -h / 2, w, h);
  }, [part.bitmap, part.across, wide, high, turned]);
  return html`<canvas ref=${canvas} role="img" aria-label=${label}
    style=${`width:${wide}px;height:${high}px`}></canvas>`;
}

function Ruler({ scale, width }) {
  const step = roundStep(TICK_PX / scale);
  const ticks = [];
  for (let at = 0; at * scale < width - 20; at += step) ticks.push(at);
  return html`<div class="ruler" aria-hidden="true">
    ${ticks.map((at) => html`<span key=${at} style=${`left:${Math.round(at * scale)}px`}>
      ${at || "0 m"}</span>`)}
  </div>`;
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
  const drawn = Object.values(parts).filter(Boolean);
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
    ? html`<${Strip} part=${parts[key]} scale=${scale} label=${captions[key]}
        turned=${turned && key !== "query"} />`
    : html`<span class="strip-missing"></span>`);
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
      <button type="button" aria-pressed=${String(Boolean(measuring.line))} disabled=${!parts.query}
        onClick=${measuring.line ? measuring.clear : measuring.start}>${T.measure.start}</button>
      <span class="reading" role="status">${reading(measuring, scale, overlay)}</span>
    </div>
    <div class="stage" ref=${stage} onPointerDown=${onHold} onPointerMove=${onDrag}
        onPointerUp=${onRelease} onPointerCancel=${onRelease}>
      <div ref=${node} class="measure"></div>
      ${asked.failed && html`<p>${asked.failed.message}</p>`}
      ${!query.sighting_id && html`<p>${T.compare.notStored}</p>`}
      ${!overlay && html`${figure("query")}${known && figure("best")}
        ${known?.pseudo_sar_url && !imagined.failed && figure("imagined")}`}
      ${overlay && html`<figure>
        <figcaption>${T.compare.hints[mode]} ${captions[upper]}</figcaption>
        <div class="overlay ${mode}" style=${`--at:${at}%`} tabindex="0" role="application"
            aria-label=${T.moving.label} onKeyDown=${moving.onKey}>
          ${strip("query")}
          <div class="upper"><div class="moved" style=${moving.style}>${strip(upper)}</div></div>
          ${!measuring.line && turner}
        </div>
        ${mode === "swipe" && html`<input type="range" min="0" max="100" value=${at}
          aria-label=${T.compare.swipe} onInput=${(event) => setAt(+event.target.value)} />`}
        <${Moved} moving=${moving} />
      </figure>`}
      ${scale > 0 && html`<${Ruler} scale=${scale} width=${width} />
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
