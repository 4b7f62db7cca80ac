import numpy as np
import pytest
from PIL import Image

from model_training.data.hoss import DatasetError
from model_training.data.pairs import QXS_OPTICAL, QXS_SAR, read_pairs
from service.contract.chip import Modality


def picture(path, channels):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sum(map(ord, path.name)) + channels)
    shape = (32, 32, 3) if channels == 3 else (32, 32)
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)


def test_qxs_layout(tmp_path: Path) -> None:
    for name in ("2.png", "10.png"):
        picture(tmp_path / QXS_OPTICAL / name, 3)
        picture(tmp_path / QXS_SAR / name, 1)
    pairs = read_pairs(tmp_path)
    assert [pair.scene for pair in pairs] == ["10", "2"]
    assert all(pair.optical.name == pair.sar.name for pair in pairs)
    optical, sar = pairs[0].read()
    assert (optical.modality, sar.modality) == (Modality.OPTICAL, Modality.SAR)
    assert (optical.gsd_m, sar.gsd_m) == (1.0, 1.0)


def test_qxs_counterparts_are_required(tmp_path: Path) -> None:
    picture(tmp_path / QXS_OPTICAL / "1.png", 3)
    picture(tmp_path / QXS_SAR / "2.png", 1)
    with pytest.raises(DatasetError, match=r"2 pictures .* the first is 1\.png"):
        read_pairs(tmp_path)


def test_optisar_pairs_every_view_of_a_scene(tmp_path: Path) -> None:
    picture(tmp_path / "0001" / "a_0001_1_RGB.png", 3)
    picture(tmp_path / "0001" / "a_0001_2_RGB.png", 3)
    picture(tmp_path / "0001" / "a_0001_SAR.png", 1)
    picture(tmp_path / "0002" / "b_0002_RGB.tif", 3)
    picture(tmp_path / "0002" / "b_0002_SAR.tif", 1)
    picture(tmp_path / "0003" / "b_0003_RGB.tif", 3)
    pairs = read_pairs(tmp_path)
    assert [pair.scene for pair in pairs] == ["1", "1", "2"]
    assert [pair.optical.name for pair in pairs[:2]] == ["a_0001_1_RGB.png", "a_0001_2_RGB.png"]
    optical, sar = pairs[2].read()
    assert (optical.modality, sar.modality) == (Modality.OPTICAL, Modality.SAR)


def test_optisar_wrong_file_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "0001" / "view_RGB.png", 3)
    with pytest.raises(DatasetError, match=r"view_RGB\.png is not named"):
        read_pairs(tmp_path)


def test_nothing_to_pair(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="QXS-SAROPT"):
        read_pairs(tmp_path)
    with pytest.raises(DatasetError, match="not a folder"):
        read_pairs(tmp_path / "missing")
    (tmp_path / QXS_OPTICAL).mkdir()
    with pytest.raises(DatasetError, match=r"sar_256_oc_0\.2 is missing"):
        read_pairs(tmp_path)
