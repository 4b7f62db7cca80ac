// The land of a map, drawn in tiles: each draws only the polygons that it shows.
const TILE_PX = 256;
const FINER = 1.5; // Leaflet enlarges tiles between two of their zooms
const BEYOND_PX = 8;
const NORTHERNMOST = 85;
const [LINE, FILL] = ["#6f7d74", "rgb(143 160 148 / .45)"];

/**
 * Project the polygons of a GeoJSON collection by Mercator, as `[{rings, box}]`: x from 0 to 1 is the
 * world from west to east, y from 0 to 1 from north to south. Polygons across the antimeridian reach beyond.
 */
export function projected(land) {
  return land.features
    .flatMap(({ geometry }) => (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates))
    .map((polygon) => {
      const rings = polygon.map(mercator);
      return { rings, box: boxOf(rings[0]) };
    });
}

/** Return x and y of all points of a ring, one after the other. */
function mercator(ring) {
  const points = new Float64Array(2 * ring.length);
  let turns = 0;
  ring.forEach(([lon, lat], at) => {
    const before = at ? ring[at - 1][0] : lon;
    if (Math.abs(lon - before) > 180) turns += lon < before ? 1 : -1;
    const sine = Math.sin((Math.max(-NORTHERNMOST, Math.min(NORTHERNMOST, lat)) * Math.PI) / 180);
    points[2 * at] = lon / 360 + 0.5 + turns;
    points[2 * at + 1] = 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
  });
  return points;
}

function boxOf(points) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (let at = 0; at < points.length; at += 2) {
    box.left = Math.min(box.left, points[at]);
    box.right = Math.max(box.right, points[at]);
    box.top = Math.min(box.top, points[at + 1]);
    box.bottom = Math.max(box.bottom, points[at + 1]);
  }
  return box;
}

/** Return a layer of Leaflet that draws the projected land. */
export function landLayer(L, land) {
  const Layer = L.GridLayer.extend({
    createTile({ x, y, z }) {
      const tile = document.createElement("canvas");
      const ratio = (devicePixelRatio || 1) * FINER;
      tile.width = tile.height = TILE_PX * ratio;
      const pen = tile.getContext("2d");
      pen.scale(ratio, ratio);
      Object.assign(pen, { strokeStyle: LINE, fillStyle: FILL, lineWidth: 0.7 });
      for (const polygon of land) for (const turns of [-1, 0, 1]) drawPolygon(pen, polygon, x - turns * 2 ** z, y, z);
      return tile;
    },
  });
  return new Layer({ tileSize: TILE_PX });
}

/** Draw what a tile shows of a polygon. */
function drawPolygon(pen, { rings, box }, x, y, z) {
  const tiles = 2 ** z;
  if (box.right * tiles < x || box.left * tiles > x + 1 || box.bottom * tiles < y || box.top * tiles > y + 1) return;
  pen.beginPath();
  for (const points of rings) trace(pen, points, tiles * TILE_PX, x * TILE_PX, y * TILE_PX);
  pen.fill("evenodd");
  pen.stroke();
}

/** Trace a ring, of points in a row beyond one side of the tile only the first and the last. */
function trace(pen, points, scale, left, top) {
  const end = TILE_PX + BEYOND_PX;
  let beyond = 0, skipped = null;
  for (let at = 0; at < points.length; at += 2) {
    const x = points[at] * scale - left;
    const y = points[at + 1] * scale - top;
    const sides = (x < -BEYOND_PX) | ((x > end) << 1) | ((y < -BEYOND_PX) << 2) | ((y > end) << 3);
    beyond &= sides;
    if (beyond) {
      skipped = [x, y];
      continue;
    }
    if (skipped) pen.lineTo(...skipped);
    skipped = null;
    if (at) pen.lineTo(x, y);
    else pen.moveTo(x, y);
    beyond = sides;
  }
  if (skipped) pen.lineTo(...skipped);
  pen.closePath();
}
