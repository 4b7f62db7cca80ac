// Maps: known positions, the circle that a ship could have reached, and an area to draw.
import { html, useEffect, useRef, useState } from "./lib.js";
import { fetchBlob } from "./api.js";
import { landLayer, projected } from "./land.js";
import { Field } from "./ui.js";
import { moment, nmToMetres } from "./format.js";
import { T } from "./texts.js";

const beside = (name) => new URL(`./vendor/${name}`, import.meta.url);
let loading = null;
const WORLD = [[-60, -180], [75, 180]];

/** Load Leaflet and the coastline of Natural Earth, once, when a map is first shown. */
function loadMaps() {
  loading ||= (async () => {
    const [coast] = await Promise.all([
      fetchBlob(beside("land-50m.json")).then((blob) => blob.text()).then(JSON.parse),
      import("./vendor/leaflet.js"),
      import("./vendor/topojson.js"),
      addStyle(beside("leaflet.css")),
    ]);
    const land = projected(globalThis.topojson.feature(coast, coast.objects.land));
    const L = globalThis.L || globalThis.leaflet;
    ignoreLateFrames(L);
    return { L, land };
  })();
  loading.catch(() => { loading = null; });
  return loading;
}

/** Leaflet 1.9 does not cancel every frame that a canvas asked for: one may come after its end. */
function ignoreLateFrames(L) {
  const redraw = L.Canvas.prototype._redraw;
  L.Canvas.include({ _redraw() { if (this._ctx) redraw.call(this); } });
}

function addStyle(href) {
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
    link.onload = resolve;
    link.onerror = () => reject(new Error(T.map.failed));
    document.head.prepend(link);
  });
}

/** A longitude, perhaps beyond 180°, on the side of another one that the shorter way leads to. */
export const lonNear = (lon, other) => lon + 360 * Math.round((other - lon) / 360);

/** Places with longitudes that lead the shorter way from each to the next, perhaps beyond 180°. */
export function alongTheWay(places) {
  const placed = [];
  for (const one of places) placed.push({ ...one, lon: placed.length ? lonNear(one.lon, placed.at(-1).lon) : one.lon });
  return placed;
}

/** The corners of an area; the eastern side lies beyond 180° if the area crosses the antimeridian. */
export const cornersOf = ([west, south, east, north]) => [[south, west], [north, east < west ? east + 360 : east]];

/** The area of a drawn rectangle, perhaps on a copy of the world; west is above east across the antimeridian. */
export function areaOf([west, south, east, north]) {
  const round = (lon) => lon - 360 * Math.floor((lon + 180) / 360);
  const sides = east - west >= 360 ? [-180, 180] : [round(west), round(east)];
  return [sides[0], Math.max(-90, south), sides[1], Math.min(90, north)].map((one) => Number(one.toFixed(3)));
}

function makeMap(L, node, lons = []) {
  // without animation: a map that is removed while one runs throws errors
  const map = L.map(node, {
    zoomAnimation: false, fadeAnimation: false, attributionControl: false, minZoom: 1, maxZoom: 12,
    worldCopyJump: lons.every((lon) => Math.abs(lon) <= 180), preferCanvas: true, zoomSnap: 0.5,
  });
  L.control.scale({ imperial: false }).addTo(map);
  map.fitBounds(WORLD);
  return map;
}

/**
 * A map of places. `places`: `[{lat, lon, text, kind}]` with kind `query` or `known`, joined in
 * their order when `track`; `circles`: `[{lat, lon, radius_nm, text}]`.
 */
