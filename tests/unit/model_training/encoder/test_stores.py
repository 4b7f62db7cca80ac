"""Training stores of chip folders: decoded once, and refused for other settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_training.data.cache import StoreError
from model_training.encoder.stores import open_stores
from model_training.encoder.train_config import HossData
from model_training.simulator import SimulatorConfig, write_dataset
from service.contract.manifest import PreprocessSpec

SPEC = PreprocessSpec()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hoss") / "ships"
    ships = SimulatorConfig(
        vessels=12, optical_views=1, sar_views=1, validation_fraction=0.0, test_fraction=0.0
    )
    write_dataset(ships, root, workers=1, progress=False)
    return root


def data(root: Path, cache: Path, **changes: Any) -> HossData:
    entries = {"kind": "hoss", "folder": root, "cache": cache, "validation_share": 0.25}
    return HossData.model_validate({**entries, **changes})


def test_a_cached_split_is_reused(folder: Path, tmp_path: Path) -> None:
    first = open_stores(data(folder, tmp_path / "cache"), SPEC)
    assert (len(first.train.vessels), len(first.validation.vessels)) == (9, 3)
    assert not np.intersect1d(first.train.vessels, first.validation.vessels).size
    assert open_stores(data(folder, tmp_path / "cache"), SPEC).digest == first.digest


@pytest.mark.parametrize(
    ("changes", "percentile", "named"),
    [
        ({"validation_share": 0.5}, 5.0, "validation_share"),
        ({"split_seed": 1}, 5.0, "split_seed"),
        ({"folder": "elsewhere"}, 5.0, "folder"),
        ({}, 0.0, "denoise_percentile"),
    ],
)
def test_a_cache_of_other_settings_is_refused(
    folder: Path, tmp_path: Path, changes: dict[str, Any], percentile: float, named: str
) -> None:
    open_stores(data(folder, tmp_path / "cache"), SPEC)
    spec = SPEC.model_copy(update={"denoise_percentile": percentile})
    with pytest.raises(StoreError, match=rf"other settings \({named} differ"):
        open_stores(data(folder, tmp_path / "cache", **changes), spec)


def test_an_interrupted_cache_is_filled_again(folder: Path, tmp_path: Path) -> None:
    first = open_stores(data(folder, tmp_path / "cache"), SPEC)
    (tmp_path / "cache" / "00001.chips.npy").unlink()
    again = open_stores(data(folder, tmp_path / "cache"), SPEC)
    assert again.digest == first.digest
    assert (again.validation.vessels == first.validation.vessels).all()
