// Read CSV tables by the rules of `crossfix enrol` (service/client/fleet/csv_table.py).
import { T } from "./texts.js";

const WITH_COMMA = /^[+-]?[0-9]+,[0-9]+$/;
const NUMBER = /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$/i;
const SEPARATORS = [",", ";", "\t", "|"];
const SEPARATOR_LINE = /^"?sep=([,;\t|])"?\n/i;
const TEXT_OF_A_SPREADSHEET = /^(?:="([^"]*)"|'([=+@-].*))$/s;
const ENCODINGS = { "255,254": "utf-16le", "254,255": "utf-16be" };

/** Read a CSV file in UTF-8, or in UTF-16 with a byte order mark; see `parseCsv`. */
export async function readTable(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text;
  try {
    text = new TextDecoder(ENCODINGS[bytes.subarray(0, 2).join()] || "utf-8", { fatal: true }).decode(bytes);
  } catch { throw new Error(T.importing.noUtf8(file.name)); }
  try { return parseCsv(text); } catch (fault) { throw new Error(`${file.name}: ${fault.message}`); }
}

/**
 * Parse CSV with commas, semicolons, tabs or vertical bars.
 * Returns the columns, whether numbers have a decimal comma, and the rows as
 * `{line, cells, stray}`: the number of the line, the cells by column, and a cell under no column.
 */
export function parseCsv(text) {
  const all = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const stated = SEPARATOR_LINE.exec(all);
  const source = stated ? `\n${all.slice(stated[0].length)}` : all;
  const head = source.split("\n").find((one) => one.trim()) || "";
  const count = (sign) => head.split(sign).length;
  const usual = head.includes(",") ? "," : SEPARATORS.reduce((most, sign) => (count(sign) > count(most) ? sign : most));
  const separator = stated ? stated[1] : usual;
  const lines = [];
  let cells = [], cell = "", quoted = false, closed = false, line = 1, began = 1;
  const endCell = () => { cells.push(plainText(cell)); cell = ""; closed = false; };
  const endLine = () => { endCell(); lines.push([began, cells]); cells = []; began = line; };
  for (let at = 0; at < source.length; at++) {
    const sign = source[at];
    if (sign === "\n") line++;
    if (quoted) {
      if (sign === '"' && source[at + 1] === '"') { cell += '"'; at++; }
      else if (sign === '"') [quoted, closed] = [false, true];
      else cell += sign;
    } else if (sign === '"' && !closed && !cell.trim()) { quoted = true; cell = ""; }
    else if (sign === separator) endCell();
    else if (sign === "\n") endLine();
    else if (closed && sign.trim()) throw new Error(T.importing.openQuote(line));
    else cell += sign;
  }
  if (quoted) throw new Error(T.importing.openQuote(began));
  if (cell || cells.length) endLine();
  const filled = lines.filter(([, one]) => one.some(Boolean));
  const columns = (filled.shift()?.[1] || []).map((name) => name.toLowerCase());
  const twice = columns.find((name, at) => name && columns.indexOf(name) !== at);
  if (twice) throw new Error(T.importing.columnTwice(twice));
  return {
    columns,
    comma: separator !== "," && filled.some(([, one]) => one.some((text) => WITH_COMMA.test(text))),
    rows: filled.map(([number, one]) => ({
      line: number,
      cells: Object.fromEntries(columns.map((name, at) => [name, one[at] || ""])),
      stray: one.find((text, at) => text && !columns[at]),
    })),
  };
}

/** Trim a cell, compose its characters, and take off what marks it as text: `="007"`, `'=A1`. */
function plainText(cell) {
  const text = cell.trim().normalize("NFC");
  const [, inner, rest] = TEXT_OF_A_SPREADSHEET.exec(text) || [];
  return inner ?? rest ?? text;
}

/** Return the cells of these columns that are not empty, as texts and as numbers. */
export function fieldsFrom(row, texts, numbers, comma) {
  const found = {};
  for (const name of texts) if (row.cells[name]) found[name] = row.cells[name];
  for (const name of numbers) {
    const text = row.cells[name];
    if (!text) continue;
    if (comma && text.includes(".")) throw new Error(T.importing.twoDecimals(row.line, name, text));
    const plain = comma ? text.replace(",", ".") : text;
    if (!NUMBER.test(plain) || !Number.isFinite(Number(plain))) throw new Error(T.importing.noNumber(row.line, name, text));
    found[name] = Number(plain);
  }
  return found;
}