export function PlacesMap({ places, circles = [], track = false, label }) {
  const node = useRef();
  const [error, setError] = useState(null);
  const drawn = JSON.stringify([places, circles, track]);
  useEffect(() => {
    let map = null;
    let gone = false;
    loadMaps().then(({ L, land }) => {
      if (gone || !node.current) return; // the page went on while the maps were loading
      const placed = alongTheWay(places);
      map = makeMap(L, node.current, placed.map((one) => one.lon));
      const all = []; // what the map is fitted to: a wide circle would put all places on one spot
      if (track && placed.length > 1) {
        L.polyline(placed.map((one) => [one.lat, one.lon]), { color: "#17507d", weight: 1.5, dashArray: "4 4" }).addTo(map);
      }
      for (const one of circles) {
        const circle = L.circle([one.lat, lonNear(one.lon, placed.at(-1)?.lon ?? one.lon)], {
          radius: nmToMetres(one.radius_nm), color: "#17507d", weight: 1.5, fillOpacity: 0.06,
        }).bindTooltip(one.text).addTo(map);
        if (places.length < 2) all.push(circle.getBounds());
      }
      for (const one of placed) {
        const colour = one.kind === "query" ? "#b4460f" : "#17507d";
        L.circleMarker([one.lat, one.lon], {
          radius: one.kind === "query" ? 7 : 5, color: "#fff", weight: 1.5, fillColor: colour,
          fillOpacity: 1,
        }).bindTooltip(one.text).addTo(map);
        all.push(L.latLng(one.lat, one.lon).toBounds(20000));
      }
      if (all.length) map.fitBounds(all.reduce((sum, one) => sum.extend(one), L.latLngBounds(all[0])), { padding: [24, 24], maxZoom: 9 });
      landLayer(L, land).addTo(map);
    }, (failed) => !gone && setError(failed));
    return () => { gone = true; map?.remove(); };
  }, [drawn]);
  if (error) return html`<p class="fault">${T.map.failed}</p>`;
  return html`<div class="map-frame">
    <div class="map" ref=${node} role="group" aria-label=${label}></div>
    <ul class="legend">
      ${["query", "known"].filter((kind) => places.some((one) => one.kind === kind)).map((kind) => html`
        <li key=${kind}><span class="dot ${kind}" aria-hidden="true"></span>${T.map.kinds[kind]}</li>`)}
      ${circles.map((one) => html`<li key=${one.text}><span class="dot reach" aria-hidden="true"></span>${one.text}</li>`)}
    </ul>
    <small>${T.map.coast}</small>
  </div>`;
}

/** A map on which an area is drawn by dragging. `area`: `[west, south, east, north]` or null. */
export function AreaMap({ area, onArea }) {
  const node = useRef();
  const state = useRef({});
  const [error, setError] = useState(null);
  const choose = useRef(onArea);
  choose.current = onArea;
  useEffect(() => {
    let gone = false;
    loadMaps().then(({ L, land }) => {
      if (gone || !node.current) return; // the page went on while the maps were loading
      const map = makeMap(L, node.current, area ? cornersOf(area).map(([, lon]) => lon) : []);
      landLayer(L, land).addTo(map);
      map.dragging.disable();
      let start = null;
      let box = null;
      const show = (bounds) => {
        box?.remove();
        box = bounds && L.rectangle(bounds, { color: "#b4460f", weight: 2, fillOpacity: 0.1 }).addTo(map);
      };
      map.on("mousedown", (event) => { start = event.latlng; });
      map.on("mousemove", (event) => { if (start) show(L.latLngBounds(start, event.latlng)); });
      map.on("mouseup", (event) => {
        if (!start) return;
        const bounds = L.latLngBounds(start, event.latlng);
        start = null;
        const sides = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
        if (sides[2] - sides[0] >= 0.01 && sides[3] - sides[1] >= 0.01) choose.current(areaOf(sides));
      });
      state.current = { map, show };
      if (area) show(cornersOf(area));
    }, (failed) => !gone && setError(failed));
    return () => { gone = true; state.current.map?.remove(); };
  }, []);
  useEffect(() => {
    state.current.show?.(area && cornersOf(area));
  }, [JSON.stringify(area)]);
  return html`<div class="map-frame">
    ${error ? html`<p class="fault">${T.map.failed}</p>` : html`<div class="map area" ref=${node} role="group"
      aria-label=${T.map.drawLabel}></div><small>${T.map.draw}</small>`}
    <${AreaSides} area=${area} onArea=${onArea} /></div>`;
}

/** The sides of an area as text, for those who cannot draw or know them exactly. */
function AreaSides({ area, onArea }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);
  useEffect(() => { setText(area ? area.join(", ") : ""); setWrong(false); }, [JSON.stringify(area)]);
  const take = () => {
    const sides = text.split(/[,;\s]+/).filter(Boolean).map(Number);
    const [west, south, east, north] = sides;
    const right = sides.length === 4 && sides.every(Number.isFinite) && south < north
      && Math.max(Math.abs(west), Math.abs(east)) <= 180 && Math.max(Math.abs(south), Math.abs(north)) <= 90;
    setWrong(!right && text.trim() !== "");
    if (right) onArea(sides);
  };
  return html`<${Field} label=${T.map.sides} name="area" hint=${T.map.sidesHint} error=${wrong && T.map.sidesWrong}
    value=${text} onInput=${(event) => setText(event.target.value)} onChange=${take}
    onKeyDown=${(event) => event.key === "Enter" && take()} />`;
}

/** The sightings of a vessel that have a place, as places of a map, by time. */
export function knownPlaces(sightings) {
  return sightings
    .filter((one) => one.position)
    .sort((a, b) => String(a.captured_at).localeCompare(String(b.captured_at)))
    .map((one) => ({
      ...one.position, kind: "known", text: moment(one.captured_at, one.captured_until),
    }));
}
