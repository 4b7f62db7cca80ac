"""The picture sheet and the table of the docs."""

from pathlib import Path

import numpy as np

from model_training.encoder.train_config import SimulatedData
from model_training.training.config import RunConfig
from model_training.translator.dataset import PairedViews
from model_training.translator.diffusion import BridgeConfig
from model_training.translator.report import picture_sheet, quality_table, sheet_of
from model_training.translator.study import SamplerQuality
from model_training.translator.train import LoadedTranslator, TranslatorConfig
from model_training.translator.unet import BridgeUNet, UNetConfig

SMALL = UNetConfig(height=32, width=16, widths=(16, 32), heads=2)
LEFT, TOP, STEP = 8, 8 + 14, 2 * 16 + 2  # gap; gap and caption; one picture and its gap


def place(sheet: np.ndarray, picture: int) -> np.ndarray:
    """The n-th picture of the first vessel, at its own size."""
    left = LEFT + picture * STEP
    return sheet[TOP : TOP + 64 : 2, left : left + 32 : 2]


def test_a_sheet_holds_optical_samples_and_truth_in_order() -> None:
    rng = np.random.default_rng(0)
    optical = rng.integers(0, 256, (5, 32, 16, 3), dtype=np.uint8)
    pseudo = rng.integers(0, 256, (5, 3, 32, 16), dtype=np.uint8)
    sar = rng.integers(0, 256, (5, 32, 16), dtype=np.uint8)
    sheet = np.asarray(picture_sheet(optical, pseudo, sar, per_row=2))
    assert sheet.shape == (3 * (64 + 14 + 8) + 8, 2 * (5 * STEP + 8) + 8, 3)
    assert np.array_equal(place(sheet, 0), optical[0])
    assert np.array_equal(place(sheet, 2)[..., 0], pseudo[0, 1])
    assert np.array_equal(place(sheet, 4)[..., 0], sar[0])


def test_the_truth_is_turned_to_the_side_of_the_pseudo_sar(views: PairedViews) -> None:
    """An untrained network shows the luminance: dark where SAR is bright, so the turned agrees."""
    config = TranslatorConfig(
        run=RunConfig(out=Path("unused"), steps=1),
        unet=SMALL,
        bridge=BridgeConfig(steps=1),
        data=SimulatedData(
            kind="simulated", folder=Path("unused"), seed=0, validation_seed=1, vessels=100
        ),
    )
    translator = LoadedTranslator(BridgeUNet(SMALL).eval(), config, {})
    sheet = np.asarray(sheet_of(translator, views, vessels=2, samples=2))
    first = views.sar[0, ..., 0]
    assert np.array_equal(place(sheet, 0), views.optical[0])
    assert np.array_equal(place(sheet, 3)[..., 0], first[::-1, ::-1])


def test_the_table_has_a_row_per_setting() -> None:
    lines = quality_table([SamplerQuality(4, 5, 12.34, 0.8765, 98.7)]).splitlines()
    assert lines[-1] == "| 4 | 5 | 12.3 | 0.876 | 99 |"
    assert len(lines) == 3
