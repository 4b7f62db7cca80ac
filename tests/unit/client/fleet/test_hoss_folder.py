import os
from pathlib import Path

import pytest

from service.client.errors import SourceError
from service.client.fleet.hoss_folder import read_hoss_folder
from service.client.fleet.read import read_fleet
from service.client.fleet.vessels import vessel_id
from service.client.match import expand_folders
from service.contract.chip import Modality


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set `harbour` in full layout; the chips' contents do not matter here."""
    root = tmp_path / "harbour"
    for name in (
        "bounding_box_test/0001_s1c1_RGB.tif",
        "bounding_box_test/0001_s1c2_RGB.tif",
        "bounding_box_test/0002_s1c1_RGB.png",
        "bounding_box_test/-1_s1c1_RGB.tif",
        "bounding_box_test/notes.md",
        "bounding_box_test/.0003_s1c1_RGB.tif",
        "query/0001_s2c1_SAR.tif",
        "query/0009_s2c1_SAR.tif",
        "query/odd.tif",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_optical_chips_are_grouped_by_vessel(data: Path) -> None:
    fleet = read_fleet(data, None)
    assert fleet.dataset == "harbour"
    assert fleet.chips == 3
    assert [(v.key, [c.path.name for c in v.chips]) for v in fleet.vessels] == [
        ("1", ["0001_s1c1_RGB.tif", "0001_s1c2_RGB.tif"]),
        ("2", ["0002_s1c1_RGB.png"]),
    ]
    first = fleet.vessels[0]
    assert first.attributes == {"name": "harbour 0001"}
    assert first.label == "harbour 0001"
    assert first.chips[0].metadata == {"modality": "optical", "source": "harbour"}
    assert "1 distractor chips" in " ".join(fleet.notes)
    assert "odd.tif" in " ".join(fleet.notes)


def test_modalities_and_gsd_are_selected(data: Path) -> None:
    assert [v.key for v in read_fleet(data, "sar").vessels] == ["1", "9"]
    everything = read_fleet(data, "all", gsd_m=0.5)
    assert [v.key for v in everything.vessels] == ["1", "2", "9"]
    assert {c.metadata["gsd_m"] for v in everything.vessels for c in v.chips} == {0.5}


def test_a_part_alone_names_the_same_vessels(data: Path) -> None:
    whole = {v.key: v.id for v in read_fleet(data, None).vessels}
    part = {v.key: v.id for v in read_fleet(data / "bounding_box_test", None).vessels}
    assert part == whole
    renamed = {v.key: v.id for v in read_fleet(data, None, dataset="other").vessels}
    assert not set(renamed.values()) & set(whole.values())


def test_vessel_ids_are_stable() -> None:
    assert str(vessel_id("harbour", "1")) == "98dcb9e1-bc37-5ce7-9f13-bda61c0da614"
    own = "0b7b4ad2-6c0e-4d59-8a44-0d7a2d2b6a55"
    assert str(vessel_id("harbour", own)) == own


@pytest.mark.parametrize("where", ["whole", "part"])
def test_vessels_csv_adds_attributes(data: Path, where: str) -> None:
    (data / "vessels.csv").write_text(
        "\ufeffid,name,imo,mmsi,length_m,sister_of\n0001, ALPHA ,9074729,,190.5,7\n\n0007,B,,,,\n",
        encoding="utf-8",
    )
    fleet = read_fleet(data if where == "whole" else data / "bounding_box_test", None)
    assert fleet.vessels[0].attributes == {"name": "ALPHA", "imo": "9074729", "length_m": 190.5}
    assert fleet.vessels[1].attributes == {"name": "harbour 0002"}
    assert "vessels.csv: columns sister_of are not sent" in fleet.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header line"),
        ("name\nA\n", "no column id"),
        ("id,name\none,A\n", "vessels.csv:2: id is 'one'"),
        ("id,name\n1,A\n0001,B\n", "vessels.csv:3: vessel 0001 is described twice"),
        ("id,length_m\n1,long\n", "vessels.csv:2: length_m is 'long', not a number"),
        ("id,name\n1,A,B\n", "vessels.csv:2: the cell .B. stands under no column"),
    ],
)
def test_a_wrong_vessels_csv_names_the_line(data: Path, text: str, message: str) -> None:
    (data / "vessels.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        read_hoss_folder(data)


def test_a_folder_without_chips_is_refused(tmp_path: Path, data: Path) -> None:
    with pytest.raises(SourceError, match="not a folder"):
        read_hoss_folder(tmp_path / "missing")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match=r"holds no chips: .*<id>_<anything>_RGB"):
        read_hoss_folder(tmp_path / "photos")
    with pytest.raises(SourceError, match="no optical chips"):
        read_hoss_folder(data / "query").fleet({Modality.OPTICAL})


def test_a_file_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/0001_s1c1_\xff_RGB.png")).write_bytes(b"x")
    for read in (read_hoss_folder, lambda folder: expand_folders([folder])):
        with pytest.raises(SourceError, match=r"udcff_RGB\.png' is not UTF-8; rename the file"):
            read(tmp_path)


def test_a_source_that_is_neither_folder_nor_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        read_fleet(tmp_path / "missing.csv", None)
    (tmp_path / "chip.tif").write_bytes(b"")
    with pytest.raises(SourceError, match=r"neither a folder nor a \.csv"):
        read_fleet(tmp_path / "chip.tif", None)
    (tmp_path / "m.csv").write_text("chip,id\n")
    with pytest.raises(SourceError, match="column gsd_m"):
        read_fleet(tmp_path / "m.csv", None, gsd_m=1.0)


def test_stated_pixel_sizes_and_simulation_are_passed_on(data: Path) -> None:
    (data / "provenance.csv").write_text("file,gsd_m\n0001_s1c1_RGB.tif,0.5\n")
    (data / "dataset.json").write_text('{"domain": "simulated"}')
    first, second = read_fleet(data, None).vessels[0].chips
    assert first.metadata["gsd_m"] == 0.5
    assert "gsd_m" not in second.metadata
    assert first.metadata["source"] == "harbour, simulated"
    (data / "provenance.csv").write_text("file,gsd_m\n0001_s1c1_RGB.tif,half\n")
    with pytest.raises(SourceError, match=r"provenance.csv:2: gsd_m is 'half'"):
        read_fleet(data, None)
