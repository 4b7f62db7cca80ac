"""Reading folders of optical-SAR pairs in both layouts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_training.data.hoss import DatasetError
from model_training.data.pairs import QXS_OPTICAL, QXS_SAR, read_pairs
from service.contract.chip import Modality


def write_picture(path: Path, channels: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(map(ord, path.name)) + channels)
    shape = (32, 32, 3) if channels == 3 else (32, 32)
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)


def test_qxs_pictures_of_one_name_are_pairs(tmp_path: Path) -> None:
    for name in ("2.png", "10.png"):
        write_picture(tmp_path / QXS_OPTICAL / name, 3)
        write_picture(tmp_path / QXS_SAR / name, 1)
    pairs = read_pairs(tmp_path)
    assert [pair.scene for pair in pairs] == ["10", "2"]
    assert all(pair.optical.name == pair.sar.name for pair in pairs)
    optical, sar = pairs[0].read()
    assert (optical.modality, sar.modality) == (Modality.OPTICAL, Modality.SAR)
    assert (optical.gsd_m, sar.gsd_m) == (1.0, 1.0)


def test_a_qxs_picture_without_a_counterpart_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / QXS_OPTICAL / "1.png", 3)
    write_picture(tmp_path / QXS_SAR / "2.png", 1)
    with pytest.raises(DatasetError, match=r"2 pictures .* the first is 1\.png"):
        read_pairs(tmp_path)


def test_optisar_views_of_one_scene_are_pairs(tmp_path: Path) -> None:
    write_picture(tmp_path / "0001" / "a_0001_1_RGB.png", 3)
    write_picture(tmp_path / "0001" / "a_0001_2_RGB.png", 3)
    write_picture(tmp_path / "0001" / "a_0001_SAR.png", 1)
    write_picture(tmp_path / "0002" / "b_0002_RGB.tif", 3)
    write_picture(tmp_path / "0002" / "b_0002_SAR.tif", 1)
    write_picture(tmp_path / "0003" / "b_0003_RGB.tif", 3)
    pairs = read_pairs(tmp_path)
    assert [pair.scene for pair in pairs] == ["1", "1", "2"]
    assert [pair.optical.name for pair in pairs[:2]] == ["a_0001_1_RGB.png", "a_0001_2_RGB.png"]
    optical, sar = pairs[2].read()
    assert (optical.modality, sar.modality) == (Modality.OPTICAL, Modality.SAR)


def test_an_optisar_file_of_another_name_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "0001" / "view_RGB.png", 3)
    with pytest.raises(DatasetError, match=r"view_RGB\.png is not named"):
        read_pairs(tmp_path)


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="QXS-SAROPT"):
        read_pairs(tmp_path)
    with pytest.raises(DatasetError, match="not a folder"):
        read_pairs(tmp_path / "missing")
    (tmp_path / QXS_OPTICAL).mkdir()
    with pytest.raises(DatasetError, match=r"sar_256_oc_0\.2 is missing"):
        read_pairs(tmp_path)
