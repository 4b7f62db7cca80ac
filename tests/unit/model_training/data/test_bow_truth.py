"""Reading at which end the bow is."""

from pathlib import Path

import numpy as np

from model_training.data.bow_truth import read_bow_up


def test_truth_is_found_for_the_data_set_and_for_its_validation_part(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    names = ["query/0001_s01c1_RGB.tif", "val/query/0002_s01c1_SAR.tif"]
    np.savez(tmp_path / "truth" / "layout.npz", names=np.array(names), bow_up=[True, False])
    (tmp_path / "val").mkdir()
    expected = {tmp_path.resolve() / names[0]: True, tmp_path.resolve() / names[1]: False}
    assert read_bow_up(tmp_path) == expected
    assert read_bow_up(tmp_path / "val") == expected


def test_genuine_chips_have_no_truth(tmp_path: Path) -> None:
    assert read_bow_up(tmp_path) == {}
