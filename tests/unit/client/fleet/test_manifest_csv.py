from pathlib import Path

import pytest

from service.client.errors import SourceError
from service.client.fleet.manifest_csv import read_manifest
from service.contract.chip import Modality


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chips").mkdir()
    for name in ("a.png", "b.tif", "c.tif", "0001_s1c1_SAR.tif"):
        (tmp_path / "chips" / name).write_bytes(name.encode())
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "ships.csv"
    path.write_text(text)
    return path


def test_rows_of_one_vessel_are_joined(folder: Path) -> None:
    fleet = read_manifest(
        write(
            folder,
            "chip,id,name,imo,length_m,modality,gsd_m,band,captured_at,lat,lon,sensor,source,licence\n"
            "chips/a.png,7,ALPHA,,190,optical,0.5,,2026-03-02T10:12:00Z,1.25,103.5,Sat,own,CC0\n"
            "chips/b.tif,7,,9074729,,sar,,2,,,,,,\n"
            "chips/c.tif,,BETA,,,,,,,,,,,\n"
            "chips/0001_s1c1_SAR.tif,,,9074729,,,,,,,,,,\n",
        )
    )
    assert fleet.dataset == "ships"
    assert [v.key for v in fleet.vessels] == ["7", "name BETA", "imo 9074729"]
    alpha = fleet.vessels[0]
    assert alpha.attributes == {"name": "ALPHA", "imo": "9074729", "length_m": 190.0}
    assert alpha.chips[0].path == folder / "chips" / "a.png"
    assert alpha.chips[0].metadata == {
        "modality": "optical",
        "gsd_m": 0.5,
        "captured_at": "2026-03-02T10:12:00Z",
        "lat": 1.25,
        "lon": 103.5,
        "sensor": "Sat",
        "source": "own",
        "licence": "CC0",
    }
    assert alpha.chips[1].metadata == {"modality": "sar", "band": 2}
    assert fleet.vessels[1].chips[0].metadata == {}
    assert fleet.vessels[2].chips[0].metadata == {"modality": "sar"}
    assert len({v.id for v in fleet.vessels}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "chip;name;length_m\nchips/a.png;SEMI;190,5\n",
        "chip;name;length_m\nchips/a.png;SEMI;190.5\n",
        "sep=;\r\nchip;name;length_m\r\nchips/a.png;SEMI;190,5\r\n",
        "\n\nchip,name,length_m\n\nchips/a.png,SEMI,190.5\n",
        "chip\tname\tlength_m\nchips/a.png\tSEMI\t190.5\n",
        "chip\tname\tlength_m\nchips/a.png\tSEMI\t190,5\n",
        "\ufeffchip,name,length_m\r\nchips/a.png,SEMI,190.5\r\n",
        "chip,name,length_m,,\n\nchips/a.png,SEMI,190.5,,\n,,,,,,\n",
        '"chip", "name", "length_m"\n"chips/a.png", "SEMI", "190.5"\n',
        "Chip|NAME|Length_m\nchips/a.png|SEMI|190,5\n",
        "sep=|\nchip|name|length_m\nchips/a.png|SEMI|190.5\n",
        'chip,name,length_m\nchips\\a.png,="SEMI",\'+190.5\n',
    ],
)
def test_tables_of_spreadsheets_are_read(folder: Path, text: str) -> None:
    [vessel] = read_manifest(write(folder, text)).vessels
    assert vessel.attributes == {"name": "SEMI", "length_m": 190.5}


