"""Training stores of chip folders: decoded once, and refused for other settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_training.data.cache import StoreError
from model_training.encoder.stores import open_stores
from model_training.encoder.train_config import BundleData, HossData
from model_training.simulator import SimulatorConfig, write_dataset
from service.contract.manifest import PreprocessSpec
from tests.support.training.archives import archive_config, write_archive

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


def test_an_archive_comes_with_its_replay(tmp_path: Path) -> None:
    config = archive_config(tmp_path, write_archive(tmp_path / "archive", 8))
    stores = open_stores(config.data, SPEC)
    assert (len(stores.train.vessels), len(stores.validation.vessels)) == (6, 2)
    assert stores.replay is not None
    assert (len(stores.replay.train.vessels), len(stores.replay.validation.vessels)) == (100, 100)
    assert stores.digest != stores.train.digest()


def test_an_archive_that_has_changed_needs_another_cache(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", 8)
    config = archive_config(tmp_path, archive)
    open_stores(config.data, SPEC)
    write_archive(archive, 1, first=9)
    with pytest.raises(StoreError, match=r"other settings \(chips differ"):
        open_stores(config.data, SPEC)


def test_weights_of_a_bundle_bring_no_chips() -> None:
    data = BundleData(kind="bundle", bundle_id="b", domain="simulated", dataset="fleet")
    with pytest.raises(StoreError, match="name its checkpoint as `initial`"):
        open_stores(data, SPEC)
