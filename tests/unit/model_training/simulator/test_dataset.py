"""Data sets on disk: layout, disjoint splits, sister ships, distractors, the demo fleet."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_training.data.hoss import read_hoss
from model_training.simulator import SimulatorConfig, write_dataset, write_demo_fleet, write_sheet
from model_training.simulator.dataset import plan_entries
from model_training.simulator.demo_fleet import imo_number
from model_training.simulator.report import measure, read_folder

SMALL = SimulatorConfig(
    vessels=12, test_fraction=0.33, validation_fraction=0.33, optical_views=2, sar_views=2
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated") / "set"
    write_dataset(SMALL, root, workers=1, progress=False)
    return root


def _ids(folder: Path) -> set[str]:
    return {path.name.split("_")[0] for path in folder.glob("*.tif")}


def test_splits_share_no_ids_and_distractors_are_in_galleries_only(folder: Path) -> None:
    train, test, validation = (
        _ids(folder / place) for place in ("bounding_box_train", "query", "val/query")
    )
    assert (len(train), len(test), len(validation)) == (4, 4, 4)
    assert not train & test
    assert not train & validation
    assert not test & validation
    assert "-1" not in train | test | validation
    for base in (folder, folder / "val"):
        gallery = _ids(base / "bounding_box_test")
        assert gallery == _ids(base / "query") | {"-1"}
        assert not {p.name for p in (base / "query").iterdir()} & {
            p.name for p in (base / "bounding_box_test").iterdir()
        }


def test_each_subset_has_queries_of_one_sensor_and_a_gallery_of_the_other(folder: Path) -> None:
    for name, query_sensor, gallery_sensor in (("O2S", "RGB", "SAR"), ("S2O", "SAR", "RGB")):
        subset = folder / "subset" / name
        queries = sorted((subset / "query").iterdir())
        gallery = sorted((subset / "bounding_box_test").iterdir())
        assert len(queries) == 4 * 2
        assert all(p.stem.endswith(query_sensor) for p in queries)
        assert all(p.stem.endswith(gallery_sensor) for p in gallery)
        assert _ids(subset / "query") == _ids(folder / "query")


def test_chips_have_the_pixel_formats_of_hoss(folder: Path) -> None:
    with Image.open(next((folder / "query").glob("*_RGB.tif"))) as optical:
        assert optical.mode == "RGB"
    with Image.open(next((folder / "query").glob("*_SAR.tif"))) as sar:
        assert sar.mode == "F"
        assert 1.0 < np.asarray(sar).max() < 2.6


def test_other_pixel_sizes_than_those_of_hoss_are_read_back(folder: Path, tmp_path: Path) -> None:
    ships = SimulatorConfig(
        vessels=8,
        optical_views=1,
        sar_views=1,
        sar_gsd_m=2.0,
        test_fraction=0.0,
        validation_fraction=0.5,
    )
    write_dataset(ships, tmp_path / "coarse", workers=1, progress=False)
    chips = read_hoss(tmp_path / "coarse").train
    assert {chip.modality.value: chip.read().gsd_m for chip in chips} == {
        "optical": 0.75,
        "sar": 2.0,
    }
    assert (tmp_path / "coarse" / "val" / "provenance.csv").is_file()
    assert not (folder / "provenance.csv").exists()


def test_dataset_json_describes_the_data_set(folder: Path) -> None:
    about = json.loads((folder / "dataset.json").read_text())
    assert about["domain"] == "simulated"
    assert SimulatorConfig.model_validate(about["config"]) == SMALL
    assert about["ids"] == {"train": 4, "validation": 4, "test": 4}
    assert about["chips"] == sum(
        len(list((folder / p).glob("*.tif")))
        for p in ("bounding_box_train", "query", "bounding_box_test", "val/query",
                  "val/bounding_box_test")
    )  # fmt: skip
    truth = np.load(folder / "truth" / "layout.npz")
    assert truth["layout"].shape == (about["chips"], 32, len(about["layout_channels"]))
    assert all((folder / name).is_file() for name in truth["names"].tolist())


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_truth_adds_masks_and_geometry_and_changes_nothing_else(tmp_path: Path) -> None:
    config = SimulatorConfig(vessels=4, optical_views=1, sar_views=1)
    write_dataset(config, tmp_path / "plain", workers=1, progress=False)
    root = tmp_path / "with_truth"
    write_dataset(config, root, workers=1, progress=False, truth=True)
    plain, with_truth = _files(tmp_path / "plain"), _files(root)
    assert {name: with_truth[name] for name in plain} == plain

    layout = np.load(root / "truth/layout.npz")
    names = layout["names"].tolist()
    masks = {name: Path("truth/masks", name).with_suffix(".png") for name in names}
    assert with_truth.keys() - plain.keys() == {"truth/geometry.jsonl", *map(str, masks.values())}
    lines = [json.loads(line) for line in with_truth["truth/geometry.jsonl"].decode().splitlines()]
    assert [line["chip"] for line in lines] == names
    assert [line["bow_up"] for line in lines] == layout["bow_up"].tolist()
    for line in lines:
        with (
            Image.open(root / line["chip"]) as chip,
            Image.open(root / masks[line["chip"]]) as mask,
        ):
            assert mask.size == chip.size
            shown = np.asarray(mask)
            crop_m = np.array(chip.size[::-1]) * line["gsd_m"]
        assert set(np.unique(shown).tolist()) == {0, 255}
        assert crop_m == pytest.approx([line["crop_height_m"], line["crop_width_m"]], abs=1.0)
        area_m2 = (shown > 0).sum() * line["gsd_m"] ** 2
        assert 0.4 < area_m2 / (line["length_m"] * line["beam_m"]) < 2
        angles = {"optical": "sun_elevation", "sar": "incidence"}
        assert 0 < line[angles[line["modality"]]] < np.pi / 2


def test_the_contact_sheet_shows_each_ship_in_both_sensors(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sheet.png"
    write_sheet(path, SimulatorConfig(), ships=3, height=64, per_row=2)
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape[0] == 2 * (64 + 6)
    chips = pixels[70:134, :, :].astype(int)  # the second row, which holds the third ship
    inked = (chips < 250).any(2).any(0)
    starts = np.flatnonzero(np.diff(inked.astype(int), prepend=0) == 1)
    assert len(starts) == 4
    ends = np.flatnonzero(np.diff(inked.astype(int), append=0) == -1)
    grey = [
        bool((np.ptp(chips[:, a : b + 1], axis=2) == 0).all())
        for a, b in zip(starts, ends, strict=True)
    ]
    assert grey == [False, True, True, False]


def test_sisters_stay_in_one_split_and_some_are_in_the_test_split() -> None:
    entries = plan_entries(SimulatorConfig(vessels=400))
    splits: dict[int, set[str]] = {}
    for entry in entries:
        splits.setdefault(entry.vessel.class_seed, set()).add(entry.split)
    assert all(len(found) == 1 for found in splits.values())
    test = [e for e in entries if e.split == "test"]
    assert sum(e.vessel.sister_group is not None for e in test if e.number != -1) >= 4
    lengths = {e.vessel.length_m for e in test if e.number != -1}
    twins = [
        e
        for e in test
        if e.number == -1 and min(abs(e.vessel.length_m / x - 1) for x in lengths) < 0.016
    ]
    assert len(twins) >= 8


def test_a_folder_that_is_not_empty_is_rejected(folder: Path) -> None:
    with pytest.raises(FileExistsError, match="not empty"):
        write_dataset(SMALL, folder, workers=1, progress=False)


def test_the_report_measures_a_folder_of_chips(folder: Path) -> None:
    found = measure(read_folder(folder / "bounding_box_train"))
    assert 40 < found["optical chip length, median m"] < 400
    assert found["SAR value after denoise, percentile 10"] < 0.1
    assert found["SAR maximum"] < 2.6
    with pytest.raises(FileNotFoundError):
        read_folder(folder / "truth")


def test_the_demo_fleet_is_small_and_has_names_and_strangers(tmp_path: Path) -> None:
    counts = write_demo_fleet(tmp_path / "demo", vessels=6, strangers=2)
    assert counts["vessels"] == 6
    assert counts["bytes"] < 3_000_000 * 6 / 44
    optical = {p.name.split("_")[0] for p in (tmp_path / "demo/bounding_box_test").iterdir()}
    sar = {p.name.split("_")[0] for p in (tmp_path / "demo/query").iterdir()}
    assert len(sar - optical) == 2
    with (tmp_path / "demo/vessels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows} == optical | sar
    assert all(row["name"].startswith("SIM ") for row in rows)
    numbers = [row["imo"] for row in rows if row["imo"]]
    assert len(set(numbers)) == 6
    for number in numbers:
        weights = range(7, 1, -1)
        total = sum(int(d) * w for d, w in zip(number, weights, strict=False))
        assert number[6] == str(total % 10)


def test_imo_number_appends_the_check_digit_of_a_known_number() -> None:
    assert imo_number(907472) == "9074729"
    with pytest.raises(ValueError, match="six digits"):
        imo_number(12)
