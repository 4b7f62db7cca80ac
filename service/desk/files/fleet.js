// Read files that were chosen or dropped as vessels with chips: a CSV manifest, or a folder of chips.
import { fieldsFrom, readTable } from "./tables.js";
import { T } from "./texts.js";

const CHIP_NAME = /^(-1|[0-9]+)_(?:(?:.+)_)?(RGB|SAR)\.(?:tiff?|png|jpe?g)$/i;
const PICTURE = /\.(tiff?|png|jpe?g)$/i;
const VESSEL_TEXTS = ["name", "imo", "mmsi", "callsign", "flag", "type"];
const VESSEL_NUMBERS = ["length_m", "beam_m"];
const CHIP_TEXTS = ["modality", "framing", "captured_at", "sensor", "source", "licence", "case", "note"];
const UNKNOWN = new Set([
  "na", "nil", "none", "null", "unknown", "not known", "not available", "undefined", "n/a", "n.a.", "n.a", "nan", "-nan",
  "nat", "tbd", "tba", "unspecified", "not specified", "undetermined", "missing", "no data", "#n/a", "#n/a n/a", "#na",
  "#null!", "#value!", "#ref!", "#name?", "#num!", "#div/0!",
]);
const AROUND = /^[<>()[\]{}"'`.,;:!? ]+|[<>()[\]{}"'`.,;:!? ]+$/g;
const CHIP_NUMBERS = ["gsd_m", "lat", "lon", "band"];
const VESSELS = "vessels.csv", PIXEL_SIZES = "provenance.csv", ABOUT = "dataset.json";
const NAMESPACE = "4b0a3d0e-51c7-5c46-9d3a-0c7b2f6f1e58"; // that of `crossfix enrol`: same ids

const pathOf = (file) => (file.webkitRelativePath || file.relative || file.name).normalize("NFC");
const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);

/** Whether a text says nothing, as `means_unknown` of the service finds. */
export function meansUnknown(text) {
  const bare = text.normalize("NFKC").toLowerCase();
  return UNKNOWN.has(bare) || UNKNOWN.has(bare.replace(AROUND, "")) || !/[\p{L}\p{N}]/u.test(bare);
}

/**
 * Sort files into vessels.
 * Returns `{dataset, vessels: [{key, attributes, chips: [{file, metadata}]}], refused, notes}`;
 * `refused` lists `{file, reason}` for what cannot be sent.
 */
export async function readFleet(files, { sar = false } = {}) {
  const tables = files.filter((file) => /\.csv$/i.test(file.name));
  const pictures = files.filter((file) => PICTURE.test(file.name) && !file.name.startsWith("."));
  const read = new Map();
  for (const file of tables) read.set(file, await readTable(file));
  const manifest = tables.find((file) => read.get(file).columns.includes("chip"));
  const fleet = manifest ? fromManifest(manifest, read.get(manifest), pictures)
    : fromNames(pictures, await besideChips(files, read), sar);
  for (const file of tables) {
    if (file === manifest || [VESSELS, PIXEL_SIZES].includes(file.name)) continue;
    const reason = manifest ? T.importing.oneManifest(manifest.name) : T.importing.noManifest(read.get(file).columns);
    fleet.refused.push({ file: file.name, vessel: "", reason });
  }
  return fleet;
}

/** Return what the files beside the chips of a folder say: `{table, gsd, simulated}`. */
async function besideChips(files, read) {
  const named = (name) => files.find((file) => file.name === name);
  let simulated = false;
  try {
    simulated = String(JSON.parse(await named(ABOUT).text()).domain).includes("simulated");
  } catch { /* there is none, or it says nothing */ }
  return { table: read.get(named(VESSELS)), gsd: statedGsd(read.get(named(PIXEL_SIZES))), simulated };
}

/** Return metres per pixel by file name; throw if a line states no positive number. */
function statedGsd(table) {
  const stated = new Map();
  if (!["file", "gsd_m"].every((name) => table?.columns.includes(name))) return stated;
  for (const row of table.rows) {
    const name = row.cells.file.split(/[\\/]/).pop();
    const { gsd_m: metres } = fieldsFrom(row, [], ["gsd_m"], table.comma);
    if (!(metres > 0) || (stated.get(name) ?? metres) !== metres) {
      throw new Error(T.importing.noPixelSize(PIXEL_SIZES, row.line, row.cells.gsd_m));
    }
    stated.set(name, metres);
  }
  return stated;
}