@pytest.mark.parametrize("order", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_table_in_utf_16_is_read_if_it_says_so(folder: Path, order: str) -> None:
    path = folder / "ships.csv"
    text = "chip\tname\nchips/a.png\tR\u00e9my\n"
    path.write_bytes((text if order == "utf-16" else "\ufeff" + text).encode(order))
    [vessel] = read_manifest(path).vessels
    assert vessel.attributes == {"name": "R\u00e9my"}
    path.write_bytes(text.encode("utf-16-le"))
    with pytest.raises(SourceError, match="as CSV UTF-8"):
        read_manifest(path)


def test_numbers_of_one_vessel_are_compared_in_one_form(folder: Path) -> None:
    [vessel] = read_manifest(
        write(folder, "chip,imo\nchips/a.png,IMO 9074729\nchips/b.tif,9074729\n")
    ).vessels
    assert (vessel.key, vessel.attributes) == ("imo 9074729", {"imo": "9074729"})


def test_names_of_one_vessel_are_compared_without_blanks_and_in_one_unicode_form(
    folder: Path,
) -> None:
    rows = "chip,name\nchips/a.png,R\u00e9my  II\nchips/b.tif,Re\u0301my II \n"
    [vessel] = read_manifest(write(folder, rows)).vessels
    assert len(vessel.chips) == 2
    assert vessel.attributes == {"name": "R\u00e9my II"}


def test_a_key_that_is_a_uuid_is_the_id(folder: Path) -> None:
    own = "0b7b4ad2-6c0e-4d59-8a44-0d7a2d2b6a55"
    fleet = read_manifest(write(folder, f"chip,id\nchips/a.png,{own}\n"))
    assert str(fleet.vessels[0].id) == own


def test_ids_that_differ_as_numbers_are_written_are_pointed_out(folder: Path) -> None:
    rows = ("chips/a.png,1", "chips/b.tif,1.0", "chips/c.tif,1.1", "chips/0001_s1c1_SAR.tif,2.0")
    fleet = read_manifest(write(folder, "\n".join(("chip,id", *rows)) + "\n"))
    assert [vessel.key for vessel in fleet.vessels] == ["1", "1.0", "1.1", "2.0"]
    assert fleet.notes == (
        "'1' and '1.0' are two vessels; write one of them if they mean one ship",
    )


def test_names_that_differ_in_case_are_pointed_out(folder: Path) -> None:
    rows = ("chips/a.png,Sea Star", "chips/b.tif,SEA STAR", "chips/c.tif,Seastar")
    fleet = read_manifest(write(folder, "\n".join(("chip,name", *rows)) + "\n"))
    assert len(fleet.vessels) == 3
    assert fleet.notes == (
        "'name Sea Star' and 'name SEA STAR' are two vessels; write one of them if they mean one "
        "ship",
    )


def test_chips_are_selected_by_modality(folder: Path) -> None:
    path = write(folder, "chip,id,modality\nchips/a.png,1,optical\nchips/0001_s1c1_SAR.tif,1,\n")
    assert read_manifest(path).chips == 2
    fleet = read_manifest(path, {Modality.SAR})
    assert [c.path.name for c in fleet.vessels[0].chips] == ["0001_s1c1_SAR.tif"]
    assert fleet.notes == ("1 chips of the other modality are not enrolled",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name\n1,A\n", "no column chip"),
        ("chip,name,Name\nchips/a.png,ONE,TWO\n", "column 'name' stands twice"),
        ("chip,id,captured_at\nchips/a.png,1,20260305\n", "may mean 2026-03-05"),
        ("chip,id,captured_at\nchips/a.png,1,2612-01-01\n", "in the future"),
        ("chip,id,length_m\nchips/a.png,1,nan\n", "length_m is 'nan', not a number"),
        ("chip,id,length_m\nchips/a.png,1,inf\n", "length_m is 'inf', not a number"),
        ("chip,id,length_m\nchips/a.png,1,1_90\n", "length_m is '1_90', not a number"),
        ("chip,id,length_m\nchips/a.png,1,\u0661\u0669\u0660\n", "not a number"),
        ("chip;id;length_m\nchips/a.png;1;190,5\nchips/b.tif;2;1.190\n", ":3: .* decimal comma"),
        ("chip,imo\nchips/a.png,9074729.5\n", ":2: an IMO number has seven digits"),
        ("chip,name\nchips/a.png,A\x00B\n", ":2: .*control characters"),
        ("chip,name\nchips/a.png,A\u200bB\n", ":2: .*control characters"),
        ('chip,name\n"chips/a.png,ALPHA\nchips/b.tif,BETA\n', ":3: .*close each quote"),
        ('chip,name\n"chips/a.png"x,ALPHA\n', ":2: .*close each quote"),
        ("chip,name,\nchips/a.png,ALPHA,190\n", ":2: the cell '190' stands under no column"),
        ("\n \n", "no header line"),
        ("\nsep=;\nchip;name\nchips/a.png;ALPHA\n", ":3: the cell 'name' stands under no"),
        ("chip,id,gsd\nchips/a.png,1,1\n", "unknown column 'gsd'"),
        ("chip,id\n,1\n", ":2: the column chip is empty"),
        ("chip,id\nchips/z.png,1\n", ":2: there is no chip .*z.png"),
        (f"chip,id\n{256 * 'z'}.png,1\n", ":2: the chip cannot be read: .*too long"),
        ("chip,id\nchips/a.png,\n", ":2: no vessel; fill one of id, imo, mmsi, name"),
        ("chip,id\nchips/a.png,nan\nchips/b.tif,nan\n", ":2: id is 'nan', which names no vessel"),
        ("chip,id,name\nchips/a.png,<NA>,A\n", ":2: id is '<NA>', which names no vessel"),
        ("chip,name\nchips/a.png,-\n", ":2: name is '-', which names no vessel"),
        ("chip,id,gsd_m\nchips/a.png,1,fine\n", ":2: gsd_m is 'fine', not a number"),
        (
            "chip,id,name\nchips/a.png,1,A\nchips/b.tif,1,B\n",
            ":3: name is 'B', but an earlier row of this vessel says 'A'",
        ),
        ("chip,id,band\nchips/b.tif,1,1.5\n", ":2: band is 1.5"),
        ("chip,id\n", "lists no chips"),
    ],
)
def test_a_wrong_manifest_names_the_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_manifest(write(folder, text))


def test_selecting_by_modality_requires_a_modality(folder: Path) -> None:
    with pytest.raises(SourceError, match=":2: modality is None"):
        read_manifest(write(folder, "chip,id\nchips/a.png,1\n"), {Modality.SAR})


def test_a_binary_file_is_refused(folder: Path) -> None:
    path = folder / "binary.csv"
    path.write_bytes(b"chip,id\n\xff\xfe\x00,1\n")
    with pytest.raises(SourceError, match="cannot be read as CSV in UTF-8"):
        read_manifest(path)


def test_the_column_framing_is_sent_with_the_chip(folder: Path) -> None:
    path = write(folder, "chip,name,framing\nchips/a.png,ALPHA,as_is\nchips/b.tif,BETA,\n")
    metadata = [chip.metadata for v in read_manifest(path).vessels for chip in v.chips]
    assert metadata == [{"framing": "as_is"}, {}]
