"""Reading a data set in HOSS layout: names, splits, distractors, errors."""

from pathlib import Path

import pytest

from model_training.data.hoss import DatasetError, parse_chip_name, read_folder, read_hoss
from service.contract.chip import Modality
from tests.support.paths import HOSS_SAMPLE
from tests.support.training.training_data import write_chips


@pytest.mark.parametrize(
    ("name", "vessel", "modality"),
    [
        ("0001_s05c1_RGB.tif", 1, Modality.OPTICAL),
        ("0001_c1s5_000151_00_SAR.tif", 1, Modality.SAR),
        ("-1_s02c3_SAR.tif", -1, Modality.SAR),
        ("0449_RGB.tif", 449, Modality.OPTICAL),
        ("12_anything_SAR.tiff", 12, Modality.SAR),
    ],
)
def test_a_chip_name_gives_vessel_and_sensor(name: str, vessel: int, modality: Modality) -> None:
    chip = parse_chip_name(Path(name))
    assert chip is not None
    assert (chip.vessel_id, chip.modality) == (vessel, modality)
    assert chip.is_distractor is (vessel == -1)


@pytest.mark.parametrize(
    "name",
    ["0001_s05c1_sar.tif", "abc_s1c1_RGB.tif", "-2_s1c1_RGB.tif", "0001_RGB.tif.part", "1RGB.tif"],
)
def test_other_names_are_no_chips(name: str) -> None:
    assert parse_chip_name(Path(name)) is None


def test_all_parts_of_the_layout_are_read(tmp_path: Path) -> None:
    write_chips(tmp_path / "bounding_box_train", "0001_s1c1_RGB.tif", "0001_s1c2_SAR.tif")
    write_chips(tmp_path / "query", "0002_s1c1_RGB.tif")
    write_chips(tmp_path / "bounding_box_test", "0002_s1c2_SAR.tif", "-1_s1c1_RGB.tif")
    write_chips(tmp_path / "subset" / "S2O" / "query", "0002_s1c2_SAR.tif")
    write_chips(tmp_path / "subset" / "S2O" / "bounding_box_test", "0002_s1c1_RGB.tif")
    dataset = read_hoss(tmp_path)
    assert [chip.vessel_id for chip in dataset.train] == [1, 1]
    assert dataset.test is not None
    assert [chip.vessel_id for chip in dataset.test.gallery] == [-1, 2]
    assert list(dataset.subsets) == ["S2O"]
    assert dataset.loose == ()


def test_wrong_files_are_named(tmp_path: Path) -> None:
    write_chips(tmp_path / "bounding_box_train", "0001_s1c1_RGB.tif")
    (tmp_path / "bounding_box_train" / "0002_s1c1_NIR.tif").write_bytes(b"")
    (tmp_path / "bounding_box_train" / "broken.tif.part").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"0002_s1c1_NIR\.tif, broken\.tif\.part") as error:
        read_hoss(tmp_path)
    assert "<id>_<anything>_RGB.tif" in str(error.value)


def test_an_error_names_at_most_five_wrong_files(tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"x{i}.tif").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"x4\.tif and 4 more"):
        read_folder(tmp_path, distractors=True)


@pytest.mark.parametrize("folder", ["query", "bounding_box_train"])
def test_a_distractor_outside_a_gallery_is_refused(tmp_path: Path, folder: str) -> None:
    write_chips(tmp_path / "bounding_box_test", "0001_s1c1_RGB.tif")
    write_chips(tmp_path / "query", "0001_s1c2_SAR.tif")
    write_chips(tmp_path / folder, "-1_s1c1_RGB.tif")
    with pytest.raises(DatasetError, match=r"-1_s1c1_RGB\.tif .* distractor"):
        read_hoss(tmp_path)


def test_notes_and_hidden_files_beside_the_chips_are_ignored(tmp_path: Path) -> None:
    write_chips(tmp_path, "0001_s1c1_RGB.tif", "-1_s1c2_SAR.tif")
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / "LICENSE").write_text("terms")
    (tmp_path / ".DS_Store").write_bytes(b"")
    assert len(read_hoss(tmp_path).loose) == 2


def test_queries_without_a_gallery_are_refused(tmp_path: Path) -> None:
    write_chips(tmp_path / "query", "0001_s1c1_RGB.tif")
    with pytest.raises(DatasetError, match="bounding_box_test"):
        read_hoss(tmp_path)


def test_a_folder_without_a_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected bounding_box_train"):
        read_hoss(tmp_path)
    with pytest.raises(DatasetError, match="not a folder"):
        read_hoss(tmp_path / "missing")
    (tmp_path / "bounding_box_train").mkdir()
    with pytest.raises(DatasetError, match="holds no chips"):
        read_hoss(tmp_path)


def test_a_chip_is_decoded_with_the_ground_sampling_distance_of_its_sensor(tmp_path: Path) -> None:
    write_chips(tmp_path, "0001_s1c1_RGB.tif", "0001_s1c2_SAR.tif")
    optical, sar = (chip.read() for chip in read_hoss(tmp_path).loose)
    assert (optical.modality, optical.gsd_m) == (Modality.OPTICAL, 0.75)
    assert (sar.modality, sar.gsd_m) == (Modality.SAR, 1.0)


def test_a_damaged_chip_is_named_in_the_error(tmp_path: Path) -> None:
    (path,) = write_chips(tmp_path, "0001_s1c1_SAR.tif")
    path.write_bytes(path.read_bytes()[:100])
    (chip,) = read_hoss(tmp_path).loose
    with pytest.raises(DatasetError, match=r"0001_s1c1_SAR\.tif"):
        chip.read()


@pytest.mark.parametrize("part", ["", "bounding_box_train"])
def test_the_genuine_sample_is_read(part: str) -> None:
    if not HOSS_SAMPLE.is_dir():
        pytest.skip(f"the genuine HOSS sample is not at {HOSS_SAMPLE}")
    dataset = read_hoss(HOSS_SAMPLE / part)
    chips = dataset.train or dataset.loose
    assert len(chips) == 56
    assert sum(chip.modality is Modality.SAR for chip in chips) == 15
    assert len({chip.vessel_id for chip in chips}) == 21
    lengths = [chip.read().length_m for chip in chips]
    assert all(20 < length < 420 for length in lengths)
