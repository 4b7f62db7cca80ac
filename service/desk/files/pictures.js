// Pictures of chips, drawn at a scale in metres, with a ruler.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./lib.js";
import { picture } from "./api.js";
import { roundStep } from "./format.js";

const TICK_PX = 70;
const UPRIGHT_TICK_PX = 40;
const SAMPLES_PX = 64;
const BRIGHT = 230; // of 255: what the brightest pixels of a dark picture become
const BRIGHTEST = 5;
const NO_PICTURE = { bitmap: null, failed: null };

/** Load a picture; returns `{bitmap, failed}`, both null until that of the present path is there. */
export function usePicture(path) {
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

/** What a picture shows: the part of the bitmap in pixels, and its long and short side in metres. */
export function shown(bitmap, sighting) {
  if (!bitmap) return null;
  const sides = [bitmap.width * sighting.gsd_m, bitmap.height * sighting.gsd_m];
  return { bitmap, across: bitmap.width, long_m: Math.max(...sides), short_m: Math.min(...sides) };
}

/** The factor, 1 to 5, that makes the brightest 2 % of a dark picture bright. */
function brightening({ bitmap, across }) {
  const pen = new OffscreenCanvas(SAMPLES_PX, SAMPLES_PX).getContext("2d");
  pen.drawImage(bitmap, 0, 0, across, bitmap.height, 0, 0, SAMPLES_PX, SAMPLES_PX);
  const { data } = pen.getImageData(0, 0, SAMPLES_PX, SAMPLES_PX);
  const values = Uint8Array.from({ length: data.length / 4 }, (_, at) => Math.max(...data.subarray(4 * at, 4 * at + 3))).sort();
  return Math.min(Math.max(BRIGHT / Math.max(values[Math.floor(values.length * 0.98)], 1), 1), BRIGHTEST);
}

/**
 * Draw a picture so that its long side runs from left to right, or stands upright, `scale` CSS
 * pixels a metre. The top of a tall picture is drawn at the right end. `bright` shows a dark
 * picture brighter, its hues as they are.
 */
export function Strip({ part, scale, turned, upright, bright, label }) {
  const canvas = useRef();
  const size = [part.long_m, part.short_m].map((one) => Math.max(1, Math.round(one * scale)));
  const factor = useMemo(() => brightening(part), [part.bitmap, part.across]);
  const [wide, high] = upright ? size.reverse() : size;
  useLayoutEffect(() => {
    const { bitmap, across } = part;
    const ratio = devicePixelRatio || 1;
    const node = canvas.current;
    node.width = wide * ratio;
    node.height = high * ratio;
    const pen = node.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.translate(node.width / 2, node.height / 2);
    const tall = bitmap.height >= across;
    const quarter = tall === Boolean(upright) ? 0 : upright ? -90 : 90;
    pen.rotate(((quarter + (turned ? 180 : 0)) * Math.PI) / 180);
    const [w, h] = quarter ? [node.height, node.width] : [node.width, node.height];
    pen.drawImage(bitmap, 0, 0, across, bitmap.height, -w / 2, -h / 2, w, h);
  }, [part.bitmap, part.across, wide, high, turned, upright]);
  return html`<canvas ref=${canvas} role="img" aria-label=${label}
    style=${`width:${wide}px;height:${high}px;filter:${bright ? `brightness(${factor})` : "none"}`}></canvas>`;
}

/** Ticks at round metres, from left to right, or upright from below; `length` in CSS pixels. */
export function Ruler({ scale, length, upright }) {
  const step = roundStep((upright ? UPRIGHT_TICK_PX : TICK_PX) / scale);
  const ticks = [];
  for (let at = 0; at * scale < length - 20; at += step) ticks.push(at);
  return html`<div class="ruler ${upright ? "upright" : ""}" aria-hidden="true">
    ${ticks.map((at) => html`<span key=${at} style=${`${upright ? "bottom" : "left"}:${Math.round(at * scale)}px`}>
      ${at || "0 m"}</span>`)}
  </div>`;
}

/** Return whether a node was ever near the window, so that its pictures are worth loading. */
export function useSeen(node) {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver((found) => found.some((one) => one.isIntersecting) && setSeen(true), { rootMargin: "300px" });
    observer.observe(node.current);
    return () => observer.disconnect();
  }, []);
  return seen;
}
