"""The desk reads CSV tables as `crossfix enrol` does, or refuses them as it does."""

from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, expect

from service.client.errors import SourceError
from service.client.fleet.csv_table import read_table
from service.identity.records.identifiers import WORDS_FOR_UNKNOWN, means_unknown
from tests.support.browser.chromium import WatchedPage
from tests.support.browser.harbour import chips_of

READ = """async (bytes) => {
  const { readTable } = await import("./desk/tables.js");
  const file = new File([new Uint8Array(bytes)], "ships.csv");
  try {
    const table = await readTable(file);
    if (table.rows.some((row) => row.stray)) return null;
    const { columns, comma, rows } = table;
    const filled = (row) =>
      Object.fromEntries(Object.entries(row.cells).filter(([, text]) => text));
    return { columns: columns.filter(Boolean), comma, rows: rows.map(filled) };
  } catch { return null; }
}"""

TABLES: dict[str, str | bytes] = {
    "commas": "chip,name\r\na.png, A \r\n",
    "byte order mark": "\ufeffchip,name\na.png,A\n",
    "separator line": 'sep=;\nchip;name;length_m\na.png;"A;B";190,5\n',
    "decimal commas after tabs": "chip\tlength_m\na.png\t190,5\n",
    "carriage returns": "chip,name\ra.png,A\rb.png,B",
    "blank lines": "\n \nchip,name\n\na.png,A\n\n",
    "quotes": 'chip,name\na.png,"A ""B"", C\nD"\n',
    "composed characters": "chip,name\na.png,Re\u0301my\n",
    "empty cells at the end": "chip,name,,\na.png,A,,,\n",
    "no rows": "chip,name\n",
    "a column twice": "chip,name,name\na.png,A,B\n",
    "a cell under no column": "chip,name,\na.png,A,B\n",
    "a quote that does not end": 'chip,name\na.png,"A\nb.png,B\n',
    "another encoding": "chip,name\na.png,Ä\n".encode("latin-1"),
    "bars and capitals": "Chip|NAME|tab\there\na.png|A|B\n",
    "a separator line with a bar": "sep=|\nchip|name\na.png|A\n",
    "text after a quote": 'chip,name\n"a.png"x,A\n',
    "texts as spreadsheets mark them": 'chip,imo,name\na.png,="9074729",\'=A1\n',
    "UTF-16": "\ufeffchip,name\na.png,Ä\n".encode("utf-16-le"),
    "UTF-16 of the other order": "\ufeffchip;name\na.png;Ä\n".encode("utf-16-be"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_as_the_command_reads_it(
    desk: WatchedPage, tmp_path: Path, name: str
) -> None:
    content = TABLES[name]
    data = content if isinstance(content, bytes) else content.encode()
    path = tmp_path / "ships.csv"
    path.write_bytes(data)
    try:
        table = read_table(path)
        expected: object = {
            "columns": list(table.columns),
            "comma": any(row.decimal_comma for row in table.rows),
            "rows": [dict(row.cells) for row in table.rows],
        }
    except SourceError:
        expected = None
    assert desk.open().evaluate(READ, list(data)) == expected


def test_the_words_for_unknown_are_those_of_the_service(desk: WatchedPage) -> None:
    words = [*sorted(WORDS_FOR_UNKNOWN), "(TBD)", "-", "<NA>", "UNKNOWN STAR", "#1", "Ana", "؟"]
    call = "async (words) => words.map((await import('./desk/fleet.js')).meansUnknown)"
    assert desk.open().evaluate(call, words) == [means_unknown(word) for word in words]


@pytest.mark.parametrize(
    ("table", "mention"),
    [
        ("chip,name,name\na.png,ONE,TWO\n", "ships.csv: the column name stands twice"),
        ('chip,name\na.png,"A\n', "ships.csv: the quote in line 2 does not end"),
        ("file,name\na.png,A\n", "no column is named chip; the columns are file, name"),
        ("chip,name,\na.png,A,B\n", "the cell “B” stands under no column"),
        ("chip;name;length_m;beam_m\na.png;A;190,5;32.2\n", "have a decimal comma"),
        ("chip,name,length_m\na.png,A,0x20\n", "not a number"),
        ("chip,name,length_m\na.png,A,1e400\n", "not a number"),
    ],
)
def test_a_table_that_could_be_misread_is_refused(
    desk: WatchedPage, table: str, mention: str
) -> None:
    page = desk.open("#/gallery")
    page.get_by_role("button", name="Import").click()
    dialog = page.get_by_role("dialog")
    [chip, _] = chips_of("0017")
    dialog.locator("input[type=file]").last.set_input_files(
        [
            FilePayload(name="ships.csv", mimeType="text/csv", buffer=table.encode()),
            FilePayload(name="a.png", mimeType="image/png", buffer=chip.read_bytes()),
        ]
    )
    expect(dialog).to_contain_text(mention)


FLEET = """async (files) => {
  const { readFleet } = await import("./desk/fleet.js");
  const made = files.map(([path, text]) => {
    const file = new File([text], path.split("/").pop());
    return Object.defineProperty(file, "relative", { value: path });
  });
  const fleet = await readFleet(made);
  return {
    chips: fleet.vessels.flatMap((vessel) => vessel.chips.map(({ file, metadata }) =>
      [vessel.key, file.relative, metadata.gsd_m ?? null, metadata.source ?? null])),
    refused: fleet.refused.map((one) => one.reason),
  };
}"""
TWO = "chip,name\none/a.png,ONE\ntwo/a.png,TWO\n"


@pytest.mark.parametrize("table", ["ships.csv", "set/ships.csv", "elsewhere/ships.csv"])
def test_chips_of_one_name_are_told_apart_by_their_folders(desk: WatchedPage, table: str) -> None:
    files = [[table, TWO], ["set/one/a.png", "1"], ["set/two/a.png", "2"]]
    read = desk.open().evaluate(FLEET, files)
    assert [chip[:2] for chip in read["chips"]] == [
        ["name ONE", "set/one/a.png"],
        ["name TWO", "set/two/a.png"],
    ]
    missing = desk.open().evaluate(FLEET, files[:2])
    assert [chip[0] for chip in missing["chips"]] == ["name ONE"]
    assert "two/a.png was not among the chosen files" in missing["refused"][0]
    either = desk.open().evaluate(FLEET, [["ships.csv", "chip,name\na.png,ONE\n"], *files[1:]])
    assert either["chips"] == []
    assert "both set/one/a.png and set/two/a.png may be meant" in either["refused"][0]


def test_a_folder_of_chips_says_what_its_pixels_measure_and_that_it_is_simulated(
    desk: WatchedPage,
) -> None:
    chip = "set/query/0001_x_RGB.tif"
    sizes = ["set/provenance.csv", "\ufeffFile;gsd_m\nquery/0001_x_RGB.tif;0,5\n"]
    about = ["set/dataset.json", '{"domain": "simulated"}']
    read = desk.open().evaluate(FLEET, [[chip, "1"], sizes, about])
    assert read["chips"] == [["1", chip, 0.5, "set, simulated"]]
    assert desk.open().evaluate(FLEET, [[chip, "1"]])["chips"] == [["1", chip, None, "set"]]


def test_the_key_of_a_vessel_is_that_of_the_command(desk: WatchedPage) -> None:
    table = "chip,imo,mmsi\na.png,IMO 9074729,\na.png,9074729.0,\na.png,,MMSI: 244 660 000\n"
    read = desk.open().evaluate(FLEET, [["ships.csv", table], ["a.png", "1"]])
    assert [chip[0] for chip in read["chips"]] == ["imo 9074729"] * 2 + ["mmsi 244660000"]