/** Take off the name of a number, its blanks and decimals of zero, as `crossfix enrol` does: `IMO 9074729.0`. */
function inOneForm(cells) {
  for (const [name, marks] of [["imo", /^(imo)?[\s:#]*|\s+|\.0+\s*$/gi], ["mmsi", /^(mmsi)?[\s:#]*|\s+|\.0+\s*$/gi]]) {
    if (cells[name] && !meansUnknown(cells[name])) cells[name] = cells[name].replace(marks, "");
  }
}

/** Whether one path is the end of the other: a folder may be chosen from above or from inside. */
const endsAlike = (one, other) => `/${one}`.endsWith(`/${other}`) || `/${other}`.endsWith(`/${one}`);

function fromManifest(csv, table, pictures) {
  const known = ["chip", "id", ...VESSEL_TEXTS, ...VESSEL_NUMBERS, ...CHIP_TEXTS, ...CHIP_NUMBERS];
  const notes = table.columns.filter((name) => name && !known.includes(name)).map(T.importing.unknownColumn);
  const byPath = new Map(pictures.map((file) => [pathOf(file), file]));
  const byName = new Map();
  for (const file of pictures) {
    const name = file.name.normalize("NFC");
    byName.set(name, [...(byName.get(name) || []), file]);
  }
  const vessels = new Map();
  const refused = [];
  for (const row of table.rows) {
    try {
      if (row.stray) throw new Error(T.importing.strayCell(row.line, row.stray));
      inOneForm(row.cells);
      const wanted = row.cells.chip;
      if (!wanted) throw new Error(T.importing.noChip(row.line));
      const path = wanted.replaceAll("\\", "/").replace(/^(\.{0,2}\/)+/, "");
      const alike = byName.get(path.split("/").pop()) || [];
      const exact = byPath.get(folderOf(pathOf(csv)) + wanted);
      const [file, other] = exact ? [exact] : alike.filter((one) => endsAlike(pathOf(one), path));
      if (!file) throw new Error(T.importing.chipMissing(row.line, wanted));
      if (other) throw new Error(T.importing.chipTwice(row.line, pathOf(file), pathOf(other)));
      const column = ["id", "imo", "mmsi", "name"].find((name) => row.cells[name]);
      if (!column) throw new Error(T.importing.noVessel(row.line));
      const text = row.cells[column].split(/\s+/).join(" ");
      // As a key, a word for "unknown" would make one vessel of all that are unknown.
      if (meansUnknown(text)) throw new Error(T.importing.keyUnknown(row.line, column, text));
      const key = column === "id" ? text : `${column} ${text}`;
      const attributes = fieldsFrom(row, VESSEL_TEXTS, VESSEL_NUMBERS, table.comma);
      const vessel = vessels.get(key) || { key, attributes: {}, chips: [] };
      for (const [name, value] of Object.entries(attributes)) {
        if (vessel.attributes[name] !== undefined && vessel.attributes[name] !== value) {
          throw new Error(T.importing.contradiction(row.line, name, value, vessel.attributes[name]));
        }
      }
      Object.assign(vessel.attributes, attributes);
      const metadata = fieldsFrom(row, CHIP_TEXTS, CHIP_NUMBERS, table.comma);
      metadata.modality ||= CHIP_NAME.exec(file.name) ? modalityOf(file.name) : undefined;
      vessel.chips.push({ file, metadata });
      vessels.set(key, vessel);
    } catch (fault) {
      refused.push({ file: row.cells.chip || csv.name, vessel: row.cells.name || "", reason: fault.message });
    }
  }
  return { dataset: csv.name.replace(/\.csv$/i, ""), vessels: [...vessels.values()], refused, notes };
}

const modalityOf = (name) => (CHIP_NAME.exec(name)[2].toUpperCase() === "SAR" ? "sar" : "optical");

function fromNames(pictures, { table, gsd, simulated }, sar) {
  const attributes = new Map();
  const refused = [];
  for (const row of table?.rows || []) {
    try {
      const key = String(Number(row.cells.id));
      if (!/^[0-9]+$/.test(row.cells.id) || attributes.has(key)) throw new Error(T.importing.noNumberOfVessel(row.line, row.cells.id));
      attributes.set(key, fieldsFrom(row, VESSEL_TEXTS, VESSEL_NUMBERS, table.comma));
    } catch (fault) {
      refused.push({ file: "vessels.csv", vessel: row.cells.name || "", reason: fault.message });
    }
  }
  const first = pictures.map(pathOf).find((path) => path.includes("/"));
  const dataset = first ? first.split("/")[0] : T.importing.dataset;
  const source = simulated && !dataset.includes("simulated") ? `${dataset}, simulated` : dataset;
  const vessels = new Map();
  let other = 0;
  for (const file of pictures) {
    const name = CHIP_NAME.exec(file.name);
    if (!name) {
      refused.push({ file: pathOf(file), vessel: "", reason: T.importing.misnamed });
    } else if (Number(name[1]) < 0) {
      refused.push({ file: pathOf(file), vessel: "", reason: T.importing.distractor });
    } else if (modalityOf(file.name) === "sar" && !sar) {
      other++;
    } else {
      const key = String(Number(name[1]));
      const vessel = vessels.get(key) || {
        key, chips: [],
        attributes: { name: `${dataset} ${key.padStart(4, "0")}`, ...attributes.get(key) },
      };
      vessel.chips.push({ file, metadata: { modality: modalityOf(file.name), gsd_m: gsd.get(file.name), source } });
      vessels.set(key, vessel);
    }
  }
  const notes = other ? [T.importing.sarLeftOut(other)] : [];
  return { dataset, vessels: [...vessels.values()], refused, notes };
}

/** The id of a vessel (UUID version 5 of data set and key), so that importing again changes nothing. */
export async function vesselId(dataset, key) {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(key)) return key.toLowerCase();
  if (!crypto.subtle) return undefined; // over http from another machine
  const space = NAMESPACE.replaceAll("-", "").match(/../g).map((one) => parseInt(one, 16));
  const name = new TextEncoder().encode(`${dataset}/${key}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-1", new Uint8Array([...space, ...name])));
  hash[6] = (hash[6] & 0x0f) | 0x50;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  const hex = [...hash.slice(0, 16)].map((one) => one.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
